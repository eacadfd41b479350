import { ConflictError } from '../../../shared/dapr/sidecar-error';
import { AppError } from '../../../shared/errors';
import { checkFingerprint, type IdempotencyKey } from '../../../shared/http/conditions';
import { newPool, withPending, type PoolDescription } from '../domain/pool';
import { settlePool, type Rooms } from './settle-pool';

/**
 * @returns the new pool's id, with its inventory open
 * @throws AppError `unavailable` when `allocation` is away: then there is no pool, now or later
 */
export async function createPool(rooms: Rooms, description: PoolDescription, key?: IdempotencyKey): Promise<string> {
  const { catalogue, newId, now } = rooms;
  const before = key && (await catalogue.remembered(key.id));
  if (before) {
    checkFingerprint(key, before.fingerprint);
    return before.poolId;
  }
  const pool = newPool(newId(), description, now());
  try {
    await catalogue.insert(pool, key && { key: key.id, fingerprint: key.fingerprint, poolId: pool.id });
  } catch (error) {
    // the same key in parallel: the other one's answer is ours
    if (key && error instanceof ConflictError) return createPool(rooms, description, key);
    throw error;
  }
  const stored = await catalogue.get(pool.id);
  try {
    if (stored) await settlePool(rooms, stored);
  } catch (error) {
    if (error instanceof AppError) await abandon(rooms, pool.id, key);
    else if (!(error instanceof ConflictError)) throw error; // a conflict: the sweeper has opened it meanwhile
    if (error instanceof AppError) throw error;
  }
  return pool.id;
}

/** Whether the inventory was opened is unknown; the pending row closes it when `allocation` is back. */
async function abandon({ catalogue, now }: Rooms, id: string, key: IdempotencyKey | undefined): Promise<void> {
  const stored = await catalogue.get(id);
  if (stored?.pool.pending?.kind === 'open') await catalogue.replace(stored, withPending(stored.pool, { kind: 'abandon' }, now()));
  if (key) await catalogue.forget(key.id);
}
