import type { InventoryView } from '../../../shared/contracts/inventory';

/** The inventories that `allocation` keeps. Each call may be repeated; all throw AppError, `unavailable` when it is away. */
export interface Inventories {
  /** @throws `pool.not_found` when it was closed before */
  open(poolId: string, total: number): Promise<void>;
  /** @throws `pool.capacity_below_allocated`: nothing changed */
  resize(poolId: string, total: number): Promise<void>;
  /** For ever: a later opening of the same pool fails. @throws `pool.in_use`: nothing changed */
  close(poolId: string): Promise<void>;
  /** The numbers of those pools that are open. */
  lookup(poolIds: readonly string[]): Promise<Map<string, InventoryView>>;
}
