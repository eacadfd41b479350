import { idempotencyKeyReused } from '../../../shared/errors';
import { allocationNotFound, poolNotFound } from './errors';
import {
  type Allocation,
  giveBack,
  type Inventory,
  isOpen,
  leaseFrom,
  type OpenInventory,
  type WaitingRequest,
} from './inventory';
import {
  type AllocateCommand,
  type Order,
  type PoolFact,
  poolsOf,
  type ReleaseCommand,
  type Remembered,
  type State,
} from './pool-commands';
import { type AllocationRequest, enqueue, serveQueue, UNCLAIMED_SECONDS } from './queue';

type Release = Pick<ReleaseCommand, 'releasedBy' | 'reason' | 'traceparent'>;

/** What has been decided so far: the state that was read, and what is to be written over it. */
export class Draft {
  readonly facts: PoolFact[] = [];
  readonly changed = new Map<string, Inventory>();
  readonly allocations: Map<string, Allocation>;
  readonly remembered: Map<string, Remembered>;
  readonly requests: Map<string, AllocationRequest>;

  constructor(
    readonly state: State,
    readonly now: string,
  ) {
    this.allocations = new Map(state.allocations);
    this.remembered = new Map(state.remembered);
    this.requests = new Map(state.requests);
  }

  inventory(poolId: string): Inventory | undefined {
    return this.changed.get(poolId) ?? this.state.inventories.get(poolId);
  }

  opened(poolId: string): OpenInventory {
    const inventory = this.inventory(poolId);
    if (!isOpen(inventory)) throw poolNotFound(poolId);
    return inventory;
  }

  put(inventory: Inventory): void {
    this.changed.set(inventory.poolId, inventory);
  }

  /** An id that belongs to another pool is unknown in this one. */
  held(poolId: string, allocationId: string): Allocation {
    const allocation = this.allocations.get(allocationId);
    if (allocation?.poolId !== poolId) throw allocationNotFound(allocationId);
    return allocation;
  }

  /** What the key stands for, if it was used. */
  answered({ idempotency }: Pick<AllocateCommand, 'idempotency'>): Remembered | undefined {
    const answer = idempotency && this.remembered.get(idempotency.id);
    if (answer && answer.fingerprint !== idempotency.fingerprint) throw idempotencyKeyReused();
    return answer;
  }

  remember({ idempotency }: Pick<AllocateCommand, 'idempotency'>, made: Omit<Remembered, 'fingerprint'>): void {
    if (!idempotency) return;
    const answer = { fingerprint: idempotency.fingerprint, ...made };
    this.remembered.set(idempotency.id, answer);
    this.facts.push({ kind: 'remembered', id: idempotency.id, answer });
  }

  /** An id is used once: made again after its end, it would have two histories under one name. */
  madeBefore(id: string): boolean {
    return this.allocations.has(id) || this.state.ended?.has(id) === true;
  }

  make(allocation: Allocation, traceparent: string | undefined): void {
    this.allocations.set(allocation.id, allocation);
    this.facts.push({ kind: 'allocated', allocation, traceparent });
  }

  release(allocation: Allocation, { releasedBy, reason, traceparent }: Release): void {
    this.put(giveBack(this.opened(allocation.poolId), allocation.capacity, this.now));
    this.allocations.delete(allocation.id);
    this.facts.push({ kind: 'released', allocation, releasedAt: this.now, releasedBy, reason, traceparent });
  }

  /** Grants and drops what waits for the pools of an order. */
  serve(order: Order): void {
    for (const poolId of poolsOf(order)) {
      const before = this.inventory(poolId);
      if (!isOpen(before) || before.waiting.length === 0) continue;
      const { inventory, granted, expired } = serveQueue(before, this.now);
      if (inventory !== before) this.put(inventory);
      for (const request of expired) this.end(poolId, request, 'expired');
      for (const request of granted) {
        const { id, serviceId, capacity, createdBy, taskId, traceparent } = request;
        const lease = leaseFrom(request.leaseSeconds ?? UNCLAIMED_SECONDS, this.now);
        const made = { id, poolId, serviceId, capacity, createdBy, taskId, groupId: null, lease };
        this.make({ ...made, createdAt: this.now, updatedAt: this.now }, traceparent);
        this.end(poolId, request, 'granted');
      }
    }
  }

  /** @throws AppError `allocation.queue_full` */
  wait(before: Inventory, request: WaitingRequest): void {
    this.put(enqueue(before, request, this.now));
    this.note({ ...request, poolId: before.poolId, status: 'waiting', endedAt: null, reason: null });
  }

  end(poolId: string, request: WaitingRequest, status: AllocationRequest['status'], reason?: string): void {
    this.note({ ...request, poolId, status, endedAt: this.now, reason: reason ?? null });
  }

  private note(request: AllocationRequest): void {
    this.requests.set(request.id, request);
    this.facts.push({ kind: 'request', request });
  }
}
