import { ConflictError } from '../../../shared/dapr/sidecar-error';
import { unavailable } from '../../../shared/errors';
import { isVisible, poolNotFound } from '../domain/pool';
import type { StoredPool } from '../ports/pool-catalogue';
import { settlePool, type Rooms } from './settle-pool';

const ATTEMPTS = 10;

/** Reads a settled pool and changes it; when somebody else was first, reads again, a bounded number of times. */
export async function changePool<T>(rooms: Rooms, id: string, change: (stored: StoredPool) => Promise<T>): Promise<T> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    try {
      let stored = await rooms.catalogue.get(id);
      if (!stored || !isVisible(stored.pool)) throw poolNotFound(id);
      // somebody's change is under way or was left behind; a refusal of it is not this caller's
      if (stored.pool.pending) stored = await settlePool(rooms, stored).catch((error: unknown) => retryAfterRefusal(error));
      if (!stored) throw poolNotFound(id);
      return await change(stored);
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 20 * (attempt + 1)));
    }
  }
  throw unavailable('pool.contended', 'The pool is being changed by others all the time; try again.');
}

function retryAfterRefusal(error: unknown): never {
  if ((error as { kind?: unknown }).kind === 'conflict') throw new ConflictError('an earlier change was refused and undone');
  throw error;
}
