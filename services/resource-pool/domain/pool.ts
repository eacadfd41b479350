import { AppError } from '../../../shared/errors';

/** What people say of a pool. `totalCapacity` is in whole units of the resource. */
export interface PoolDescription {
  name: string;
  resourceType: string;
  totalCapacity: number;
  location: string;
}

/**
 * A change that `allocation` must follow is written down here before it is asked of it, and carried on after a crash
 * (application/settle-pool.ts):
 * - `open`: made, its inventory not yet there; nobody can see the pool. - `abandon`: the same, given up; it will vanish,
 *   and with it what the creation's Idempotency-Key stands for.
 * - `resize`: to be changed, the inventory's total with it; `undo` holds what was before: readers see that until the
 *   inventory has agreed, so a refused change was never there.
 * - `close`: to be deleted, unless the inventory is in use.
 */
export type Pending =
  { kind: 'open' | 'abandon'; requestKey: string | null } | { kind: 'close' } | { kind: 'resize'; undo: Undo };

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

/** Changes the description; a new total has to be followed by the inventory. */
export function redescribe(pool: Pool, description: PoolDescription, now: string): Pool {
  const changed = { ...pool, ...description, version: pool.version + 1, updatedAt: now };
  if (description.totalCapacity === pool.totalCapacity) return changed;
  const { name, resourceType, totalCapacity, location, version, updatedAt } = pool;
  const undo = { name, resourceType, totalCapacity, location, version, updatedAt };
  return withPending(changed, { kind: 'resize', undo }, now);
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
