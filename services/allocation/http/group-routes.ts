import { z } from 'zod';
import { capacity, timestamp, uuid } from '../../../shared/contracts/fields';
import { REFUSED_GRANTS } from '../../../shared/contracts/inventory';
import { labels, location, resourceType } from '../../../shared/contracts/kind';
import { idempotencyKey } from '../../../shared/http/conditions';
import { route, type Route } from '../../../shared/http/route';
import type { Groups } from '../application/groups';
import type { WantedClaim } from '../domain/placement';
import { allocationBody, present } from './allocation-wire';

const groupParams = z.object({ group_id: uuid });
const claim = z
  .strictObject({
    resource_pool_id: uuid.optional().meta({ description: 'This pool; or else resource_type.' }),
    resource_type: resourceType.optional().meta({ description: 'Any one pool of that kind that takes all of it.' }),
    location: location.optional().meta({ description: 'With resource_type.' }),
    labels: labels.optional().meta({ description: 'With resource_type: what the pool must have; at most 32.' }),
    capacity,
  })
  // in the words of the request: what an Idempotency-Key stands for must not change with ours
  .transform(({ resource_pool_id, resource_type, ...rest }, context) => {
    if (resource_pool_id === undefined && resource_type !== undefined) return { resource_type, ...rest };
    const named = resource_type === undefined && rest.location === undefined && rest.labels === undefined;
    if (resource_pool_id !== undefined && named) return { resource_pool_id, capacity: rest.capacity };
    const message = 'must name either a pool (resource_pool_id) or a kind (resource_type, location?, labels?)';
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  });
const claims = z
  .array(claim)
  .min(1)
  .max(32)
  .meta({
    description: 'Several claims may name the same pool, or come to lie in the same one.',
    example: [
      { resource_pool_id: '0b0f9a52-4c0e-4f5e-9a39-5d2a1a6f3c11', capacity: 4 },
      { resource_type: 'GPU', labels: { team: 'vision' }, capacity: 1 },
    ],
  });

function wantedOf(body: z.output<typeof claim>): WantedClaim {
  if ('resource_pool_id' in body) return { poolId: body.resource_pool_id, capacity: body.capacity };
  const { resource_type: type, location: place, labels: pairs = {}, capacity: units } = body;
  return { kind: { resourceType: type, location: place, labels: Object.entries(pairs) }, capacity: units };
}

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
      summary: 'Allocate from several pools, named ones or any of a kind, all or nothing',
      access: { permission: 'allocation_group:create' },
      body: z.strictObject({ service_id: uuid, claims }),
      headers: {
        'Idempotency-Key': 'The same key with the same body is one group, however often it is sent (24 hours).',
      },
      responses: { 201: z.object({ id: uuid }) },
      errors: [...REFUSED_GRANTS, 'allocation.no_such_kind', 'allocation.busy', 'request.idempotency_key_reused'],
      handle: async ({ body, caller, header, signal }) => {
        const id = await groups.allocate({
          serviceId: body.service_id,
          claims: body.claims.map(wantedOf),
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
