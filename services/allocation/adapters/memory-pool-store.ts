import type { CloudEvent } from '../../../shared/contracts/events';
import { ConflictError } from '../../../shared/dapr/sidecar-error';
import type { Allocation, Inventory, OpenInventory, ReleasedAllocation } from '../domain/inventory';
import { isOfKind, type Kind } from '../domain/placement';
import type { Decision, PoolFact, Remembered } from '../domain/pool-commands';
import type { AllocationRequest } from '../domain/queue';
import type { AllocationFilter, HistoryFilter, PoolStore, Snapshot, Wanted } from '../ports/pool-store';
import { eventOf } from './rows';

/** The store in memory, with the same promises. `fail` makes the next commits conflict, or lose their answer. */
export class MemoryPoolStore implements PoolStore {
  readonly events: CloudEvent[] = [];
  /** What happens to coming commits, first one first. */
  readonly fail: ('conflict' | Error | { writtenButLost: Error })[] = [];
  private readonly pools = new Map<string, { inventory: Inventory; version: number }>();
  private readonly allocations = new Map<string, Allocation>();
  private readonly released: ReleasedAllocation[] = [];
  private readonly ended = new Set<string>();
  private readonly answers = new Map<string, Remembered>();
  private readonly asked = new Map<string, AllocationRequest>();

  read({ poolIds, allocationIds, rememberedIds, requestIds }: Wanted): Promise<Snapshot> {
    const pools = pick(this.pools, poolIds);
    const versions = new Map<string, number>();
    for (const id of poolIds) versions.set(id, pools.get(id)?.version ?? 0);
    return Promise.resolve({
      inventories: new Map([...pools].map(([id, { inventory }]) => [id, inventory])),
      allocations: pick(this.allocations, allocationIds),
      remembered: pick(this.answers, rememberedIds),
      ended: new Set(allocationIds.filter((id) => this.ended.has(id))),
      requests: pick(this.asked, requestIds),
      versions,
    });
  }

  async commit(snapshot: Snapshot, { facts, inventories }: Decision): Promise<void> {
    const failure = this.fail.shift();
    if (failure instanceof Error) throw failure;
    const versions = snapshot.versions as ReadonlyMap<string, number>;
    const stale = [...inventories.keys()].some((id) => (this.pools.get(id)?.version ?? 0) !== versions.get(id));
    const exists = facts.some((fact) => fact.kind === 'remembered' && this.answers.has(fact.id));
    // a renewal changes no inventory: the allocation's own version must be the one that was read
    const moved = facts.some((fact) => {
      if (fact.kind === 'remembered' || fact.kind === 'request') return false;
      const { id } = fact.allocation;
      return this.allocations.get(id) !== snapshot.allocations.get(id);
    });
    if (failure === 'conflict' || stale || exists || moved) throw new ConflictError('possible etag mismatch');
    for (const [id, inventory] of inventories) {
      this.pools.set(id, { inventory, version: (versions.get(id) ?? 0) + 1 });
    }
    for (const fact of facts) this.write(fact);
    await Promise.resolve();
    if (failure) throw failure.writtenButLost;
  }

  private write(fact: PoolFact): void {
    if (fact.kind === 'remembered') this.answers.set(fact.id, fact.answer);
    else if (fact.kind === 'request') this.asked.set(fact.request.id, fact.request);
    else if (fact.kind === 'renewed') this.allocations.set(fact.allocation.id, fact.allocation);
    else if (fact.kind === 'allocated') this.allocations.set(fact.allocation.id, fact.allocation);
    else {
      const { allocation, releasedAt, releasedBy, reason } = fact;
      this.allocations.delete(allocation.id);
      this.released.push({ ...allocation, releasedAt, releasedBy, reason });
      this.ended.add(allocation.id);
    }
    const event = eventOf(fact);
    if (event) this.events.push(event);
  }

  allocation(id: string): Promise<Allocation | undefined> {
    return Promise.resolve(this.allocations.get(id));
  }

  remembered(id: string): Promise<Remembered | undefined> {
    return Promise.resolve(this.answers.get(id));
  }

  requests(ids: readonly string[]): Promise<AllocationRequest[]> {
    return Promise.resolve([...pick(this.asked, ids).values()]);
  }

  overdueQueues(now: string, limit: number): Promise<string[]> {
    const overdue = [...this.pools].filter(([, { inventory }]) =>
      inventory.waiting.some(({ expiresAt }) => expiresAt <= now),
    );
    return Promise.resolve(overdue.slice(0, limit).map(([id]) => id));
  }

  async remember(id: string, answer: Remembered): Promise<void> {
    if (this.answers.has(id)) throw new ConflictError('no item was updated');
    this.answers.set(id, answer);
  }

  inventories(poolIds: readonly string[]): Promise<Inventory[]> {
    return Promise.resolve([...pick(this.pools, poolIds).values()].map(({ inventory }) => inventory));
  }

  inventoriesOfKind(kind: Kind): Promise<OpenInventory[]> {
    const all = [...this.pools.values()].map(({ inventory }) => inventory);
    return Promise.resolve(all.filter((inventory) => isOfKind(inventory, kind)));
  }

  listAllocations({ poolId, serviceId, after, limit }: AllocationFilter): Promise<Allocation[]> {
    const order = (a: { createdAt: string; id: string }) => `${a.createdAt} ${a.id}`;
    const rows = [...this.allocations.values()]
      .filter((row) => row.poolId === poolId && (serviceId === undefined || row.serviceId === serviceId))
      .sort((a, b) => (order(a) < order(b) ? -1 : 1))
      .filter((row) => after === undefined || order(row) > `${after.at} ${after.id}`);
    return Promise.resolve(rows.slice(0, limit));
  }

  expiredLeases(now: string, limit: number): Promise<Allocation[]> {
    const end = ({ lease }: Allocation) => lease?.expiresAt ?? '9999';
    const rows = [...this.allocations.values()].filter((row) => end(row) <= now);
    return Promise.resolve(rows.sort((a, b) => (end(a) < end(b) ? -1 : 1)).slice(0, limit));
  }

  groupMembers(groupId: string): Promise<Allocation[]> {
    return Promise.resolve([...this.allocations.values()].filter((row) => row.groupId === groupId));
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
