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
 * - `open`: made, its inventory not yet there; nobody can see the pool. - `abandon`: the same, given up; it will vanish.
 * - `resize`: changed, the inventory's total follows; `undo` holds what was before, should it be refused.
 * - `close`: to be deleted, unless the inventory is in use.
 */
export type Pending = { kind: 'open' | 'abandon' | 'close' } | { kind: 'resize'; undo: PoolDescription & { updatedAt: string } };

export interface Pool extends PoolDescription {
  id: string;
  /** Grows with every change that a reader can see; the ETag. */
  version: number;
  createdAt: string;
  updatedAt: string;
  pending: Pending | null;
  /** When `pending` was set. */
  pendingSince: string | null;
}

export function newPool(id: string, description: PoolDescription, now: string): Pool {
  return { id, ...description, version: 1, createdAt: now, updatedAt: now, pending: { kind: 'open' }, pendingSince: now };
}

/** A pool that was not opened yet, or never will be, does not exist for readers. */
export function isVisible(pool: Pool): boolean {
  return pool.pending?.kind !== 'open' && pool.pending?.kind !== 'abandon';
}

export function withPending(pool: Pool, pending: Pending, now: string): Pool {
  return { ...pool, pending, pendingSince: now };
}

export function settled(pool: Pool): Pool {
  return { ...pool, pending: null, pendingSince: null };
}

/** Changes the description; a new total has to be followed by the inventory. */
export function redescribe(pool: Pool, description: PoolDescription, now: string): Pool {
  const changed = { ...pool, ...description, version: pool.version + 1, updatedAt: now };
  if (description.totalCapacity === pool.totalCapacity) return changed;
  const { name, resourceType, totalCapacity, location, updatedAt } = pool;
  return withPending(changed, { kind: 'resize', undo: { name, resourceType, totalCapacity, location, updatedAt } }, now);
}

/** Back to what it was before a resize that was refused; the version grows, since readers may have seen the other. */
export function undone(pool: Pool): Pool {
  const undo = pool.pending?.kind === 'resize' ? pool.pending.undo : {};
  return { ...settled(pool), ...undo, version: pool.version + 1 };
}

export function poolNotFound(id: string): AppError {
  return new AppError('not_found', 'pool.not_found', 'There is no such resource pool.', { facts: { pool_id: id } });
}
