import type { InventoryView } from '../../../shared/contracts/inventory';
import { ConflictError } from '../../../shared/dapr/sidecar-error';
import { AppError } from '../../../shared/errors';
import type { Inventories } from '../ports/inventories';

interface Kept {
  total: number;
  allocated: number;
  open: boolean;
  revision: number;
  refused: boolean;
}

/** Inventories in memory, with the same promises; `away` makes the next calls fail before or after they take effect. */
export class MemoryInventories implements Inventories {
  readonly kept = new Map<string, Kept>();
  readonly away: { error: AppError; takesEffect: boolean }[] = [];

  open(poolId: string, total: number, revision: number): Promise<void> {
    return this.call(() => {
      const before = this.kept.get(poolId);
      if (before && !before.open) throw new AppError('not_found', 'pool.not_found', 'closed');
      if (!before) this.kept.set(poolId, { total, allocated: 0, open: true, revision, refused: false });
    });
  }

  resize(poolId: string, total: number, revision: number): Promise<void> {
    return this.call(() =>
      this.change(poolId, revision, 'pool.capacity_below_allocated', (kept) => {
        if (total < kept.allocated) return false;
        kept.total = total;
        return true;
      }),
    );
  }

  close(poolId: string, revision: number): Promise<void> {
    return this.call(() => {
      const before = this.kept.get(poolId);
      if (!before) this.kept.set(poolId, { total: 0, allocated: 0, open: false, revision, refused: false });
      if (!before?.open) return;
      this.change(poolId, revision, 'pool.in_use', (kept) => {
        if (kept.allocated > 0) return false;
        kept.open = false;
        return true;
      });
    });
  }

  async lookup(poolIds: readonly string[]): Promise<Map<string, InventoryView>> {
    await this.call(() => undefined);
    const views = new Map<string, InventoryView>();
    for (const [id, { open, total, allocated }] of this.kept) {
      if (open && poolIds.includes(id)) views.set(id, { pool_id: id, total, allocated, available: total - allocated });
    }
    return views;
  }

  /** As if services had allocated that much. */
  allocate(poolId: string, allocated: number): void {
    const kept = this.kept.get(poolId);
    if (kept) kept.allocated = allocated;
  }

  private change(poolId: string, revision: number, refusal: string, work: (kept: Kept) => boolean): void {
    const kept = this.kept.get(poolId);
    if (!kept?.open) throw new AppError('not_found', 'pool.not_found', 'not open');
    if (revision < kept.revision) throw new ConflictError('a later change was decided already');
    if (revision > kept.revision) {
      kept.refused = !work(kept);
      kept.revision = revision;
    }
    if (kept.refused) throw new AppError('conflict', refusal, 'in use', { facts: { allocated: kept.allocated } });
  }

  private async call(work: () => void): Promise<void> {
    await Promise.resolve();
    const failure = this.away.shift();
    if (!failure || failure.takesEffect) work();
    if (failure) throw failure.error;
  }
}
