import type { InventoryView } from '../../../shared/contracts/inventory';
import { isVisible, poolNotFound, shown, type Pool } from '../domain/pool';
import type { PoolFilter } from '../ports/pool-catalogue';
import type { Rooms } from './settle-pool';

/** @returns a pool with the numbers of its inventory. @throws AppError `pool.not_found`, `unavailable` */
export async function getPool(rooms: Rooms, id: string): Promise<{ pool: Pool; inventory: InventoryView }> {
  const stored = await rooms.catalogue.get(id);
  if (!stored || !isVisible(stored.pool)) throw poolNotFound(id);
  const inventory = (await rooms.inventories.lookup([id])).get(id);
  // closed, and its row about to go
  if (!inventory) throw poolNotFound(id);
  return { pool: shown(stored.pool), inventory };
}

/** Oldest first. `numbers` lacks a pool that is being deleted at this moment. */
export async function listPools(
  rooms: Rooms,
  filter: PoolFilter,
): Promise<{ pools: Pool[]; numbers: Map<string, InventoryView> }> {
  const pools = (await rooms.catalogue.list(filter)).map(shown);
  return { pools, numbers: await rooms.inventories.lookup(pools.map(({ id }) => id)) };
}

/** Pools of that name, oldest first; ten at most. */
export async function findPools({ catalogue }: Rooms, name: string): Promise<Pool[]> {
  return (await catalogue.list({ name, limit: 10 })).map(shown);
}
