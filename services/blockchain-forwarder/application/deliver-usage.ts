import { claimed, settled, type BackOff } from '../domain/delivery';
import type { StoredUsage } from '../domain/usage-record';
import type { DeliveryOutcome, UsageSink } from '../ports/usage-sink';
import type { UsageStore, VersionedDelivery } from '../ports/usage-store';

export interface DeliveryParts {
  sink: UsageSink;
  store: UsageStore;
  backOff: BackOff;
  /** For how long nobody else tries a claimed record: above the longest `deliver`. */
  leaseMs: number;
  now: () => Date;
  newId: () => string;
  random: () => number;
}

/** What came of one batch. */
export interface BatchResult {
  delivered: StoredUsage[];
  retry: number;
  rejected: number;
  /** Why records must wait, each reason once. */
  errors: string[];
}

const TRIES = 3;
const NO_OUTCOME: DeliveryOutcome = { kind: 'retry', error: 'the sink gave no outcome for this record' };

/**
 * Hands one batch of due records to a sink. The attempt is written down before it begins, so that no other replica
 * begins one as well; after a crash in between, the lease ends and the sink's own idempotency makes the repeat harmless.
 * @param earlyMs records whose back-off ends within this time count as due
 */
export async function deliverUsage(parts: DeliveryParts, earlyMs = 0): Promise<BatchResult> {
  const { sink, store, now } = parts;
  const result: BatchResult = { delivered: [], retry: 0, rejected: 0, errors: [] };
  const times = { now: now().toISOString(), until: new Date(now().getTime() + earlyMs).toISOString() };
  const due = await store.due(sink.name, times, sink.batchSize);
  if (due.length === 0) return result;

  const claim = parts.newId();
  const begun = due.map((row) => ({ ...row, delivery: claimed(row.delivery, claim, now(), parts.leaseMs) }));
  // another replica was quicker with one of them: the rest comes with the next round
  if (!(await store.update(begun))) return result;

  const outcomes = await sink.deliver(begun.map(({ usage }) => usage));
  const ended = begun.map(({ usage }, index) => ({ usage, outcome: outcomes[index] ?? NO_OUTCOME }));
  await settle(parts, claim, new Map(ended.map(({ usage, outcome }) => [usage.record.id, outcome])));
  for (const { usage, outcome } of ended) {
    if (outcome.kind === 'delivered') result.delivered.push(usage);
    else {
      result[outcome.kind] += 1;
      if (!result.errors.includes(outcome.error)) result.errors.push(outcome.error);
    }
  }
  return result;
}

/** Writes the outcomes down, save those of records that were claimed by somebody else since: their lease had ended. */
async function settle(parts: DeliveryParts, claim: string, outcomes: Map<string, DeliveryOutcome>): Promise<void> {
  const { sink, store, backOff, now, random } = parts;
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const current = await store.deliveries(sink.name, [...outcomes.keys()]);
    const ended: VersionedDelivery[] = [];
    for (const { delivery, version } of current.values()) {
      const outcome = outcomes.get(delivery.usageId);
      if (!outcome || delivery.claim !== claim) continue;
      ended.push({ delivery: settled(delivery, outcome, now(), backOff, random()), version });
    }
    if (await store.update(ended)) return;
  }
}
