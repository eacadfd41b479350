import { z } from 'zod';
import { capacity, displayName, timestamp, uuid } from '../../../shared/contracts/fields';
import {
  DEFAULT_TERMS,
  drainView,
  type InventoryView,
  poolState,
  queuePolicy,
} from '../../../shared/contracts/inventory';
import { labels, location, resourceType } from '../../../shared/contracts/kind';
import type { Pool, PoolRequest } from '../domain/pool';

/** How pools look on the wire. */

const poolFields = {
  name: displayName.meta({ example: 'gpu-a100' }),
  resource_type: resourceType,
  total_capacity: capacity,
  location,
};

const units = z.int().min(0, 'must be a whole number of at least 0');

/** The terms of a pool; the domain holds what they must be to each other. */
const termFields = {
  reserved: units.meta({ description: 'Kept back from total_capacity; at most all of it.', example: 1 }),
  allocation_ratio: z
    .number()
    .min(0.001)
    .max(1000)
    .refine((ratio) => Number(ratio.toFixed(3)) === ratio, 'must have three decimals at most')
    .meta({
      description:
        'capacity = floor((total_capacity − reserved) × allocation_ratio). From 0.001 to 1000, three decimals at most.',
      example: 1.5,
    }),
  min_unit: capacity.meta({ description: 'Smallest allocation.', example: 1 }),
  max_unit: capacity.nullable().meta({ description: 'Largest allocation; null is no limit.', example: 4 }),
  step_size: capacity.meta({ description: 'Allocations are multiples of it.', example: 1 }),
  state: poolState.meta({
    description:
      'open: takes allocations. cordoned: takes nothing new. draining: takes nothing new, and `drain` says when the last allocation has gone. What is held stays held.',
  }),
  queue_policy: queuePolicy.meta({
    description:
      'Of requests that wait. strict: by priority, then first come, and nobody overtakes whoever is at the head. best_effort: whatever fits is granted, in the same order.',
  }),
  labels: labels.meta({ description: 'For finding pools: at most 32.' }),
};

/** Callers that do not know of terms leave them alone: that is why PUT does not put back to their defaults what it lacks. */
export const poolInput = z.strictObject({ ...poolFields, ...z.object(termFields).partial().shape }).meta({
  id: 'ResourcePoolInput',
  description: `Beside the first four, all may be left out: in a new pool they are ${defaults()}; PUT leaves them as they are.`,
});
export const poolBody = z
  .object({
    id: uuid,
    ...poolFields,
    ...termFields,
    capacity: z.int().meta({ description: 'floor((total_capacity − reserved) × allocation_ratio)', example: 4 }),
    allocated_capacity: z
      .int()
      .min(0)
      .meta({ description: 'More than capacity after ?resize=allow or drain.', example: 1 }),
    available_capacity: z.int().min(0).meta({ example: 3 }),
    waiting_requests: z.int().min(0).meta({ description: 'How many requests wait for capacity of it.', example: 0 }),
    drain: drainView.nullable().meta({
      description: 'Set by state draining and by ?resize=drain, until the next change of numbers or state.',
      example: null,
    }),
    created_at: timestamp,
    updated_at: timestamp,
  })
  .meta({ id: 'ResourcePool' });

function defaults(): string {
  const { reserved, allocationRatio, minUnit, maxUnit, stepSize, state, queuePolicy: policy } = DEFAULT_TERMS;
  return `reserved ${reserved}, allocation_ratio ${allocationRatio}, min_unit ${minUnit}, max_unit ${maxUnit}, step_size ${stepSize}, state ${state}, queue_policy ${policy}, labels {}`;
}

export function requestOf(body: z.output<typeof poolInput>): PoolRequest {
  const { name, location, reserved, labels, state } = body;
  const { allocation_ratio: allocationRatio, min_unit: minUnit, max_unit: maxUnit, step_size: stepSize } = body;
  const { queue_policy: queuePolicy } = body;
  return {
    name,
    resourceType: body.resource_type,
    totalCapacity: body.total_capacity,
    location,
    ...given({ reserved, allocationRatio, minUnit, maxUnit, stepSize, labels, state, queuePolicy }),
  };
}

/** Without what was left out. */
function given<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as ReturnType<
    typeof given<T>
  >;
}

export function present(pool: Pool, inventory: InventoryView): z.input<typeof poolBody> {
  return {
    id: pool.id,
    name: pool.name,
    resource_type: pool.resourceType,
    total_capacity: inventory.total,
    location: pool.location,
    labels: pool.labels,
    reserved: inventory.reserved,
    allocation_ratio: inventory.allocation_ratio,
    min_unit: inventory.min_unit,
    max_unit: inventory.max_unit,
    step_size: inventory.step_size,
    state: inventory.state,
    queue_policy: inventory.queue_policy,
    capacity: inventory.capacity,
    allocated_capacity: inventory.allocated,
    available_capacity: inventory.available,
    waiting_requests: inventory.waiting,
    drain: inventory.drain,
    created_at: pool.createdAt,
    updated_at: pool.updatedAt,
  };
}
