import { z } from 'zod';
import { durationBetween } from '../../../shared/contracts/duration';
import type { CloudEvent } from '../../../shared/contracts/events';
import { timestamp, uuid } from '../../../shared/contracts/fields';
import { poolState, termFields, termsOfRow, toTermsRow } from '../../../shared/contracts/inventory';
import { uuidFromName } from '../../../shared/contracts/ids';
import { newEvent } from '../../../shared/dapr/outbox';
import type { Allocation, Inventory, ReleasedAllocation, WaitingRequest } from '../domain/inventory';
import type { PoolFact, Remembered } from '../domain/pool-commands';
import type { AllocationRequest } from '../domain/queue';

/**
 * How inventories and allocations look as JSON rows, and their events on the wire. What older rows lack has a default:
 * they stay as they are until their next change.
 */

const waitingFields = {
  id: uuid,
  service_id: uuid,
  capacity: z.int(),
  priority: z.int(),
  lease_seconds: z.int().nullable(),
  created_by: uuid,
  task_id: uuid.nullable().default(null),
  created_at: timestamp,
  expires_at: timestamp,
  traceparent: z.string().optional(),
};
const waitingShape = z.object(waitingFields);
type WaitingRow = z.infer<typeof waitingShape>;
type NewWaitingRow = z.input<typeof waitingShape>;

function waitingOf(row: WaitingRow): WaitingRequest {
  return {
    id: row.id,
    serviceId: row.service_id,
    capacity: row.capacity,
    priority: row.priority,
    leaseSeconds: row.lease_seconds,
    createdBy: row.created_by,
    taskId: row.task_id,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    traceparent: row.traceparent,
  };
}

function toWaitingRow(request: WaitingRequest): NewWaitingRow {
  return {
    id: request.id,
    service_id: request.serviceId,
    capacity: request.capacity,
    priority: request.priority,
    lease_seconds: request.leaseSeconds,
    created_by: request.createdBy,
    ...(request.taskId === null ? {} : { task_id: request.taskId }),
    created_at: request.createdAt,
    expires_at: request.expiresAt,
    traceparent: request.traceparent,
  };
}

export const requestRow = z
  .object({
    ...waitingFields,
    resource_pool_id: uuid,
    status: z.enum(['waiting', 'granted', 'expired', 'cancelled']),
    ended_at: timestamp.nullable(),
    reason: z.string().nullable(),
  })
  .transform((row): AllocationRequest => ({
    ...waitingOf(row),
    poolId: row.resource_pool_id,
    status: row.status,
    endedAt: row.ended_at,
    reason: row.reason,
  }));

export function toRequestRow(request: AllocationRequest): z.input<typeof requestRow> {
  const { poolId, status, endedAt, reason } = request;
  return { ...toWaitingRow(request), resource_pool_id: poolId, status, ended_at: endedAt, reason };
}

export const inventoryRow = z
  .object({
    pool_id: uuid,
    total: z.int(),
    ...termFields,
    allocated: z.int(),
    state: z.enum([...poolState.options, 'closed']),
    over_allowed: z.boolean().default(false),
    drain: z.object({ to: z.int(), since: timestamp, drained_at: timestamp.nullable() }).nullable().default(null),
    revision: z.int(),
    refused: z.boolean(),
    waiting: z.array(waitingShape).default([]),
    created_at: timestamp,
    updated_at: timestamp,
  })
  .transform((row): Inventory => ({
    poolId: row.pool_id,
    ...termsOfRow(row),
    allocated: row.allocated,
    overAllowed: row.over_allowed,
    drain: row.drain && { to: row.drain.to, since: row.drain.since, drainedAt: row.drain.drained_at },
    revision: row.revision,
    refused: row.refused,
    waiting: row.waiting.map(waitingOf),
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }));

/** `waiting_until`: when the first of those who wait has waited long enough; absent when nobody waits. */
export function toInventoryRow(inventory: Inventory): z.input<typeof inventoryRow> & { waiting_until?: string } {
  const { drain, waiting } = inventory;
  return {
    pool_id: inventory.poolId,
    ...toTermsRow(inventory),
    allocated: inventory.allocated,
    over_allowed: inventory.overAllowed,
    drain: drain && { to: drain.to, since: drain.since, drained_at: drain.drainedAt },
    revision: inventory.revision,
    refused: inventory.refused,
    ...(waiting.length === 0 ? {} : { waiting: waiting.map(toWaitingRow), waiting_until: firstEnd(waiting) }),
    created_at: inventory.createdAt,
    updated_at: inventory.updatedAt,
  };
}

function firstEnd(waiting: readonly WaitingRequest[]): string {
  return waiting.reduce((first, { expiresAt }) => (expiresAt < first ? expiresAt : first), '9999');
}

const allocationShape = z.object({
  id: uuid,
  resource_pool_id: uuid,
  service_id: uuid,
  allocated_capacity: z.int(),
  created_at: timestamp,
  created_by: uuid,
  task_id: uuid.nullable(),
  group_id: uuid.nullable().default(null),
  lease_seconds: z.int().nullable().default(null),
  expires_at: timestamp.nullable().default(null),
  updated_at: timestamp.optional(),
});
export const allocationRow = allocationShape.transform(allocationOf);

function allocationOf(row: z.infer<typeof allocationShape>): Allocation {
  return {
    id: row.id,
    poolId: row.resource_pool_id,
    serviceId: row.service_id,
    capacity: row.allocated_capacity,
    createdAt: row.created_at,
    createdBy: row.created_by,
    taskId: row.task_id,
    groupId: row.group_id,
    lease:
      row.lease_seconds === null || row.expires_at === null
        ? null
        : { seconds: row.lease_seconds, expiresAt: row.expires_at },
    updatedAt: row.updated_at ?? row.created_at,
  };
}

export const releasedRow = allocationShape
  .extend({ released_at: timestamp, released_by: z.string(), end_reason: z.string() })
  .transform((row): ReleasedAllocation => ({
    ...allocationOf(row),
    releasedAt: row.released_at,
    releasedBy: row.released_by,
    reason: row.end_reason,
  }));

export function toReleasedRow(released: ReleasedAllocation): z.input<typeof releasedRow> {
  return {
    ...toAllocationRow(released),
    released_at: released.releasedAt,
    released_by: released.releasedBy,
    end_reason: released.reason,
  };
}

export function toAllocationRow(allocation: Allocation): z.input<typeof allocationRow> {
  return {
    id: allocation.id,
    resource_pool_id: allocation.poolId,
    service_id: allocation.serviceId,
    allocated_capacity: allocation.capacity,
    created_at: allocation.createdAt,
    created_by: allocation.createdBy,
    task_id: allocation.taskId,
    ...(allocation.groupId === null ? {} : { group_id: allocation.groupId }),
    ...(allocation.lease === null
      ? {}
      : { lease_seconds: allocation.lease.seconds, expires_at: allocation.lease.expiresAt }),
    ...(allocation.updatedAt === allocation.createdAt ? {} : { updated_at: allocation.updatedAt }),
  };
}

export const rememberedRow = z
  .object({ fingerprint: z.string(), allocation_id: uuid, waits: z.literal(true).optional() })
  .transform((row): Remembered => ({
    fingerprint: row.fingerprint,
    madeId: row.allocation_id,
    ...(row.waits && { waits: row.waits }),
  }));

export function toRememberedRow({ fingerprint, madeId, waits }: Remembered): z.input<typeof rememberedRow> {
  return { fingerprint, allocation_id: madeId, waits };
}

const SOURCE = '/allocation';

/** The event that tells of a fact, if one does; its id follows from the fact, so told twice it is the same event. */
export function eventOf(fact: PoolFact): CloudEvent | undefined {
  if (fact.kind !== 'allocated' && fact.kind !== 'released') return undefined;
  const { allocation, traceparent } = fact;
  const data = {
    allocation_id: allocation.id,
    resource_pool_id: allocation.poolId,
    service_id: allocation.serviceId,
    capacity: allocation.capacity,
    created_at: allocation.createdAt,
    created_by: allocation.createdBy,
    task_id: allocation.taskId,
  };
  // the trace of its own request: a transaction carries those of many
  const trace = traceparent === undefined ? {} : { traceparent };
  if (fact.kind === 'allocated') {
    const id = uuidFromName(`allocation.created:${allocation.id}`);
    return { ...newEvent('allocation.created', { id, source: SOURCE, time: allocation.createdAt, data }), ...trace };
  }
  const event = newEvent('allocation.released', {
    id: uuidFromName(`allocation.released:${allocation.id}`),
    source: SOURCE,
    time: fact.releasedAt,
    data: {
      ...data,
      released_at: fact.releasedAt,
      duration: durationBetween(allocation.createdAt, fact.releasedAt),
      end_reason: fact.reason,
      released_by: fact.releasedBy,
    },
  });
  return { ...event, ...trace };
}
