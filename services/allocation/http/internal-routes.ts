import { z } from 'zod';
import { capacity, leaseSeconds, priority, uuid, waitSeconds } from '../../../shared/contracts/fields';
import {
  capacityOf,
  type drainView,
  inventoryView,
  REFUSED_GRANTS,
  resizeMode,
  termsOfRow,
  termsRequest,
  toTermsRow,
} from '../../../shared/contracts/inventory';
import { route, type Route } from '../../../shared/http/route';
import type { Allocations } from '../application/allocations';
import type { PoolWriter } from '../application/pool-writer';
import type { Requests } from '../application/requests';
import { available, type Drain, type OpenInventory } from '../domain/inventory';
import { presentRequest, requestBody } from './allocation-wire';

const poolParams = z.object({ pool_id: uuid });
/** The catalogue's number of the change: each is decided once, and none after a later one. */
const revision = z.int().min(1);
const CATALOGUE = { callers: ['resource-pool'] };
const TASKS = { callers: ['task-runner'] };

function present(inventory: OpenInventory): z.input<typeof inventoryView> {
  return {
    pool_id: inventory.poolId,
    ...toTermsRow(inventory),
    capacity: capacityOf(inventory),
    allocated: inventory.allocated,
    available: available(inventory),
    waiting: inventory.waiting.length,
    drain: inventory.drain && presentDrain(inventory.drain),
  };
}

function presentDrain({ to, since, drainedAt }: Drain): z.input<typeof drainView> {
  return { status: drainedAt === null ? 'draining' : 'drained', down_to: to, since, drained_at: drainedAt };
}

/** What `resource-pool` and `task-runner` invoke. All of it may be repeated: the same call twice is one call. */
export function internalRoutes(allocations: Allocations, requests: Requests, writer: PoolWriter): Route[] {
  return [
    route({
      method: 'put',
      path: '/internal/inventories/{pool_id}',
      summary: 'Open the inventory of a new pool',
      access: CATALOGUE,
      params: poolParams,
      body: termsRequest,
      responses: { 204: null },
      handle: async ({ params, body }) => {
        await writer.execute(params.pool_id, { kind: 'open', ...termsOfRow(body), revision: body.revision });
        return { status: 204 };
      },
    }),
    route({
      method: 'put',
      path: '/internal/inventories/{pool_id}/terms',
      summary: 'Change what an inventory has to give, and on which terms',
      access: CATALOGUE,
      params: poolParams,
      body: termsRequest.extend({ mode: resizeMode.default('refuse') }),
      responses: { 204: null },
      errors: ['pool.not_found', 'pool.capacity_below_allocated', 'pool.change_superseded'],
      handle: async ({ params, body }) => {
        const { mode, revision } = body;
        await writer.execute(params.pool_id, { kind: 'resize', ...termsOfRow(body), mode, revision });
        return { status: 204 };
      },
    }),
    route({
      method: 'delete',
      path: '/internal/inventories/{pool_id}',
      summary: 'Close an inventory for ever',
      access: CATALOGUE,
      params: poolParams,
      query: z.strictObject({ revision: z.coerce.number().pipe(revision) }),
      responses: { 204: null },
      errors: ['pool.in_use', 'pool.change_superseded'],
      handle: async ({ params, query }) => {
        await writer.execute(params.pool_id, { kind: 'close', ...query });
        return { status: 204 };
      },
    }),
    route({
      method: 'post',
      path: '/internal/inventories/lookup',
      summary: 'The numbers of several pools',
      access: CATALOGUE,
      // a page of the largest size, and the one more that tells of a next page
      body: z.strictObject({ pool_ids: z.array(uuid).max(1001) }),
      responses: { 200: z.array(inventoryView) },
      handle: async ({ body }) => ({ status: 200, body: (await allocations.inventories(body.pool_ids)).map(present) }),
    }),
    route({
      method: 'post',
      path: '/internal/allocations',
      summary: 'Take the capacity of a task, or wait for it: asked again, it says how things stand',
      access: TASKS,
      body: z.strictObject({
        id: uuid,
        resource_pool_id: uuid,
        service_id: uuid,
        capacity,
        task_id: uuid,
        created_by: uuid,
        lease_seconds: leaseSeconds.optional(),
        wait_seconds: waitSeconds.optional(),
        priority: priority.optional(),
      }),
      responses: { 201: z.object({ id: uuid }), 202: requestBody },
      errors: [...REFUSED_GRANTS, 'allocation.queue_full', 'allocation.given_back', 'request.idempotency_key_reused'],
      handle: async ({ body }) => {
        const { waits } = await allocations.allocateForTask({
          allocationId: body.id,
          poolId: body.resource_pool_id,
          serviceId: body.service_id,
          capacity: body.capacity,
          taskId: body.task_id,
          createdBy: body.created_by,
          leaseSeconds: body.lease_seconds,
          waitSeconds: body.wait_seconds,
          priority: body.priority,
        });
        if (waits) return { status: 202, body: presentRequest(await requests.get(body.id)) };
        return { status: 201, body: { id: body.id } };
      },
    }),
    route({
      method: 'post',
      path: '/internal/allocation_renewals',
      summary: 'Renew what tasks hold, and hear what is no longer held',
      access: TASKS,
      body: z.strictObject({
        lease_seconds: leaseSeconds,
        allocations: z
          .array(z.strictObject({ resource_pool_id: uuid, id: uuid }))
          .min(1)
          .max(500),
      }),
      responses: { 200: z.object({ lost: z.array(uuid) }) },
      handle: async ({ body }) => {
        const held = body.allocations.map(({ resource_pool_id: poolId, id: allocationId }) => ({
          poolId,
          allocationId,
        }));
        return { status: 200, body: { lost: await allocations.renewForTasks(held, body.lease_seconds) } };
      },
    }),
    route({
      method: 'delete',
      path: '/internal/allocations/{allocation_id}',
      summary: 'Give back the capacity of a task',
      access: TASKS,
      params: z.object({ allocation_id: uuid }),
      responses: { 204: null },
      handle: async ({ params }) => {
        await allocations.releaseForTask(params.allocation_id);
        return { status: 204 };
      },
    }),
  ];
}
