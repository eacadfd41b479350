import { AppError } from '../../../shared/errors';
import { settled, undone } from '../domain/pool';
import type { Inventories } from '../ports/inventories';
import type { PoolCatalogue, StoredPool } from '../ports/pool-catalogue';

export interface Rooms {
  catalogue: PoolCatalogue;
  inventories: Inventories;
  now: () => string;
  newId: () => string;
}

/**
 * Brings catalogue and inventory together: carries a pending change to its end, whoever began it. The row is written
 * before the inventory is asked and after it has answered, and every step may be repeated, so a crash on any line leaves
 * a row that says what to do next. Hence there is never an inventory without a pool; and since an inventory is closed,
 * for ever and only while nothing is allocated, before its row goes, never an allocation without a pool.
 *
 * @returns the settled pool, or undefined when it is gone
 * @throws AppError `pool.in_use`, `pool.capacity_below_allocated`: the change was refused and undone;
 *   `unavailable`: it stays pending
 */
export async function settlePool({ catalogue, inventories }: Rooms, stored: StoredPool): Promise<StoredPool | undefined> {
  const { pool } = stored;
  switch (pool.pending?.kind) {
    case undefined:
      return stored;
    case 'open':
      await inventories.open(pool.id, pool.totalCapacity);
      return catalogue.replace(stored, settled(pool));
    case 'resize':
      try {
        await inventories.resize(pool.id, pool.totalCapacity);
      } catch (error) {
        if (isRefusal(error)) await catalogue.replace(stored, undone(pool));
        throw error;
      }
      return catalogue.replace(stored, settled(pool));
    case 'abandon':
    case 'close':
      try {
        await inventories.close(pool.id);
      } catch (error) {
        if (isRefusal(error)) await catalogue.replace(stored, settled(pool));
        throw error;
      }
      await catalogue.remove(stored);
      return undefined;
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof AppError && error.kind === 'conflict';
}
