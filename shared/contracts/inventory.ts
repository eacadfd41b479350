import { z } from 'zod';
import { capacity, timestamp, uuid } from './fields';

/** What `resource-pool` asks of `allocation`, and what that tells of a pool. Whole units of the pool's resource. */

/**
 * `open` takes allocations; `cordoned` takes nothing new; `draining` takes nothing new either, and says when the last
 * allocation has gone. What is held stays held in each.
 */
export const poolState = z.enum(['open', 'cordoned', 'draining']);

/**
 * What becomes of a change that leaves less capacity than is allocated: it is refused; or allowed, and the pool takes
 * nothing new until it fits again; or allowed, and the pool says as well when it fits again.
 */
export const resizeMode = z.enum(['refuse', 'allow', 'drain']);
export type ResizeMode = z.infer<typeof resizeMode>;

/**
 * Whom a pool serves when it has less than is asked for. `strict`: by priority, then first come, and nobody overtakes
 * whoever waits at the head. `best_effort`: whatever fits is granted, in the same order.
 */
export const queuePolicy = z.enum(['strict', 'best_effort']);

/** What a pool has to give: what kind, where, how much, in which portions, and to whom first. */
export interface Terms {
  /** Empty in rows from before inventories knew it, which match no search. */
  resourceType: string;
  location: string;
  labels: Record<string, string>;
  total: number;
  /** Kept back from `total` for other purposes. */
  reserved: number;
  /** More than 1 promises more than there is, in the hope that not all of it is used at once. Thousandths at the finest. */
  allocationRatio: number;
  /** Smallest and largest allocation; null is no limit. */
  minUnit: number;
  maxUnit: number | null;
  /** Allocations are multiples of it. */
  stepSize: number;
  state: z.infer<typeof poolState>;
  queuePolicy: z.infer<typeof queuePolicy>;
}

/** The terms of whatever has them, and nothing else. */
export function pickTerms(holder: Terms): Terms {
  const { resourceType, location, labels, total, reserved, allocationRatio } = holder;
  const { minUnit, maxUnit, stepSize, state, queuePolicy } = holder;
  const kind = { resourceType, location, labels };
  return { ...kind, total, reserved, allocationRatio, minUnit, maxUnit, stepSize, state, queuePolicy };
}

/** What holds where nobody has said otherwise, also of what was stored before there were such terms. */
export const DEFAULT_TERMS: Omit<Terms, 'total'> = {
  resourceType: '',
  location: '',
  labels: {},
  reserved: 0,
  allocationRatio: 1,
  minUnit: 1,
  maxUnit: null,
  stepSize: 1,
  state: 'open',
  queuePolicy: 'strict',
};

/** floor((total − reserved) × ratio), exactly: in thousandths, for 100 × 0.29 is 28.999… in floating point. */
export function capacityOf({
  total,
  reserved,
  allocationRatio,
}: Pick<Terms, 'total' | 'reserved' | 'allocationRatio'>): number {
  const left = total - reserved;
  if (allocationRatio === 1) return left;
  return Number((BigInt(left) * BigInt(Math.round(allocationRatio * 1000))) / 1000n);
}

/** Terms as JSON, without the total; a field that is absent has its default. */
export const termFields = {
  resource_type: z.string().default(DEFAULT_TERMS.resourceType),
  location: z.string().default(DEFAULT_TERMS.location),
  labels: z.record(z.string(), z.string()).default(DEFAULT_TERMS.labels),
  reserved: z.int().min(0).default(DEFAULT_TERMS.reserved),
  allocation_ratio: z.number().positive().default(DEFAULT_TERMS.allocationRatio),
  min_unit: z.int().min(1).default(DEFAULT_TERMS.minUnit),
  max_unit: z.int().min(1).nullable().default(DEFAULT_TERMS.maxUnit),
  step_size: z.int().min(1).default(DEFAULT_TERMS.stepSize),
  queue_policy: queuePolicy.default(DEFAULT_TERMS.queuePolicy),
};

const termsShape = z.object({ total: z.int().min(0), ...termFields, state: poolState });
export type TermsRow = z.infer<typeof termsShape>;

export function toTermsRow<S extends string>(
  terms: Omit<Terms, 'state'> & { state: S },
): Omit<TermsRow, 'state'> & { state: S } {
  return {
    resource_type: terms.resourceType,
    location: terms.location,
    labels: terms.labels,
    total: terms.total,
    reserved: terms.reserved,
    allocation_ratio: terms.allocationRatio,
    min_unit: terms.minUnit,
    max_unit: terms.maxUnit,
    step_size: terms.stepSize,
    state: terms.state,
    queue_policy: terms.queuePolicy,
  };
}

export function termsOfRow<S extends string>(
  row: Omit<TermsRow, 'state'> & { state: S },
): Omit<Terms, 'state'> & { state: S } {
  return {
    resourceType: row.resource_type,
    location: row.location,
    labels: row.labels,
    total: row.total,
    reserved: row.reserved,
    allocationRatio: row.allocation_ratio,
    minUnit: row.min_unit,
    maxUnit: row.max_unit,
    stepSize: row.step_size,
    state: row.state,
    queuePolicy: row.queue_policy,
  };
}

/** Body of the requests that open and change an inventory. `revision`: the catalogue's number of the change. */
export const termsRequest = z.strictObject({
  total: capacity,
  ...termFields,
  state: poolState.default(DEFAULT_TERMS.state),
  revision: z.int().min(1),
});

/** A pool that is emptied, or comes down to a smaller capacity: how far, and whether it has come there. */
export const drainView = z
  .object({
    status: z.enum(['draining', 'drained']),
    down_to: z.int().meta({ description: 'What may be left allocated: 0 when the pool is emptied.' }),
    since: timestamp,
    drained_at: timestamp.nullable(),
  })
  .meta({ id: 'Drain' });

/** A pool as `allocation` tells of it to `resource-pool`. */
export const inventoryView = z.object({
  pool_id: uuid,
  ...termsShape.shape,
  capacity: z.int(),
  allocated: z.int(),
  available: z.int(),
  waiting: z.int(),
  drain: drainView.nullable(),
});

export type InventoryView = z.infer<typeof inventoryView>;

/** Why a pool takes no allocation: whoever asked holds nothing. Asking for something else, or later, may succeed. */
export const REFUSED_GRANTS = [
  'pool.not_found',
  'pool.cordoned',
  'pool.draining',
  'allocation.below_min_unit',
  'allocation.above_max_unit',
  'allocation.not_a_step',
  'allocation.insufficient_capacity',
  'allocation.others_wait',
] as const;
