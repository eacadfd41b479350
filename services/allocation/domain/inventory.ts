import { AppError } from '../../../shared/errors';

/** What a pool has to give, and how much of it is given. Counts are whole units of the pool's resource. */
export interface Inventory {
  poolId: string;
  total: number;
  allocated: number;
  /** `closed` is a tombstone: a late or repeated opening must not bring a deleted pool back. */
  state: 'open' | 'closed';
  /**
   * The catalogue numbers the changes that it asks for. Each is decided once: a repeated request gets the same answer,
   * and one that arrives after a later change does nothing. `refused` is the answer to the last one.
   */
  revision: number;
  refused: boolean;
  createdAt: string;
  updatedAt: string;
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
}

export function available(inventory: Inventory): number {
  return Math.max(0, inventory.total - inventory.allocated);
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

export function take(inventory: Inventory, capacity: number, now: string): Inventory {
  if (capacity > available(inventory)) {
    throw new AppError(
      'conflict',
      'allocation.insufficient_capacity',
      'The pool has less free capacity than was asked for; ask for less, wait for a release, or use another pool.',
      { facts: { requested: capacity, available: available(inventory), pool_id: inventory.poolId } },
    );
  }
  return { ...inventory, allocated: inventory.allocated + capacity, updatedAt: now };
}

export function giveBack(inventory: Inventory, capacity: number, now: string): Inventory {
  if (capacity > inventory.allocated) {
    // both numbers change in one transaction only, so this is a bug or a hand in the database, never a race
    throw new Error(
      `pool ${inventory.poolId} has ${inventory.allocated} allocated, of which ${capacity} cannot be given back`,
    );
  }
  return { ...inventory, allocated: inventory.allocated - capacity, updatedAt: now };
}

export function belowAllocated({ allocated }: Inventory, total: number): AppError {
  return new AppError(
    'conflict',
    'pool.capacity_below_allocated',
    'More than that is allocated; release allocations first or choose a larger capacity.',
    { facts: { requested: total, allocated } },
  );
}

export function resize(inventory: Inventory, total: number, now: string): Inventory {
  if (total < inventory.allocated) throw belowAllocated(inventory, total);
  return { ...inventory, total, updatedAt: now };
}

export function inUse({ allocated }: Inventory): AppError {
  return new AppError('conflict', 'pool.in_use', 'The pool has allocations; release them first.', {
    facts: { allocated },
  });
}

export function close(inventory: Inventory, now: string): Inventory {
  if (inventory.allocated > 0) throw inUse(inventory);
  return { ...inventory, total: 0, state: 'closed', updatedAt: now };
}
