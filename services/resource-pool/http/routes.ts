import { z } from 'zod';
import { displayName, uuid } from '../../../shared/contracts/fields';
import { poolState, resizeMode } from '../../../shared/contracts/inventory';
import { labelFilters } from '../../../shared/contracts/kind';
import { entityTag, idempotencyKey } from '../../../shared/http/conditions';
import { decodeCursor, pageOutput, pageQuery } from '../../../shared/http/paging';
import { route, type Route } from '../../../shared/http/route';
import { createPool } from '../application/create-pool';
import { deletePool } from '../application/delete-pool';
import { findPools, getPool, listPools } from '../application/read-pools';
import type { Rooms } from '../application/settle-pool';
import { updatePool } from '../application/update-pool';
import { poolBody, poolInput, present, requestOf } from './pool-wire';

const poolParams = z.object({ pool_id: uuid });

const IF_MATCH = { 'If-Match': 'The ETag that you read: fails with 412 when the pool has changed since.' };

export function publicRoutes(rooms: Rooms): Route[] {
  async function showPool(id: string) {
    const { pool, inventory } = await getPool(rooms, id);
    return { status: 200, headers: { ETag: entityTag(String(pool.version)) }, body: present(pool, inventory) };
  }

  return [
    route({
      method: 'post',
      path: '/resource_pools',
      summary: 'Create a resource pool',
      access: { permission: 'resource_pool:create' },
      body: poolInput,
      headers: {
        'Idempotency-Key': 'The same key with the same body is one pool, however often it is sent (24 hours).',
      },
      responses: { 201: z.object({ id: uuid }) },
      errors: ['request.idempotency_key_reused'],
      handle: async ({ body, caller, header }) => {
        const key = idempotencyKey(header('Idempotency-Key'), [caller.sub, 'POST resource_pools'], body);
        const id = await createPool(rooms, requestOf(body), key);
        return { status: 201, headers: { Location: `/resource_pools/${id}` }, body: { id } };
      },
    }),
    route({
      method: 'get',
      path: '/resource_pools',
      summary: 'List resource pools, oldest first',
      access: { permission: 'resource_pool:list' },
      query: z.strictObject({
        ...pageQuery,
        name: displayName.optional(),
        resource_type: displayName.optional(),
        location: displayName.optional(),
        state: poolState.optional(),
        label: labelFilters.optional(),
      }),
      responses: { 200: z.array(poolBody) },
      handle: async (input) => {
        const { limit, cursor, name, resource_type: resourceType, location, state, label: labels } = input.query;
        const filter = { name, resourceType, location, state, labels, after: decodeCursor(cursor), limit: limit + 1 };
        const { pools, numbers } = await listPools(rooms, filter);
        const output = pageOutput(
          input,
          limit,
          pools,
          ({ createdAt: at, id }) => ({ at, id }),
          (pool) => {
            const inventory = numbers.get(pool.id);
            return inventory && present(pool, inventory);
          },
        );
        // a pool whose inventory was closed a moment ago is as good as gone
        return { ...output, body: (output.body as unknown[]).filter((pool) => pool !== undefined) };
      },
    }),
    route({
      method: 'get',
      path: '/resource_pools/{pool_id}',
      summary: 'Show a resource pool',
      access: { permission: 'resource_pool:get' },
      params: poolParams,
      responses: { 200: poolBody },
      errors: ['pool.not_found'],
      handle: ({ params }) => showPool(params.pool_id),
    }),
    route({
      method: 'put',
      path: '/resource_pools/{pool_id}',
      summary: 'Change a resource pool',
      access: { permission: 'resource_pool:update' },
      params: poolParams,
      query: z.strictObject({
        resize: resizeMode.optional().meta({
          description:
            'When less capacity would be left than is allocated. refuse (the default): 409 pool.capacity_below_allocated. allow: the pool is over its capacity, and takes nothing new until it fits again. drain: the same, and `drain` says when it fits again.',
        }),
      }),
      body: poolInput,
      headers: IF_MATCH,
      responses: { 200: poolBody },
      errors: ['pool.not_found', 'pool.capacity_below_allocated', 'request.precondition_failed'],
      handle: async ({ params, query, body, header }) => {
        const options = { ifMatch: header('If-Match'), resize: query.resize };
        await updatePool(rooms, params.pool_id, requestOf(body), options);
        return showPool(params.pool_id);
      },
    }),
    route({
      method: 'delete',
      path: '/resource_pools/{pool_id}',
      summary: 'Delete a resource pool that nobody uses',
      access: { permission: 'resource_pool:delete' },
      params: poolParams,
      headers: IF_MATCH,
      responses: { 204: null },
      errors: ['pool.not_found', 'pool.in_use', 'request.precondition_failed'],
      handle: async ({ params, header }) => {
        await deletePool(rooms, params.pool_id, header('If-Match'));
        return { status: 204 };
      },
    }),
  ];
}

/** For `task-runner`, whose service types name pools. */
export function internalRoutes(rooms: Rooms): Route[] {
  return [
    route({
      method: 'get',
      path: '/internal/resource_pools',
      summary: 'Pools of a name, oldest first',
      access: { callers: ['task-runner'] },
      query: z.strictObject({ name: displayName }),
      responses: { 200: z.array(z.object({ id: uuid, name: displayName })) },
      handle: async ({ query }) => {
        const pools = await findPools(rooms, query.name);
        return { status: 200, body: pools.map(({ id, name }) => ({ id, name })) };
      },
    }),
  ];
}
