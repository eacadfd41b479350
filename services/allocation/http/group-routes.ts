import { z } from 'zod';
import { capacity, timestamp, uuid } from '../../../shared/contracts/fields';
import { REFUSED_GRANTS } from '../../../shared/contracts/inventory';
import { idempotencyKey } from '../../../shared/http/conditions';
import { route, type Route } from '../../../shared/http/route';
import type { Groups } from '../application/groups';
import { allocationBody, present } from './allocation-wire';

const groupParams = z.object({ group_id: uuid });
const claims = z
  .array(z.strictObject({ resource_pool_id: uuid, capacity }))
  .min(1)
  .max(32)
  .meta({ description: 'Several claims may name the same pool.' });

const groupBody = z
  .object({
    id: uuid,
    service_id: uuid,
    created_at: timestamp,
    allocations: z.array(allocationBody).meta({ description: 'What is still held of it.' }),
  })
  .meta({ id: 'AllocationGroup' });

/** Allocations over several pools that are made together or not at all. */
export function groupRoutes(groups: Groups): Route[] {
  return [
    route({
      method: 'post',
      path: '/allocation_groups',
      summary: 'Allocate from several pools, all or nothing',
      access: { permission: 'allocation_group:create' },
      body: z.strictObject({ service_id: uuid, claims }),
      headers: {
        'Idempotency-Key': 'The same key with the same body is one group, however often it is sent (24 hours).',
      },
      responses: { 201: z.object({ id: uuid }) },
      errors: [...REFUSED_GRANTS, 'allocation.busy', 'request.idempotency_key_reused'],
      handle: async ({ body, caller, header, signal }) => {
        const id = await groups.allocate({
          serviceId: body.service_id,
          claims: body.claims.map(({ resource_pool_id: poolId, capacity: units }) => ({ poolId, capacity: units })),
          createdBy: caller.sub,
          idempotency: idempotencyKey(header('Idempotency-Key'), [caller.sub, 'POST allocation_groups'], body),
          signal,
        });
        return { status: 201, headers: { Location: `/allocation_groups/${id}` }, body: { id } };
      },
    }),
    route({
      method: 'get',
      path: '/allocation_groups/{group_id}',
      summary: 'Show what is still held of a group',
      access: { permission: 'allocation_group:get' },
      params: groupParams,
      responses: { 200: groupBody },
      errors: ['group.not_found'],
      handle: async ({ params }) => {
        const { first, members } = await groups.get(params.group_id);
        const head = { id: params.group_id, service_id: first.serviceId, created_at: first.createdAt };
        return { status: 200, body: { ...head, allocations: members.map(present) } };
      },
    }),
    route({
      method: 'delete',
      path: '/allocation_groups/{group_id}',
      summary: 'Release what is still held of a group, in one transaction',
      access: { permission: 'allocation_group:delete' },
      params: groupParams,
      responses: { 204: null },
      errors: ['group.not_found', 'allocation.busy'],
      handle: async ({ params, caller }) => {
        await groups.release(params.group_id, caller.sub);
        return { status: 204 };
      },
    }),
  ];
}
