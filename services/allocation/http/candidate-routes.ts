import { z } from 'zod';
import { capacity, uuid } from '../../../shared/contracts/fields';
import { capacityOf } from '../../../shared/contracts/inventory';
import { labelFilters, labels, location, resourceType } from '../../../shared/contracts/kind';
import { pageQuery } from '../../../shared/http/paging';
import { route, type Route } from '../../../shared/http/route';
import type { Candidates } from '../application/candidates';
import { available, type OpenInventory } from '../domain/inventory';

const candidateBody = z
  .object({
    resource_pool_id: uuid,
    capacity: z.int().meta({ description: 'floor((total_capacity − reserved) × allocation_ratio)' }),
    available_capacity: z.int(),
    location,
    labels,
  })
  .meta({ id: 'AllocationCandidate' });

const candidatesBody = z
  .object({
    candidates: z.array(candidateBody).meta({ description: 'Best fit first: the least left afterwards.' }),
    rejected: z.record(z.string(), z.int()).meta({
      description: 'How many pools of that kind do not take it now, by the code that a request to them would get.',
      example: { 'allocation.insufficient_capacity': 3, 'pool.cordoned': 1 },
    }),
  })
  .meta({ id: 'AllocationCandidates' });

function present(inventory: OpenInventory): z.input<typeof candidateBody> {
  return {
    resource_pool_id: inventory.poolId,
    capacity: capacityOf(inventory),
    available_capacity: available(inventory),
    location: inventory.location,
    labels: inventory.labels,
  };
}

export function candidateRoutes(candidates: Candidates): Route[] {
  return [
    route({
      method: 'get',
      path: '/allocation_candidates',
      summary: 'Find pools of a kind that would take a capacity at this moment; nothing is reserved',
      access: { permission: 'allocation_candidate:list' },
      query: z.strictObject({
        resource_type: resourceType,
        capacity: z.coerce.number().pipe(capacity),
        location: location.optional(),
        label: labelFilters.optional(),
        limit: pageQuery.limit.meta({
          description: 'The first so many candidates. There is no next page: the answer is true for a moment only.',
        }),
      }),
      responses: { 200: candidatesBody },
      handle: async ({ query }) => {
        const { resource_type: type, capacity: units, location: place, label = [], limit } = query;
        const kind = { resourceType: type, location: place, labels: label };
        const { takers, rejected } = await candidates.find(kind, units);
        return { status: 200, body: { candidates: takers.slice(0, limit).map(present), rejected } };
      },
    }),
  ];
}
