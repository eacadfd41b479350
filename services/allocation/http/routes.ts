import { z } from 'zod';
import { durationBetween } from '../../../shared/contracts/duration';
import {
  capacity,
  duration,
  leaseSeconds,
  priority,
  instant,
  timestamp,
  uuid,
  waitSeconds,
} from '../../../shared/contracts/fields';
import { REFUSED_GRANTS } from '../../../shared/contracts/inventory';
import { idempotencyKey } from '../../../shared/http/conditions';
import { decodeCursor, pageOutput, pageQuery } from '../../../shared/http/paging';
import { route, type Route } from '../../../shared/http/route';
import type { Allocations } from '../application/allocations';
import type { Requests } from '../application/requests';
import type { ReleasedAllocation } from '../domain/inventory';
import { UNCLAIMED_SECONDS } from '../domain/queue';
import { allocationBody, present, presentRequest, requestBody } from './allocation-wire';

const poolParams = z.object({ pool_id: uuid });
const allocationParams = z.object({ pool_id: uuid, allocation_id: uuid });

const releasedBody = z
  .object({
    ...allocationBody.omit({ updated_at: true, lease_seconds: true, expires_at: true, allocation_group_id: true })
      .shape,
    created_by: uuid,
    task_id: uuid.nullable().meta({ description: 'The task that held it, when a task did.', example: null }),
    released_at: timestamp,
    duration,
    end_reason: z.string().meta({ description: 'Why it ended. An open set.', example: 'released' }),
    released_by: z.string().meta({ description: 'Who released it: a `sub`, or `system`.', example: 'system' }),
  })
  .meta({ id: 'ReleasedAllocation' });

function presentReleased(released: ReleasedAllocation): z.input<typeof releasedBody> {
  return {
    id: released.id,
    resource_pool_id: released.poolId,
    service_id: released.serviceId,
    allocated_capacity: released.capacity,
    created_at: released.createdAt,
    created_by: released.createdBy,
    task_id: released.taskId,
    released_at: released.releasedAt,
    duration: durationBetween(released.createdAt, released.releasedAt),
    end_reason: released.reason,
    released_by: released.releasedBy,
  };
}

export function publicRoutes(allocations: Allocations, requests: Requests): Route[] {
  return [
    route({
      method: 'post',
      path: '/resource_pools/{pool_id}/allocations',
      summary: 'Allocate a part of a pool to a service',
      access: { permission: 'resource_allocation:create' },
      params: poolParams,
      body: z.strictObject({
        service_id: uuid,
        capacity,
        lease_seconds: leaseSeconds.optional(),
        wait_seconds: waitSeconds.optional().meta({
          description: `What is not there at once is waited for: 202 with the request's Location. Granted later, it is held for lease_seconds, or ${UNCLAIMED_SECONDS} without them: renew it.`,
        }),
        priority: priority
          .optional()
          .meta({ description: 'Among those who wait the larger goes first; 0 unless told.' }),
      }),
      headers: {
        'Idempotency-Key': 'The same key with the same body is one allocation, however often it is sent (24 hours).',
      },
      responses: { 201: z.object({ id: uuid }), 202: requestBody },
      errors: [...REFUSED_GRANTS, 'allocation.queue_full', 'allocation.busy', 'request.idempotency_key_reused'],
      handle: async ({ params, body, caller, header, signal }) => {
        const scope = [caller.sub, 'POST allocations', params.pool_id];
        const { id, waits } = await allocations.allocate({
          poolId: params.pool_id,
          serviceId: body.service_id,
          capacity: body.capacity,
          leaseSeconds: body.lease_seconds,
          waitSeconds: body.wait_seconds,
          priority: body.priority,
          createdBy: caller.sub,
          idempotency: idempotencyKey(header('Idempotency-Key'), scope, body),
          signal,
        });
        if (waits) {
          const headers = { Location: `/allocation_requests/${id}` };
          return { status: 202, headers, body: presentRequest(await requests.get(id)) };
        }
        const headers = { Location: `/resource_pools/${params.pool_id}/allocations/${id}` };
        return { status: 201, headers, body: { id } };
      },
    }),
    route({
      method: 'get',
      path: '/resource_pools/{pool_id}/allocations',
      summary: 'List the allocations of a pool, oldest first',
      access: { permission: 'resource_allocation:list' },
      params: poolParams,
      query: z.strictObject({ ...pageQuery, service_id: uuid.optional() }),
      responses: { 200: z.array(allocationBody) },
      errors: ['pool.not_found'],
      handle: async (input) => {
        const { limit, cursor, service_id: serviceId } = input.query;
        const after = decodeCursor(cursor);
        const rows = await allocations.list({ poolId: input.params.pool_id, serviceId, after, limit: limit + 1 });
        return pageOutput(input, limit, rows, ({ createdAt: at, id }) => ({ at, id }), present);
      },
    }),
    route({
      method: 'get',
      path: '/resource_pools/{pool_id}/allocation_history',
      summary: 'List what was allocated and released again, the latest first; it stays when the pool goes',
      access: { permission: 'resource_allocation:list' },
      params: poolParams,
      query: z.strictObject({
        ...pageQuery,
        service_id: uuid.optional(),
        end_reason: z.string().min(1).max(100).optional(),
        from: instant.optional().meta({ description: 'Released at this time or later.' }),
        to: instant.optional().meta({ description: 'Released before this time.' }),
      }),
      responses: { 200: z.array(releasedBody) },
      errors: ['pool.not_found'],
      handle: async (input) => {
        const { limit, cursor, service_id: serviceId, end_reason: reason, from, to } = input.query;
        const after = decodeCursor(cursor);
        const poolId = input.params.pool_id;
        const rows = await allocations.history({ poolId, serviceId, reason, from, to, after, limit: limit + 1 });
        return pageOutput(input, limit, rows, ({ releasedAt: at, id }) => ({ at, id }), presentReleased);
      },
    }),
    route({
      method: 'delete',
      path: '/resource_pools/{pool_id}/allocations',
      summary: 'Release all that a service holds in a pool at this moment',
      access: { permission: 'resource_allocation:delete' },
      params: poolParams,
      query: z.strictObject({ service_id: uuid }),
      responses: {
        200: z.object({
          released: z.int(),
          held_by_tasks: z.int().optional().meta({
            description: 'Not released, since running tasks hold them; stop the tasks. Absent when there are none.',
          }),
        }),
      },
      errors: ['pool.not_found', 'allocation.busy'],
      handle: async ({ params, query, caller }) => {
        const { released, ofTasks } = await allocations.releaseAll(params.pool_id, query.service_id, caller.sub);
        return { status: 200, body: { released, ...(ofTasks > 0 ? { held_by_tasks: ofTasks } : {}) } };
      },
    }),
    route({
      method: 'get',
      path: '/resource_pools/{pool_id}/allocations/{allocation_id}',
      summary: 'Show an allocation',
      access: { permission: 'resource_allocation:get' },
      params: allocationParams,
      responses: { 200: allocationBody },
      errors: ['allocation.not_found'],
      handle: async ({ params }) => ({
        status: 200,
        body: present(await allocations.get(params.pool_id, params.allocation_id)),
      }),
    }),
    route({
      method: 'post',
      path: '/resource_pools/{pool_id}/allocations/{allocation_id}/renew',
      summary: 'Hold an allocation for longer: as long again, or as said; null until it is released',
      access: { permission: 'resource_allocation:update' },
      params: allocationParams,
      body: z.strictObject({ lease_seconds: leaseSeconds.nullable().optional() }),
      responses: { 200: allocationBody },
      errors: ['allocation.not_found', 'allocation.held_by_task', 'allocation.not_leased', 'allocation.busy'],
      handle: async ({ params, body }) => {
        const { pool_id: poolId, allocation_id: id } = params;
        return { status: 200, body: present(await allocations.renew(poolId, id, body.lease_seconds)) };
      },
    }),
    route({
      method: 'delete',
      path: '/resource_pools/{pool_id}/allocations/{allocation_id}',
      summary: 'Release an allocation',
      access: { permission: 'resource_allocation:delete' },
      params: allocationParams,
      responses: { 204: null },
      errors: ['pool.not_found', 'allocation.not_found', 'allocation.held_by_task', 'allocation.busy'],
      handle: async ({ params, caller }) => {
        await allocations.release(params.pool_id, params.allocation_id, caller.sub);
        return { status: 204 };
      },
    }),
  ];
}
