import { ConflictError } from '../../../shared/dapr/sidecar-error';
import { AppError, unavailable } from '../../../shared/errors';
import { isVisible, poolNotFound } from '../domain/pool';
import type { StoredPool } from '../ports/pool-catalogue';
import { settlePool, type Rooms } from './settle-pool';

const ATTEMPTS = 10;

/** Reads a settled pool and changes it; when somebody else was first, reads again, a bounded number of times. */
export async function changePool<T>(rooms: Rooms, id: string, change: (stored: StoredPool) => Promise<T>): Promise<T> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    try {
      return await change(await settledPool(rooms, id));
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 20 * (attempt + 1)));
    }
  }
  throw unavailable('pool.contended', 'The pool is being changed by others all the time; try again.');
}

async function settledPool(rooms: Rooms, id: string): Promise<StoredPool> {
  const stored = await rooms.catalogue.get(id);
  if (!stored || !isVisible(stored.pool)) throw poolNotFound(id);
  if (!stored.pool.pending) return stored;
  // somebody's change is under way or was left behind
  try {
    const after = await settlePool(rooms, stored);
    if (!after) throw poolNotFound(id);
    // whoever wrote its end down may have begun another one
    if (after.pool.pending) throw new ConflictError('another change has begun');
    return after;
  } catch (error) {
    // a refusal of it is not this caller's
    if (error instanceof AppError && error.kind === 'conflict')
      throw new ConflictError('an earlier change was refused and undone');
    throw error;
  }
}
