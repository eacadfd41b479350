import { checkIfMatch } from '../../../shared/http/conditions';
import { withPending } from '../domain/pool';
import { changePool } from './change-pool';
import { settlePool, type Rooms } from './settle-pool';

/** @throws AppError `pool.not_found`, `request.precondition_failed`, `pool.in_use` (nothing changed), `unavailable` */
export async function deletePool(rooms: Rooms, id: string, ifMatch?: string): Promise<void> {
  await changePool(rooms, id, async (stored) => {
    checkIfMatch(ifMatch, String(stored.pool.version));
    const closing = withPending(stored.pool, { kind: 'close' }, rooms.now());
    await settlePool(rooms, await rooms.catalogue.replace(stored, closing));
  });
}
