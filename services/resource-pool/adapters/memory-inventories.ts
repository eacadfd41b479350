import {
  capacityOf,
  DEFAULT_TERMS,
  toTermsRow,
  type InventoryView,
  type ResizeMode,
  type Terms,
} from '../../../shared/contracts/inventory';
import { ConflictError } from '../../../shared/dapr/sidecar-error';
import { AppError } from '../../../shared/errors';
import type { Inventories } from '../ports/inventories';

interface Kept extends Terms {
  allocated: number;
  open: boolean;
  revision: number;
  refused: boolean;
}

const CLOSED = { ...DEFAULT_TERMS, total: 0, allocated: 0, open: false, refused: false };

/** Inventories in memory, with the same promises; `away` makes the next calls fail before or after they take effect. */
export class MemoryInventories implements Inventories {
  readonly kept = new Map<string, Kept>();
  readonly away: { error: AppError; takesEffect: boolean }[] = [];

  open(poolId: string, terms: Terms, revision: number): Promise<void> {
    return this.call(() => {
      const before = this.kept.get(poolId);
      if (before && !before.open) throw new AppError('not_found', 'pool.not_found', 'closed');
      if (!before) this.kept.set(poolId, { ...terms, allocated: 0, open: true, revision, refused: false });
    });
  }

  resize(poolId: string, terms: Terms, mode: ResizeMode, revision: number): Promise<void> {
    return this.call(() =>
      this.change(poolId, revision, 'pool.capacity_below_allocated', (kept) => {
        if (capacityOf(terms) < kept.allocated && mode === 'refuse') return false;
        Object.assign(kept, terms);
        return true;
      }),
    );
  }

  close(poolId: string, revision: number): Promise<void> {
    return this.call(() => {
      const before = this.kept.get(poolId);
      if (!before) this.kept.set(poolId, { ...CLOSED, revision });
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
    for (const [id, kept] of this.kept) {
      if (!kept.open || !poolIds.includes(id)) continue;
      const { allocated } = kept;
      const capacity = capacityOf(kept);
      const available = Math.max(0, capacity - allocated);
      views.set(id, { pool_id: id, ...toTermsRow(kept), capacity, allocated, available, waiting: 0, drain: null });
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
