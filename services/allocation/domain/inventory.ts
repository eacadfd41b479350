import { capacityOf, type ResizeMode, type Terms } from '../../../shared/contracts/inventory';
import { AppError } from '../../../shared/errors';

/** What a pool has to give, and how much of it is given. Counts are whole units of the pool's resource. */
export interface Inventory extends Omit<Terms, 'state'> {
  poolId: string;
  allocated: number;
  /** `closed` is a tombstone: a late or repeated opening must not bring a deleted pool back. */
  state: Terms['state'] | 'closed';
  /** Set while more is allocated than there is because a change was allowed to leave it so. */
  overAllowed: boolean;
  /** Until the next change of the terms. */
  drain: Drain | null;
  /**
   * The catalogue numbers the changes that it asks for. Each is decided once: a repeated request gets the same answer,
   * and one that arrives after a later change does nothing. `refused` is the answer to the last one.
   */
  revision: number;
  refused: boolean;
  createdAt: string;
  updatedAt: string;
}

/** A pool that is emptied, or comes down to a smaller capacity; `to` is what may be left allocated. */
export interface Drain {
  to: number;
  since: string;
  /** When it had come there, in the transaction of the last release. */
  drainedAt: string | null;
}

/** A part of a pool that a service holds until it releases it. */
export interface Allocation {
  id: string;
  poolId: string;
  serviceId: string;
  capacity: number;
  createdAt: string;
  /** `sub` of the caller. */
  createdBy: string;
  /** The task that holds it, when a task does. */
  taskId: string | null;
  /** Made together with others, all or nothing. */
  groupId: string | null;
  lease: Lease | null;
  updatedAt: string;
}

const NUMBERS = ['total', 'reserved', 'allocationRatio', 'minUnit', 'maxUnit', 'stepSize'] as const;

/** What holds an allocation for a time only: whoever holds it renews it, or is taken to be gone. */
export interface Lease {
  seconds: number;
  expiresAt: string;
}

export function leaseFrom(seconds: number | null, now: string): Lease | null {
  return seconds === null ? null : { seconds, expiresAt: new Date(Date.parse(now) + seconds * 1000).toISOString() };
}

/** What is left of an allocation after its release. */
export interface ReleasedAllocation extends Allocation {
  releasedAt: string;
  /** A `sub`, or `system`. */
  releasedBy: string;
  /** Why it ended: `released`, `expired`; an open set. */
  reason: string;
}

export type OpenInventory = Inventory & { state: Terms['state'] };

/** True for one of a pool that exists, whether it takes allocations at the moment or not. */
export function isOpen(inventory: Inventory | undefined): inventory is OpenInventory {
  return inventory !== undefined && inventory.state !== 'closed';
}

export function available(inventory: Inventory): number {
  return Math.max(0, capacityOf(inventory) - inventory.allocated);
}

export function poolNotFound(poolId: string): AppError {
  return new AppError('not_found', 'pool.not_found', 'There is no such resource pool.', { facts: { pool_id: poolId } });
}

export function allocationNotFound(allocationId: string): AppError {
  return new AppError('not_found', 'allocation.not_found', 'There is no such allocation; it may have been released.', {
    facts: { allocation_id: allocationId },
  });
}

export function heldByTask({ id, taskId }: Allocation): AppError {
  return new AppError(
    'conflict',
    'allocation.held_by_task',
    'A running task holds this allocation; stop the task instead.',
    {
      facts: { allocation_id: id, task_id: taskId },
    },
  );
}

export function groupNotFound(groupId: string): AppError {
  return new AppError('not_found', 'group.not_found', 'There is no such group; it may have been released.', {
    facts: { allocation_group_id: groupId },
  });
}

export function notLeased({ id }: Allocation): AppError {
  const detail =
    'This allocation has no lease to renew: it is held until it is released, or until you say lease_seconds.';
  return new AppError('conflict', 'allocation.not_leased', detail, { facts: { allocation_id: id } });
}

/**
 * Why the pool does not take an allocation of that size at this moment: one of REFUSED_GRANTS, first what no waiting will
 * cure. The one rule for grants, candidates and placements.
 */
export function refusalOf(inventory: Inventory, capacity: number): AppError | undefined {
  return portionRefused(inventory, capacity) ?? stateRefuses(inventory) ?? tooLittleLeft(inventory, capacity);
}

function portionRefused({ poolId, minUnit, maxUnit, stepSize }: Inventory, capacity: number): AppError | undefined {
  const facts = { requested: capacity, pool_id: poolId };
  if (capacity < minUnit) {
    const detail = 'The pool gives no portion as small as that; ask for min_unit or more.';
    return new AppError('conflict', 'allocation.below_min_unit', detail, { facts: { ...facts, min_unit: minUnit } });
  }
  if (maxUnit !== null && capacity > maxUnit) {
    const detail = 'The pool gives no portion as large as that; ask for max_unit or less.';
    return new AppError('conflict', 'allocation.above_max_unit', detail, { facts: { ...facts, max_unit: maxUnit } });
  }
  if (capacity % stepSize !== 0) {
    const detail = 'The pool gives whole steps only; ask for a multiple of step_size.';
    return new AppError('conflict', 'allocation.not_a_step', detail, { facts: { ...facts, step_size: stepSize } });
  }
  return undefined;
}

function stateRefuses({ poolId, state }: Inventory): AppError | undefined {
  const facts = { pool_id: poolId };
  if (state === 'cordoned') {
    const detail = 'The pool takes no new allocations at the moment; use another pool, or wait until it is open again.';
    return new AppError('conflict', 'pool.cordoned', detail, { facts });
  }
  if (state === 'draining') {
    const detail = 'The pool is being emptied and takes no new allocations; use another pool.';
    return new AppError('conflict', 'pool.draining', detail, { facts });
  }
  return undefined;
}

function tooLittleLeft(inventory: Inventory, capacity: number): AppError | undefined {
  if (capacity <= available(inventory)) return undefined;
  return new AppError(
    'conflict',
    'allocation.insufficient_capacity',
    'The pool has less free capacity than was asked for; ask for less, wait for a release, or use another pool.',
    { facts: { requested: capacity, available: available(inventory), pool_id: inventory.poolId } },
  );
}

/** @throws AppError `refusalOf` */
export function take(inventory: Inventory, capacity: number, now: string): Inventory {
  const refusal = refusalOf(inventory, capacity);
  if (refusal) throw refusal;
  return { ...inventory, allocated: inventory.allocated + capacity, updatedAt: now };
}

export function giveBack(inventory: Inventory, capacity: number, now: string): Inventory {
  if (capacity > inventory.allocated) {
    // both numbers change in one transaction only, so this is a bug or a hand in the database, never a race
    throw new Error(
      `pool ${inventory.poolId} has ${inventory.allocated} allocated, of which ${capacity} cannot be given back`,
    );
  }
  return settledDown({ ...inventory, allocated: inventory.allocated - capacity, updatedAt: now }, now);
}

/** Notes whether the pool has come down to where it is to be. */
function settledDown(inventory: Inventory, now: string): Inventory {
  const { allocated, drain, overAllowed } = inventory;
  return {
    ...inventory,
    overAllowed: overAllowed && allocated > capacityOf(inventory),
    drain: drain && drain.drainedAt === null && allocated <= drain.to ? { ...drain, drainedAt: now } : drain,
  };
}

export function belowAllocated({ allocated }: Inventory, terms: Terms): AppError {
  return new AppError(
    'conflict',
    'pool.capacity_below_allocated',
    'More than that is allocated; release allocations first, choose a larger capacity, or say ?resize=allow or drain.',
    { facts: { requested: capacityOf(terms), allocated } },
  );
}

/**
 * Takes over new terms. A pool over its capacity already may be changed as long as that makes it no worse.
 * @throws AppError `pool.capacity_below_allocated`, with mode `refuse`
 */
export function changeTerms(before: Inventory, terms: Terms, mode: ResizeMode, now: string): Inventory {
  const capacity = capacityOf(terms);
  const over = before.allocated > capacity;
  if (over && mode === 'refuse' && capacity < capacityOf(before)) throw belowAllocated(before, terms);
  return settledDown(
    { ...before, ...terms, overAllowed: over, drain: drainOf(before, terms, mode, now), updatedAt: now },
    now,
  );
}

function drainOf(before: Inventory, terms: Terms, mode: ResizeMode, now: string): Drain | null {
  // a change of what a pool is called by leaves it as it is
  if (mode !== 'drain' && terms.state === before.state && sameNumbers(before, terms)) return before.drain;
  if (terms.state === 'draining') {
    // a change of something else does not begin it anew
    return before.state === 'draining' && before.drain ? before.drain : { to: 0, since: now, drainedAt: null };
  }
  return mode === 'drain' ? { to: capacityOf(terms), since: now, drainedAt: null } : null;
}

function sameNumbers(a: Terms | Inventory, b: Terms): boolean {
  return NUMBERS.every((name) => a[name] === b[name]);
}

export function inUse({ allocated }: Inventory): AppError {
  return new AppError('conflict', 'pool.in_use', 'The pool has allocations; release them first.', {
    facts: { allocated },
  });
}

export function close(inventory: Inventory, now: string): Inventory {
  if (inventory.allocated > 0) throw inUse(inventory);
  return { ...inventory, total: 0, reserved: 0, state: 'closed', drain: null, updatedAt: now };
}
