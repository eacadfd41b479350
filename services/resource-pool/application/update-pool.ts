import { checkIfMatch } from '../../../shared/http/conditions';
import type { ResizeMode } from '../../../shared/contracts/inventory';
import { redescribe, type PoolRequest } from '../domain/pool';
import { changePool } from './change-pool';
import { settlePool, type Rooms } from './settle-pool';

/**
 * Changes what a pool is called, how much it has and on which terms it gives it; what the request leaves out stays.
 * @throws AppError `pool.not_found`, `request.invalid`, `request.precondition_failed`, `pool.capacity_below_allocated` (nothing changed);
 *   `unavailable` when `allocation` is away: the change is written down and will be carried out
 */
export async function updatePool(
  rooms: Rooms,
  id: string,
  request: PoolRequest,
  { ifMatch, resize = 'refuse' }: { ifMatch?: string | undefined; resize?: ResizeMode | undefined } = {},
): Promise<void> {
  await changePool(rooms, id, async (stored) => {
    checkIfMatch(ifMatch, String(stored.pool.version));
    const changed = await rooms.catalogue.replace(stored, redescribe(stored.pool, request, resize, rooms.now()));
    await settlePool(rooms, changed);
  });
}
