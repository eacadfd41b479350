import { randomUUID } from 'node:crypto';
import { DaprPoolStore } from '../../services/allocation/adapters/dapr-pool-store';
import { describePoolStore } from '../../services/allocation/test/pool-store.contract';
import { DaprPoolCatalogue } from '../../services/resource-pool/adapters/dapr-pool-catalogue';
import { describePoolCatalogue } from '../../services/resource-pool/test/pool-catalogue.contract';
import type { Sidecar } from '../../shared/dapr/sidecar';
import { ConflictError } from '../../shared/dapr/sidecar-error';
import { sql } from './support/database';
import { sidecarOf } from './support/sidecars';
import { eventually } from './support/system';

/** What Dapr's state store really does, and the ports over it: the same contracts that the memory adapters keep. */

jest.setTimeout(60_000);

describePoolStore(
  'Dapr',
  () => new DaprPoolStore(sidecarOf('allocation')),
  async (pools) => {
    await sql(
      `DELETE FROM state WHERE key IN (SELECT 'allocation||allocation:' || id FROM allocations WHERE resource_pool_id = ANY($1))`,
      [pools],
    );
    await sql(
      `DELETE FROM state WHERE key IN (SELECT 'allocation||allocation:' || id FROM allocation_history WHERE resource_pool_id = ANY($1))`,
      [pools],
    );
    await sql(
      `DELETE FROM state WHERE key IN (SELECT 'allocation||request:' || id FROM allocation_requests WHERE resource_pool_id = ANY($1))`,
      [pools],
    );
    await sql('DELETE FROM state WHERE key = ANY($1)', [pools.map((id) => `allocation||inventory:${id}`)]);
  },
);

describePoolCatalogue('Dapr', () => new DaprPoolCatalogue(sidecarOf('resource-pool')));

describe('the state store, as shared/dapr/sidecar.ts relies on it', () => {
  let sidecar: Sidecar;
  let key: string;
  beforeEach(() => {
    sidecar = sidecarOf('resource-pool');
    key = `state-test:${randomUUID()}`;
  });
  afterEach(() => sidecar.transact([{ remove: key }]));

  async function etag(): Promise<string> {
    return (await sidecar.get([key])).get(key)!.etag;
  }

  test('a transaction with a stale ETag is a ConflictError, and none of it is written', async () => {
    await sidecar.transact([{ upsert: key, value: { n: 1 } }]);
    const stale = await etag();
    await sidecar.transact([{ upsert: key, value: { n: 2 }, etag: stale }]);
    const other = `state-test:${randomUUID()}`;
    for (const operation of [
      { upsert: key, value: { n: 3 }, etag: stale },
      { remove: key, etag: stale },
    ]) {
      await expect(sidecar.transact([{ upsert: other, value: 1 }, operation])).rejects.toBeInstanceOf(ConflictError);
    }
    const rows = await sidecar.get([key, other]);
    expect([rows.get(key)?.value, rows.has(other)]).toEqual([{ n: 2 }, false]);
  });

  test('inserting what exists is a ConflictError; inserting what has expired is not', async () => {
    await sidecar.transact([{ upsert: key, value: 1, etag: null, ttlSeconds: 1 }]);
    await expect(sidecar.transact([{ upsert: key, value: 2, etag: null }])).rejects.toBeInstanceOf(ConflictError);
    await eventually('the row has expired', async () => !(await sidecar.get([key])).has(key));
    await sidecar.transact([{ upsert: key, value: 3, etag: null }]);
    expect((await sidecar.get([key])).get(key)?.value).toBe(3);
  });

  test('an ETag for a row that is gone is a ConflictError', async () => {
    await sidecar.transact([{ upsert: key, value: 1 }]);
    const gone = await etag();
    await sidecar.transact([{ remove: key, etag: gone }]);
    await expect(sidecar.transact([{ upsert: key, value: 2, etag: gone }])).rejects.toBeInstanceOf(ConflictError);
    await expect(sidecar.transact([{ remove: key, etag: gone }])).rejects.toBeInstanceOf(ConflictError);
  });

  test('of 20 parallel transactions on one version exactly one succeeds, and all others are conflicts', async () => {
    await sidecar.transact([{ upsert: key, value: { n: 0 } }]);
    const version = await etag();
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, (_, n) => sidecar.transact([{ upsert: key, value: { n }, etag: version }])),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(ConflictError);
    }
  });

  test('a sidecar that does not answer in time is "unavailable", and never a conflict', async () => {
    const hasty = sidecarOf('resource-pool', { timeoutMs: 1 });
    await expect(hasty.transact([{ upsert: key, value: 1 }])).rejects.toMatchObject({ kind: 'unavailable' });
  });
});
