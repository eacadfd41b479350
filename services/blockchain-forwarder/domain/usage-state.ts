import type { Batch } from './batch';
import type { Delivery } from './delivery';

export const USAGE_STATES = ['received', 'batched', 'submitted', 'mined', 'finalized'] as const;
export type UsageState = (typeof USAGE_STATES)[number];

/** How far a record is: what the chain says of its batch, where a chain is set up. */
export function stateOf({ batch, deliveries }: { batch: Batch | null; deliveries: readonly Delivery[] }): UsageState {
  if (!batch) return 'received';
  const stages = deliveries.map(({ stage }) => stage);
  return (['finalized', 'mined', 'submitted'] as const).find((stage) => stages.includes(stage)) ?? 'batched';
}
