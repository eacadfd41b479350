import type { InventoryView } from '../../../shared/contracts/inventory';
import { AppError } from '../../../shared/errors';
import type { Inventories } from '../ports/inventories';

/** Inventories in memory; `away` makes the next calls fail before or after they take effect. */
export class MemoryInventories implements Inventories {
  readonly views = new Map<string, InventoryView>();
  readonly closed = new Set<string>();
  readonly away: { error: AppError; takesEffect: boolean }[] = [];

  open(poolId: string, total: number): Promise<void> {
    return this.call(() => {
      if (this.closed.has(poolId)) throw new AppError('not_found', 'pool.not_found', 'closed');
      if (!this.views.has(poolId)) this.set(poolId, total, 0);
    });
  }

  resize(poolId: string, total: number): Promise<void> {
    return this.call(() => {
      const allocated = this.views.get(poolId)?.allocated ?? 0;
      if (total < allocated) throw new AppError('conflict', 'pool.capacity_below_allocated', 'in use', { facts: { allocated } });
      this.set(poolId, total, allocated);
    });
  }

  close(poolId: string): Promise<void> {
    return this.call(() => {
      const allocated = this.views.get(poolId)?.allocated ?? 0;
      if (allocated > 0) throw new AppError('conflict', 'pool.in_use', 'in use', { facts: { allocated } });
      this.views.delete(poolId);
      this.closed.add(poolId);
    });
  }

  async lookup(poolIds: readonly string[]): Promise<Map<string, InventoryView>> {
    await this.call(() => undefined);
    return new Map([...this.views].filter(([id]) => poolIds.includes(id)));
  }

  set(poolId: string, total: number, allocated: number): void {
    this.views.set(poolId, { pool_id: poolId, total, allocated, available: total - allocated });
  }

  private async call(work: () => void): Promise<void> {
    await Promise.resolve();
    const failure = this.away.shift();
    if (!failure || failure.takesEffect) work();
    if (failure) throw failure.error;
  }
}
