import { capacityOf, type Terms } from '../../../shared/contracts/inventory';
import { AppError } from '../../../shared/errors';

export function poolNotFound(poolId: string): AppError {
  return new AppError('not_found', 'pool.not_found', 'There is no such resource pool.', { facts: { pool_id: poolId } });
}

export function allocationNotFound(allocationId: string): AppError {
  return new AppError('not_found', 'allocation.not_found', 'There is no such allocation; it may have been released.', {
    facts: { allocation_id: allocationId },
  });
}

export function heldByTask({ id, taskId }: { id: string; taskId: string | null }): AppError {
  return new AppError(
    'conflict',
    'allocation.held_by_task',
    'A task holds this allocation, or waits for it; stop the task instead.',
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

export function notLeased({ id }: { id: string }): AppError {
  const detail =
    'This allocation has no lease to renew: it is held until it is released, or until you say lease_seconds.';
  return new AppError('conflict', 'allocation.not_leased', detail, { facts: { allocation_id: id } });
}

export function alreadyGivenBack(allocationId: string): AppError {
  return new AppError('conflict', 'allocation.given_back', 'What was taken under this id has been given back.', {
    facts: { allocation_id: allocationId },
  });
}

export function superseded(poolId: string): AppError {
  return new AppError('conflict', 'pool.change_superseded', 'A later change of this pool was decided already.', {
    facts: { pool_id: poolId },
  });
}

export function belowAllocated({ allocated }: { allocated: number }, terms: Terms): AppError {
  return new AppError(
    'conflict',
    'pool.capacity_below_allocated',
    'More than that is allocated; release allocations first, choose a larger capacity, or say ?resize=allow or drain.',
    { facts: { requested: capacityOf(terms), allocated } },
  );
}

export function inUse({ allocated }: { allocated: number }): AppError {
  return new AppError('conflict', 'pool.in_use', 'The pool has allocations; release them first.', {
    facts: { allocated },
  });
}

export function requestNotFound(id: string): AppError {
  const detail = 'There is no such request; what became of one can be read for a day.';
  return new AppError('not_found', 'allocation_request.not_found', detail, { facts: { allocation_request_id: id } });
}
