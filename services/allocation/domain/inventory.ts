import { capacityOf, DEFAULT_TERMS, pickTerms, type ResizeMode, type Terms } from '../../../shared/contracts/inventory';
import { AppError } from '../../../shared/errors';
import { belowAllocated, inUse } from './errors';

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
  /** Who waits for a part of it: by priority, then first come. */
  waiting: readonly WaitingRequest[];
  createdAt: string;
  updatedAt: string;
}

/** A request that was not met at once, and waits. */
export interface WaitingRequest {
  /** Of the request, and of the allocation that is made of it. */
  id: string;
  serviceId: string;
  capacity: number;
  /** The larger goes first. */
  priority: number;
  leaseSeconds: number | null;
  createdBy: string;
  /** The task that wants it, when a task does. */
  taskId: string | null;
  createdAt: string;
  /** Until then it waits. */
  expiresAt: string;
  traceparent?: string | undefined;
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
  return seconds === null ? null : { seconds, expiresAt: laterBy(seconds, now) };
}

export function laterBy(seconds: number, now: string): string {
  return new Date(Date.parse(now) + seconds * 1000).toISOString();
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

/** What no waiting will cure: the pool gives no such portion. */
function portionRefusal({ poolId, minUnit, maxUnit, stepSize }: Inventory, capacity: number): AppError | undefined {
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

function stateRefusal({ poolId, state }: Inventory): AppError | undefined {
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

function shortage(inventory: Inventory, capacity: number): AppError | undefined {
  return capacity <= available(inventory) ? undefined : insufficient(inventory, capacity);
}

/** Also for who waited in vain: by now there may be enough. */
export function insufficient(inventory: Inventory, capacity: number): AppError {
  return new AppError(
    'conflict',
    'allocation.insufficient_capacity',
    'The pool has less free capacity than was asked for; ask for less, wait for a release, or use another pool.',
    { facts: { requested: capacity, available: available(inventory), pool_id: inventory.poolId } },
  );
}

/** Why it does not go to whoever is next in line: one of REFUSED_GRANTS, first what no waiting will cure. */
export function refusalAtHead(inventory: Inventory, capacity: number): AppError | undefined {
  return portionRefusal(inventory, capacity) ?? stateRefusal(inventory) ?? shortage(inventory, capacity);
}

/** True for one that a release can ever satisfy, so that others may have to wait for it. */
export function canEverTake(inventory: Inventory, capacity: number): boolean {
  return capacity <= capacityOf(inventory) && portionRefusal(inventory, capacity) === undefined;
}

/**
 * Why a new request is not met now: as `refusalAtHead`, or others of its priority or a higher one wait already and the
 * pool's policy lets nobody overtake them.
 */
export function refusalOf(inventory: Inventory, capacity: number, priority = 0): AppError | undefined {
  const { poolId, queuePolicy, waiting } = inventory;
  const refusal = refusalAtHead(inventory, capacity);
  if (refusal || queuePolicy === 'best_effort') return refusal;
  const before = waiting.filter((other) => other.priority >= priority && canEverTake(inventory, other.capacity));
  if (before.length === 0) return undefined;
  const detail = 'Others wait for this pool and go first; say wait_seconds to wait in line, or use another pool.';
  return new AppError('conflict', 'allocation.others_wait', detail, {
    facts: { requested: capacity, available: available(inventory), waiting: before.length, pool_id: poolId },
  });
}

/** @throws AppError see refusalOf */
export function take(inventory: Inventory, capacity: number, now: string): Inventory {
  const refusal = refusalOf(inventory, capacity);
  if (refusal) throw refusal;
  return taken(inventory, capacity, now);
}

/** After a grant that nothing was said against. */
export function taken(inventory: Inventory, capacity: number, now: string): Inventory {
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

/** Of a pool that nobody has used yet; terms that are not given have their defaults. */
export function newInventory(
  poolId: string,
  given: Partial<Terms> & Pick<Terms, 'total'>,
  revision: number,
  now: string,
): Inventory {
  const terms = pickTerms({ ...DEFAULT_TERMS, ...given });
  const empty = {
    poolId,
    allocated: 0,
    overAllowed: false,
    drain: null,
    revision,
    refused: false,
    waiting: [],
    createdAt: now,
    updatedAt: now,
  };
  // a pool that is opened for being emptied is empty
  return changeTerms({ ...empty, ...terms, state: 'open' }, terms, 'refuse', now);
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

export function close(inventory: Inventory, now: string): Inventory {
  if (inventory.allocated > 0) throw inUse(inventory);
  return { ...inventory, total: 0, reserved: 0, state: 'closed', drain: null, waiting: [], updatedAt: now };
}
