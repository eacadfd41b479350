import { capacityOf, DEFAULT_TERMS, pickTerms, type ResizeMode, type Terms } from '../../../shared/contracts/inventory';
import { AppError, type FieldFault, invalid } from '../../../shared/errors';

/** What people say of a pool. `totalCapacity` is in whole units of the resource. */
export interface PoolDescription extends Omit<Terms, 'total'> {
  name: string;
  totalCapacity: number;
}

/** The same as it is asked for. What is left out stays as it is, or has its default in a new pool. */
export type PoolRequest = Pick<PoolDescription, 'name' | 'resourceType' | 'totalCapacity' | 'location'> &
  Partial<PoolDescription>;

/**
 * A change that `allocation` must follow is written down here before it is asked of it, and carried on after a crash
 * (application/settle-pool.ts):
 * - `open`: made, its inventory not yet there; nobody can see the pool. - `abandon`: the same, given up; it will vanish,
 *   and with it what the creation's Idempotency-Key stands for.
 * - `resize`: to be changed, the inventory's terms with it; `undo` holds what was before: readers see that until the
 *   inventory has agreed, so a refused change was never there.
 * - `close`: to be deleted, unless the inventory is in use.
 */
export type Pending =
  | { kind: 'open' | 'abandon'; requestKey: string | null }
  | { kind: 'close' }
  | { kind: 'resize'; mode: ResizeMode; undo: Undo };

/** What a resize replaces. */
export type Undo = PoolDescription & Pick<Pool, 'version' | 'updatedAt'>;

export interface Pool extends PoolDescription {
  id: string;
  /** Grows with every change that a reader can see; the ETag. */
  version: number;
  /** Numbers the changes that `allocation` must follow: it decides each once, and none after a later one. */
  revision: number;
  createdAt: string;
  updatedAt: string;
  pending: Pending | null;
  /** When `pending` was set. */
  pendingSince: string | null;
}

/** @throws AppError `request.invalid` when the fields do not fit together */
export function newDescription(request: PoolRequest): PoolDescription {
  return demandSense({ ...DEFAULT_TERMS, ...request });
}

/** Holds what no field alone can: a pool that could never give anything is a slip of the pen. */
function demandSense(description: PoolDescription): PoolDescription {
  const { totalCapacity, reserved, minUnit, maxUnit, stepSize } = description;
  const faults: FieldFault[] = [];
  if (reserved > totalCapacity)
    faults.push({ field: 'body.reserved', message: 'must not be more than total_capacity' });
  else if (capacityOf(termsOf(description)) > Number.MAX_SAFE_INTEGER) {
    faults.push({ field: 'body.allocation_ratio', message: 'makes the capacity 2^53 or more' });
  }
  if (maxUnit !== null && maxUnit < minUnit) {
    faults.push({ field: 'body.max_unit', message: 'must not be less than min_unit' });
  } else if (maxUnit !== null && Math.floor(maxUnit / stepSize) * stepSize < minUnit) {
    faults.push({ field: 'body.step_size', message: 'has no multiple from min_unit to max_unit' });
  }
  if (faults.length > 0) throw invalid(faults);
  return description;
}

/** What the inventory has to follow. */
export function termsOf(description: PoolDescription): Terms {
  return pickTerms({ ...description, total: description.totalCapacity });
}

/** @param requestKey what the creation's Idempotency-Key is remembered under */
export function newPool(id: string, description: PoolDescription, now: string, requestKey: string | null): Pool {
  const pending: Pending = { kind: 'open', requestKey };
  return { id, ...description, version: 1, revision: 1, createdAt: now, updatedAt: now, pending, pendingSince: now };
}

/** A pool that was not opened yet, or never will be, does not exist for readers. */
export function isVisible(pool: Pool): boolean {
  return pool.pending?.kind !== 'open' && pool.pending?.kind !== 'abandon';
}

export function withPending(pool: Pool, pending: Pending, now: string): Pool {
  return { ...pool, revision: pool.revision + 1, pending, pendingSince: now };
}

/** Gives up a creation that did not come to its end; any other pool stays as it is. */
export function abandoned(pool: Pool, now: string): Pool {
  if (pool.pending?.kind !== 'open') return pool;
  return withPending(pool, { kind: 'abandon', requestKey: pool.pending.requestKey }, now);
}

export function settled(pool: Pool): Pool {
  return { ...pool, pending: null, pendingSince: null };
}

/**
 * Changes the description; new terms have to be followed by the inventory.
 * @throws AppError `request.invalid` when what comes of it does not fit together
 */
export function redescribe(pool: Pool, request: PoolRequest, mode: ResizeMode, now: string): Pool {
  const changed = { ...pool, ...request, version: pool.version + 1, updatedAt: now };
  demandSense(changed);
  // to drain is a change of the inventory also where the numbers stay: it may be over its capacity
  if (mode !== 'drain' && JSON.stringify(termsOf(changed)) === JSON.stringify(termsOf(pool))) return changed;
  const { name, version, updatedAt } = pool;
  const { total: totalCapacity, ...terms } = termsOf(pool);
  const undo = { name, totalCapacity, ...terms, version, updatedAt };
  return withPending(changed, { kind: 'resize', mode, undo }, now);
}

/** What readers see of it. */
export function shown(pool: Pool): Pool {
  return pool.pending?.kind === 'resize' ? { ...pool, ...pool.pending.undo } : pool;
}

/** Back to what it was before a resize that was refused. */
export function undone(pool: Pool): Pool {
  return settled(shown(pool));
}

export function poolNotFound(id: string): AppError {
  return new AppError('not_found', 'pool.not_found', 'There is no such resource pool.', { facts: { pool_id: id } });
}
