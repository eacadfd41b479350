import { DEFAULT_TERMS, type Terms } from '../../../shared/contracts/inventory';
import { AppError, idempotencyKeyReused } from '../../../shared/errors';
import {
  type Allocation,
  allocationNotFound,
  belowAllocated,
  changeTerms,
  close,
  giveBack,
  groupNotFound,
  heldByTask,
  inUse,
  type Inventory,
  isOpen,
  leaseFrom,
  notLeased,
  poolNotFound,
  take,
} from './inventory';
import type {
  AllocateCommand,
  AllocateGroupCommand,
  Decision,
  NewTerms,
  Order,
  Outcome,
  PoolFact,
  ReleaseCommand,
  ReleaseGroupCommand,
  State,
} from './pool-commands';

/**
 * Decides orders one after the other, first come first served, as if each had the pools to itself. Pure: what it says
 * holds once `facts` and `inventories` are written against the versions that `state` was read with.
 */
export function decide(state: State, orders: readonly Order[], now: string): Decision {
  const work = new Work(state, now);
  const outcomes = orders.map((order): Outcome => {
    try {
      const madeId = work.carryOut(order);
      return { ok: true, ...(madeId === undefined ? {} : { madeId }) };
    } catch (error) {
      return { ok: false, error: error instanceof Error ? error : new Error(String(error)) };
    }
  });
  return { outcomes, facts: work.facts, inventories: work.changed };
}

type Release = Pick<ReleaseCommand, 'releasedBy' | 'reason' | 'traceparent'>;

class Work {
  readonly facts: PoolFact[] = [];
  readonly changed = new Map<string, Inventory>();
  private readonly allocations: Map<string, Allocation>;
  private readonly remembered: Map<string, { fingerprint: string; madeId: string }>;

  constructor(
    private readonly state: State,
    private readonly now: string,
  ) {
    this.allocations = new Map(state.allocations);
    this.remembered = new Map(state.remembered);
  }

  /** @returns the id of the allocation or group that was made or changed */
  carryOut(order: Order): string | undefined {
    switch (order.kind) {
      case 'allocate':
        return this.allocate(order.poolId, order);
      case 'allocate_group':
        return this.allocateGroup(order);
      case 'release': {
        const allocation = this.held(order.poolId, order.allocationId);
        if (allocation.taskId !== null && !order.forTask) throw heldByTask(allocation);
        this.release(allocation, order);
        return allocation.id;
      }
      case 'release_group':
        return this.releaseGroup(order);
      case 'renew': {
        const allocation = this.held(order.poolId, order.allocationId);
        if (allocation.taskId !== null && !order.forTask) throw heldByTask(allocation);
        if (order.seconds === undefined && allocation.lease === null) throw notLeased(allocation);
        const seconds = order.seconds === undefined ? (allocation.lease?.seconds ?? null) : order.seconds;
        const renewed = { ...allocation, lease: leaseFrom(seconds, this.now), updatedAt: this.now };
        this.allocations.set(renewed.id, renewed);
        this.facts.push({ kind: 'renewed', allocation: renewed });
        return renewed.id;
      }
      case 'expire': {
        const allocation = this.allocations.get(order.allocationId);
        if (!allocation?.lease || allocation.lease.expiresAt > this.now) return undefined;
        this.release(allocation, { releasedBy: 'system', reason: 'expired' });
        return allocation.id;
      }
      case 'open': {
        const before = this.inventory(order.poolId);
        if (before?.state === 'closed') throw poolNotFound(order.poolId);
        if (!before) this.put(newInventory(order.poolId, termsOf(order), order.revision, this.now));
        return undefined;
      }
      case 'resize': {
        const terms = termsOf(order);
        this.change(
          order.poolId,
          order.revision,
          (before) => belowAllocated(before, terms),
          (before) => changeTerms(before, terms, order.mode ?? 'refuse', this.now),
        );
        return undefined;
      }
      case 'close': {
        const { poolId, revision } = order;
        const before = this.inventory(poolId);
        if (!before) {
          // a pool that was never opened is closed too, so that an opening still on its way comes too late
          const never = newInventory(poolId, { ...DEFAULT_TERMS, total: 0 }, revision, this.now);
          this.put({ ...never, state: 'closed' });
        } else if (isOpen(before)) this.change(poolId, revision, inUse, (open) => close(open, this.now));
        return undefined;
      }
    }
  }

  private inventory(poolId: string): Inventory | undefined {
    return this.changed.get(poolId) ?? this.state.inventories.get(poolId);
  }

  private opened(poolId: string): Inventory {
    const inventory = this.inventory(poolId);
    if (!isOpen(inventory)) throw poolNotFound(poolId);
    return inventory;
  }

  private put(inventory: Inventory): void {
    this.changed.set(inventory.poolId, inventory);
  }

  /** An id that belongs to another pool is unknown in this one. */
  private held(poolId: string, allocationId: string): Allocation {
    const allocation = this.allocations.get(allocationId);
    if (allocation?.poolId !== poolId) throw allocationNotFound(allocationId);
    return allocation;
  }

  /** What the key stands for, if it was used. */
  private answered({ idempotency }: Pick<AllocateCommand, 'idempotency'>): string | undefined {
    const answer = idempotency && this.remembered.get(idempotency.id);
    if (answer && answer.fingerprint !== idempotency.fingerprint) throw idempotencyKeyReused();
    return answer?.madeId;
  }

  private remember({ idempotency }: Pick<AllocateCommand, 'idempotency'>, madeId: string): void {
    if (!idempotency) return;
    const answer = { fingerprint: idempotency.fingerprint, madeId };
    this.remembered.set(idempotency.id, answer);
    this.facts.push({ kind: 'remembered', id: idempotency.id, answer });
  }

  /** An id is used once: made again after its end, it would have two histories under one name. */
  private madeBefore(id: string): boolean {
    return this.allocations.has(id) || this.state.ended?.has(id) === true;
  }

  private make(allocation: Allocation, traceparent: string | undefined): void {
    this.allocations.set(allocation.id, allocation);
    this.facts.push({ kind: 'allocated', allocation, traceparent });
  }

  private allocate(poolId: string, command: AllocateCommand): string {
    const { leaseSeconds, ...wanted } = command.allocation;
    const answer = this.answered(command);
    if (answer !== undefined) {
      // a task's, under an id of the caller's choosing: given back since, so this request comes late
      if (wanted.taskId !== null && !this.allocations.has(answer)) throw alreadyGivenBack(answer);
      return answer;
    }
    // the same id again: an answer was lost on the way
    if (this.madeBefore(wanted.id)) return wanted.id;
    const { now } = this;
    this.put(take(this.opened(poolId), wanted.capacity, now));
    const lease = leaseFrom(leaseSeconds, now);
    this.make({ ...wanted, poolId, groupId: null, lease, createdAt: now, updatedAt: now }, command.traceparent);
    this.remember(command, wanted.id);
    return wanted.id;
  }

  private allocateGroup(command: AllocateGroupCommand): string {
    const answer = this.answered(command);
    if (answer !== undefined) return answer;
    const { groupId, serviceId, createdBy, claims, traceparent } = command;
    // the same ids again: an answer of the store was lost on the way
    if (claims.some(({ allocationId }) => this.madeBefore(allocationId))) return groupId;
    // all of them on copies first: a claim that cannot be met leaves nothing behind
    const drawn = new Map<string, Inventory>();
    for (const { poolId, capacity } of claims) {
      drawn.set(poolId, take(drawn.get(poolId) ?? this.opened(poolId), capacity, this.now));
    }
    for (const inventory of drawn.values()) this.put(inventory);
    const times = { createdAt: this.now, updatedAt: this.now };
    for (const { allocationId: id, poolId, capacity } of claims) {
      const allocation = { id, poolId, serviceId, capacity, createdBy, taskId: null, groupId, lease: null, ...times };
      this.make(allocation, traceparent);
    }
    this.remember(command, groupId);
    return groupId;
  }

  private releaseGroup({ groupId, members, releasedBy, traceparent }: ReleaseGroupCommand): string {
    const held = members.flatMap(({ allocationId }) => this.allocations.get(allocationId) ?? []);
    const ours = held.filter((allocation) => allocation.groupId === groupId);
    if (ours.length === 0) throw groupNotFound(groupId);
    for (const allocation of ours) this.release(allocation, { releasedBy, reason: 'released', traceparent });
    return groupId;
  }

  private release(allocation: Allocation, { releasedBy, reason, traceparent }: Release): void {
    this.put(giveBack(this.opened(allocation.poolId), allocation.capacity, this.now));
    this.allocations.delete(allocation.id);
    this.facts.push({ kind: 'released', allocation, releasedAt: this.now, releasedBy, reason, traceparent });
  }

  /** Decides a numbered change once; a refusal is written down too, so that the change can never succeed later. */
  private change(
    poolId: string,
    revision: number,
    refusal: (before: Inventory) => AppError,
    work: (before: Inventory) => Inventory,
  ): void {
    const before = this.opened(poolId);
    if (revision < before.revision) throw superseded(poolId);
    if (revision === before.revision) {
      if (before.refused) throw refusal(before);
      return;
    }
    try {
      this.put({ ...work(before), revision, refused: false });
    } catch (error) {
      this.put({ ...before, revision, refused: true });
      throw error;
    }
  }
}

function termsOf(command: NewTerms): Terms {
  const { total, reserved, allocationRatio, minUnit, maxUnit, stepSize, state } = { ...DEFAULT_TERMS, ...command };
  return { total, reserved, allocationRatio, minUnit, maxUnit, stepSize, state };
}

function newInventory(poolId: string, terms: Terms, revision: number, now: string): Inventory {
  const empty = {
    poolId,
    allocated: 0,
    overAllowed: false,
    drain: null,
    revision,
    refused: false,
    createdAt: now,
    updatedAt: now,
  };
  // a pool that is opened for being emptied is empty
  return changeTerms({ ...empty, ...terms }, terms, 'refuse', now);
}

function alreadyGivenBack(allocationId: string): AppError {
  return new AppError('conflict', 'allocation.given_back', 'What was taken under this id has been given back.', {
    facts: { allocation_id: allocationId },
  });
}

function superseded(poolId: string): AppError {
  return new AppError('conflict', 'pool.change_superseded', 'A later change of this pool was decided already.', {
    facts: { pool_id: poolId },
  });
}
