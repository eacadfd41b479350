import { checkIfMatch } from '../../../shared/http/conditions';
import { redescribe, type PoolDescription } from '../domain/pool';
import { changePool } from './change-pool';
import { settlePool, type Rooms } from './settle-pool';

/**
 * Changes what a pool is called and how much it has.
 * @throws AppError `pool.not_found`, `request.precondition_failed`, `pool.capacity_below_allocated` (nothing changed);
 *   `unavailable` when `allocation` is away: the change is written down and will be carried out
 */
export async function updatePool(
  rooms: Rooms,
  id: string,
  description: PoolDescription,
  ifMatch?: string,
): Promise<void> {
  await changePool(rooms, id, async (stored) => {
    checkIfMatch(ifMatch, String(stored.pool.version));
    const changed = await rooms.catalogue.replace(stored, redescribe(stored.pool, description, rooms.now()));
    await settlePool(rooms, changed);
  });
}
