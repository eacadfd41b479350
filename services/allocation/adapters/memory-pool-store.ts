import type { CloudEvent } from '../../../shared/contracts/events';
import { ConflictError } from '../../../shared/dapr/sidecar-error';
import type { Allocation, Inventory, ReleasedAllocation } from '../domain/inventory';
import type { Decision, Remembered } from '../domain/pool-commands';
import type { AllocationFilter, HistoryFilter, PoolSnapshot, PoolStore } from '../ports/pool-store';
import { eventOf } from './rows';

/** The store in memory, with the same promises. `fail` makes the next commits conflict, or lose their answer. */
export class MemoryPoolStore implements PoolStore {
  readonly events: CloudEvent[] = [];
  /** What happens to coming commits, first one first. */
  readonly fail: ('conflict' | Error | { writtenButLost: Error })[] = [];
  private readonly pools = new Map<string, { inventory: Inventory; version: number }>();
  private readonly allocations = new Map<string, Allocation>();
  private readonly released: ReleasedAllocation[] = [];
  private readonly answers = new Map<string, Remembered>();

  read(poolId: string, allocationIds: readonly string[], rememberedIds: readonly string[]): Promise<PoolSnapshot> {
    const pool = this.pools.get(poolId);
    const own = pick(this.allocations, allocationIds);
    for (const [id, allocation] of own) if (allocation.poolId !== poolId) own.delete(id);
    const remembered = pick(this.answers, rememberedIds);
    return Promise.resolve({
      poolId,
      inventory: pool?.inventory,
      allocations: own,
      remembered,
      versions: pool?.version,
    });
  }

  async commit(snapshot: PoolSnapshot, decision: Decision): Promise<void> {
    const failure = this.fail.shift();
    if (failure instanceof Error) throw failure;
    const exists = decision.facts.some((fact) => fact.kind === 'remembered' && this.answers.has(fact.id));
    if (failure === 'conflict' || exists || this.pools.get(snapshot.poolId)?.version !== snapshot.versions) {
      throw new ConflictError('possible etag mismatch');
    }
    const version = ((snapshot.versions as number | undefined) ?? 0) + 1;
    if (decision.inventory) this.pools.set(snapshot.poolId, { inventory: decision.inventory, version });
    for (const fact of decision.facts) {
      if (fact.kind === 'allocated') this.allocations.set(fact.allocation.id, fact.allocation);
      if (fact.kind === 'released') {
        this.allocations.delete(fact.allocation.id);
        const { allocation, releasedAt, releasedBy, reason } = fact;
        this.released.push({ ...allocation, releasedAt, releasedBy, reason });
      }
      if (fact.kind === 'remembered') this.answers.set(fact.id, fact.answer);
      if (fact.kind !== 'remembered') this.events.push(eventOf(fact));
    }
    await Promise.resolve();
    if (failure) throw failure.writtenButLost;
  }

  allocation(id: string): Promise<Allocation | undefined> {
    return Promise.resolve(this.allocations.get(id));
  }

  remembered(id: string): Promise<Remembered | undefined> {
    return Promise.resolve(this.answers.get(id));
  }

  async remember(id: string, answer: Remembered): Promise<void> {
    if (this.answers.has(id)) throw new ConflictError('no item was updated');
    this.answers.set(id, answer);
  }

  inventories(poolIds: readonly string[]): Promise<Inventory[]> {
    return Promise.resolve([...pick(this.pools, poolIds).values()].map(({ inventory }) => inventory));
  }

  listAllocations({ poolId, serviceId, after, limit }: AllocationFilter): Promise<Allocation[]> {
    const order = (a: { createdAt: string; id: string }) => `${a.createdAt} ${a.id}`;
    const rows = [...this.allocations.values()]
      .filter((row) => row.poolId === poolId && (serviceId === undefined || row.serviceId === serviceId))
      .sort((a, b) => (order(a) < order(b) ? -1 : 1))
      .filter((row) => after === undefined || order(row) > `${after.at} ${after.id}`);
    return Promise.resolve(rows.slice(0, limit));
  }

  listReleased({ poolId, serviceId, reason, from, to, after, limit }: HistoryFilter): Promise<ReleasedAllocation[]> {
    const order = (a: { releasedAt: string; id: string }) => `${a.releasedAt} ${a.id}`;
    const rows = this.released
      .filter((row) => row.poolId === poolId && (serviceId === undefined || row.serviceId === serviceId))
      .filter((row) => reason === undefined || row.reason === reason)
      .filter(({ releasedAt }) => (from === undefined || releasedAt >= from) && (to === undefined || releasedAt < to))
      .sort((a, b) => (order(a) > order(b) ? -1 : 1))
      .filter((row) => after === undefined || order(row) < `${after.at} ${after.id}`);
    return Promise.resolve(rows.slice(0, limit));
  }
}

function pick<T>(map: ReadonlyMap<string, T>, ids: readonly string[]): Map<string, T> {
  const found = new Map<string, T>();
  for (const id of ids) {
    const value = map.get(id);
    if (value !== undefined) found.set(id, value);
  }
  return found;
}
