import type { InventoryView } from '../../../shared/contracts/inventory';
import { isVisible, poolNotFound, type Pool } from '../domain/pool';
import type { PoolFilter } from '../ports/pool-catalogue';
import type { Rooms } from './settle-pool';

/** A pool with the numbers of its inventory. */
export interface PoolWithNumbers {
  pool: Pool;
  inventory: InventoryView;
}

/** @throws AppError `pool.not_found`, `unavailable` */
export async function getPool(rooms: Rooms, id: string): Promise<PoolWithNumbers> {
  const stored = await rooms.catalogue.get(id);
  if (!stored || !isVisible(stored.pool)) throw poolNotFound(id);
  const [found] = await withNumbers(rooms, [stored.pool]);
  // closed, and its row about to go
  if (!found) throw poolNotFound(id);
  return found;
}

/** Oldest first. A pool that is being deleted at this moment may be missing. */
export async function listPools(
  rooms: Rooms,
  filter: PoolFilter,
): Promise<{ pools: Pool[]; numbers: Map<string, InventoryView> }> {
  const pools = await rooms.catalogue.list(filter);
  return { pools, numbers: await rooms.inventories.lookup(pools.map(({ id }) => id)) };
}

async function withNumbers(rooms: Rooms, pools: Pool[]): Promise<PoolWithNumbers[]> {
  const numbers = await rooms.inventories.lookup(pools.map(({ id }) => id));
  return pools.flatMap((pool) => {
    const inventory = numbers.get(pool.id);
    return inventory ? [{ pool, inventory }] : [];
  });
}
