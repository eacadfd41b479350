import { z } from 'zod';
import { capacity, leaseSeconds, priority, timestamp, uuid } from '../../../shared/contracts/fields';
import type { RequestView } from '../application/requests';
import type { Allocation } from '../domain/inventory';

/** How allocations, and requests that wait for one, look on the wire. */

export const allocationBody = z
  .object({
    id: uuid,
    resource_pool_id: uuid,
    service_id: uuid,
    allocated_capacity: capacity,
    created_at: timestamp,
    updated_at: timestamp,
    lease_seconds: leaseSeconds.optional().meta({ description: 'Absent when it is held until it is released.' }),
    expires_at: timestamp.optional().meta({ description: 'Released by the system then, unless renewed before.' }),
    allocation_group_id: uuid.optional().meta({ description: 'The group that it was made with.' }),
  })
  .meta({ id: 'Allocation' });

export function present(allocation: Allocation): z.input<typeof allocationBody> {
  return {
    id: allocation.id,
    resource_pool_id: allocation.poolId,
    service_id: allocation.serviceId,
    allocated_capacity: allocation.capacity,
    created_at: allocation.createdAt,
    updated_at: allocation.updatedAt,
    ...(allocation.lease && { lease_seconds: allocation.lease.seconds, expires_at: allocation.lease.expiresAt }),
    ...(allocation.groupId !== null && { allocation_group_id: allocation.groupId }),
  };
}

export const requestBody = z
  .object({
    id: uuid,
    resource_pool_id: uuid,
    service_id: uuid,
    capacity,
    priority,
    lease_seconds: leaseSeconds.optional(),
    status: z.enum(['waiting', 'granted', 'expired', 'cancelled']),
    position: z.int().optional().meta({ description: 'While it waits: 1 is next.' }),
    reason: z.string().optional().meta({
      description: 'The code that says what it waits for, or why it was cancelled.',
      example: 'allocation.insufficient_capacity',
    }),
    created_at: timestamp,
    expires_at: timestamp.meta({ description: 'It waits until then.' }),
    ended_at: timestamp.optional(),
    allocation: allocationBody.optional().meta({ description: 'What it was granted, while that is held.' }),
  })
  .meta({ id: 'AllocationRequest' });

export function presentRequest({ request, place, allocation }: RequestView): z.input<typeof requestBody> {
  const reason = place?.reason ?? request.reason;
  return {
    id: request.id,
    resource_pool_id: request.poolId,
    service_id: request.serviceId,
    capacity: request.capacity,
    priority: request.priority,
    ...(request.leaseSeconds !== null && { lease_seconds: request.leaseSeconds }),
    status: request.status,
    ...(place && { position: place.position }),
    ...(reason !== null && { reason }),
    created_at: request.createdAt,
    expires_at: request.expiresAt,
    ...(request.endedAt !== null && { ended_at: request.endedAt }),
    ...(request.status === 'granted' && allocation && { allocation: present(allocation) }),
  };
}
