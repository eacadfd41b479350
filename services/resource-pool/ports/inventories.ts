import type { InventoryView, ResizeMode, Terms } from '../../../shared/contracts/inventory';

/**
 * The inventories that `allocation` keeps. Each call may be repeated and may arrive late: `revision` numbers the changes of
 * a pool, each is decided once, and one that comes after a later one does nothing and throws ConflictError. All throw
 * AppError, `unavailable` when it is away.
 */
export interface Inventories {
  /** @throws `pool.not_found` when it was closed before */
  open(poolId: string, terms: Terms, revision: number): Promise<void>;
  /** New terms. @throws `pool.capacity_below_allocated`, with mode `refuse`: nothing changed, nor will it under this revision */
  resize(poolId: string, terms: Terms, mode: ResizeMode, revision: number): Promise<void>;
  /** For ever: a later opening of the same pool fails. @throws `pool.in_use`: as above */
  close(poolId: string, revision: number): Promise<void>;
  /** The numbers of those pools that are open. */
  lookup(poolIds: readonly string[]): Promise<Map<string, InventoryView>>;
}
