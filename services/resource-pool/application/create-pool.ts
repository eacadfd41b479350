import { ConflictError } from '../../../shared/dapr/sidecar-error';
import { unavailable } from '../../../shared/errors';
import { checkFingerprint, type IdempotencyKey } from '../../../shared/http/conditions';
import { abandoned, isVisible, newDescription, newPool, type PoolDescription, type PoolRequest } from '../domain/pool';
import type { StoredPool } from '../ports/pool-catalogue';
import { settlePool, type Rooms } from './settle-pool';

const ATTEMPTS = 5;

/**
 * @returns the new pool's id, with its inventory open
 * @throws AppError `request.invalid`; `unavailable` when `allocation` is away: then there is no pool, and none will appear
 */
export async function createPool(rooms: Rooms, request: PoolRequest, key?: IdempotencyKey): Promise<string> {
  const description = newDescription(request);
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    try {
      const id = (key && (await repeated(rooms, key))) ?? (await create(rooms, description, key));
      if (id !== undefined) return id;
    } catch (error) {
      // the same key in parallel: whoever was first has made the pool
      if (!(error instanceof ConflictError)) throw error;
    }
  }
  throw unavailable('pool.contended', 'This request is being carried out already; try again.');
}

/** The pool that the same request made before; undefined when none did, or when it was given up. */
async function repeated(rooms: Rooms, key: IdempotencyKey): Promise<string | undefined> {
  const before = await rooms.catalogue.remembered(key.id);
  if (!before) return undefined;
  checkFingerprint(key, before.fingerprint);
  const stored = await rooms.catalogue.get(before.poolId);
  // made, and deleted since: the answer is still the same
  if (!stored || isVisible(stored.pool)) return before.poolId;
  const after = await settlePool(rooms, stored);
  return after && isVisible(after.pool) ? before.poolId : undefined;
}

async function create(rooms: Rooms, description: PoolDescription, key?: IdempotencyKey): Promise<string | undefined> {
  const { catalogue, newId, now } = rooms;
  const pool = newPool(newId(), description, now(), key?.id ?? null);
  await catalogue.insert(pool, key && { key: key.id, fingerprint: key.fingerprint, poolId: pool.id });
  let stored = await catalogue.get(pool.id);
  try {
    stored = stored && (await settlePool(rooms, stored));
  } catch (error) {
    stored = await abandon(rooms, pool.id);
    if (!stored || !isVisible(stored.pool)) throw error;
  }
  // invisible or gone: the sweeper took this request for dead, and gave it up
  return stored && isVisible(stored.pool) ? pool.id : undefined;
}

/** Whether the inventory was opened is unknown; the pending row closes it when `allocation` is back. */
async function abandon({ catalogue, now }: Rooms, id: string): Promise<StoredPool | undefined> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const stored = await catalogue.get(id);
    const next = stored && abandoned(stored.pool, now());
    // somebody else has opened it after all, or given it up
    if (!stored || next === undefined || next === stored.pool) return stored;
    try {
      return await catalogue.replace(stored, next);
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
    }
  }
  return undefined;
}
