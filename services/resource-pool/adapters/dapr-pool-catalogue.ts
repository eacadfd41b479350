import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { Sidecar } from '../../../shared/dapr/sidecar';
import { IDEMPOTENCY_TTL_SECONDS } from '../../../shared/http/conditions';
import type { Pool } from '../domain/pool';
import type { PoolCatalogue, PoolFilter, Remembered, StoredPool } from '../ports/pool-catalogue';
import { poolRow, toPoolRow } from './pool-row';

const APP = 'resource-pool';
const poolKey = (id: string) => `pool:${id}`;
const rememberedKey = (key: string) => `idempotency:${key}`;
const rememberedRow = z.object({ fingerprint: z.string(), pool_id: z.uuid() });

export const SCHEMA = `
CREATE OR REPLACE VIEW resource_pools AS
  SELECT state_json(value)->>'id' AS id, state_json(value)->>'name' AS name, state_json(value)->>'resource_type' AS resource_type,
         state_json(value)->>'location' AS location, state_json(value)->>'created_at' AS created_at,
         state_json(value)->>'pending' AS pending, state_json(value)->>'pending_since' AS pending_since, state_json(value) AS row,
         coalesce(state_json(value)->>'state', 'open') AS state, state_json(value)->'labels' AS labels
  FROM state WHERE key LIKE '${APP}||pool:%';
CREATE INDEX IF NOT EXISTS state_resource_pools_order ON state
  ((state_json(value)->>'created_at'), (state_json(value)->>'id')) WHERE key LIKE '${APP}||pool:%';
CREATE INDEX IF NOT EXISTS state_resource_pools_by_name ON state
  ((state_json(value)->>'name'), (state_json(value)->>'created_at')) WHERE key LIKE '${APP}||pool:%';
CREATE INDEX IF NOT EXISTS state_resource_pools_by_label ON state
  USING gin ((state_json(value)->'labels')) WHERE key LIKE '${APP}||pool:%';
CREATE INDEX IF NOT EXISTS state_resource_pools_pending ON state
  ((state_json(value)->>'pending_since')) WHERE key LIKE '${APP}||pool:%' AND state_json(value)->>'pending' IS NOT NULL;`;

/** The catalogue in Dapr's state store; lists through the PostgreSQL binding. */
export class DaprPoolCatalogue implements PoolCatalogue {
  constructor(private readonly sidecar: Sidecar) {}

  async get(id: string): Promise<StoredPool | undefined> {
    const row = (await this.sidecar.get([poolKey(id)])).get(poolKey(id));
    return row && { pool: poolRow.parse(row.value), etag: row.etag };
  }

  async remembered(key: string): Promise<Remembered | undefined> {
    const row = (await this.sidecar.get([rememberedKey(key)])).get(rememberedKey(key));
    if (!row) return undefined;
    const { fingerprint, pool_id: poolId } = rememberedRow.parse(row.value);
    return { key, fingerprint, poolId };
  }

  async insert(pool: Pool, remember?: Remembered): Promise<void> {
    await this.sidecar.transact([
      { upsert: poolKey(pool.id), value: toPoolRow(pool), etag: null },
      ...(remember
        ? [
            {
              upsert: rememberedKey(remember.key),
              value: { fingerprint: remember.fingerprint, pool_id: remember.poolId },
              etag: null,
              ttlSeconds: IDEMPOTENCY_TTL_SECONDS,
            },
          ]
        : []),
    ]);
  }

  async replace(stored: StoredPool, next: Pool): Promise<StoredPool> {
    await this.sidecar.transact([{ upsert: poolKey(next.id), value: toPoolRow(next), etag: stored.etag }]);
    // the store makes the new ETag. Whoever was quicker than this read owns it: then the old one, which fits no more
    const written = await this.get(next.id);
    return isDeepStrictEqual(written?.pool, next) && written ? written : { pool: next, etag: stored.etag };
  }

  remove(stored: StoredPool, forget?: string | null): Promise<void> {
    return this.sidecar.transact([
      { remove: poolKey(stored.pool.id), etag: stored.etag },
      ...(forget == null ? [] : [{ remove: rememberedKey(forget) }]),
    ]);
  }

  async list({ name, resourceType, location, state, labels = [], after, limit }: PoolFilter): Promise<Pool[]> {
    const params: unknown[] = [];
    let where = `(pending IS NULL OR pending NOT IN ('open', 'abandon'))`;
    if (name !== undefined) where += ` AND name = $${params.push(name)}`;
    if (resourceType !== undefined) where += ` AND resource_type = $${params.push(resourceType)}`;
    if (location !== undefined) where += ` AND location = $${params.push(location)}`;
    if (state !== undefined) where += ` AND state = $${params.push(state)}`;
    for (const [key, value] of labels) {
      where += ` AND labels @> jsonb_build_object($${params.push(key)}::text, $${params.push(value)}::text)`;
    }
    if (after) where += ` AND (created_at, id) > ($${params.push(after.at)}, $${params.push(after.id)})`;
    const sql = `SELECT row::text FROM resource_pools WHERE ${where} ORDER BY created_at, id LIMIT ${Math.trunc(limit)}`;
    return (await this.sidecar.query(sql, params)).map((row) => poolRow.parse(row));
  }

  async unsettled(before: string): Promise<string[]> {
    const sql = `SELECT to_json(id)::text FROM resource_pools WHERE pending IS NOT NULL AND pending_since < $1 ORDER BY pending_since LIMIT 100`;
    return z.array(z.uuid()).parse(await this.sidecar.query(sql, [before]));
  }
}
