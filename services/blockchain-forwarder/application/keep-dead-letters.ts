import { uuidFromName } from '../../../shared/contracts/ids';
import type { DeadLetter, DeadLetterReason } from '../domain/dead-letter';
import type { Refusal } from '../ports/ledger-sink';
import type { LedgerStore } from '../ports/ledger-store';

/** Why an event came to nothing: a code, and a sentence. */
export interface Diagnosis {
  reason: DeadLetterReason;
  detail: string;
}

/** @param event as it came, whatever it is */
export function letterOf(topic: string, event: unknown, { reason, detail }: Diagnosis, receivedAt: Date): DeadLetter {
  const text = JSON.stringify(event) ?? 'null';
  const id = (event as { id?: unknown } | null)?.id;
  return {
    id: uuidFromName(JSON.stringify(['dead-letter', topic, text])),
    topic,
    eventId: typeof id === 'string' && /^[\w.:-]{1,100}$/.test(id) ? id : null,
    reason,
    detail,
    event: text,
    receivedAt: receivedAt.toISOString(),
  };
}

/** What a sink refuses for good, each record as a letter of its own. */
export async function refusalLetters(
  sink: string,
  refusals: readonly Refusal[],
  ledger: LedgerStore,
  receivedAt: Date,
): Promise<DeadLetter[]> {
  const batches = new Map<number, Awaited<ReturnType<LedgerStore['records']>>>();
  for (const { batchId } of refusals) {
    if (!batches.has(batchId)) batches.set(batchId, await ledger.records(batchId));
  }
  return refusals.flatMap(({ batchId, recordId, detail }) => {
    const usage = batches.get(batchId)?.find(({ record }) => record.id === recordId);
    if (!usage) return [];
    const letter = letterOf(`sink ${sink}`, usage.record, { reason: 'sink.refused', detail }, receivedAt);
    return [{ ...letter, refusedBy: { sink, batchId } }];
  });
}
