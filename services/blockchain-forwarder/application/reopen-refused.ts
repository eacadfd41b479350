import { handled, type DeadLetter, type ReplayResult } from '../domain/dead-letter';
import { letterContended, sinkNotConfigured } from '../domain/errors';
import type { LedgerSink } from '../ports/ledger-sink';
import type { DeadLetterStore } from '../ports/dead-letter-store';
import type { Versioned } from '../ports/ledger-store';
import type { OpenDelivery, SinkStore } from '../ports/sink-store';

export interface ReopenParts {
  letters: DeadLetterStore;
  sinkStore: SinkStore;
  sinks: readonly LedgerSink[];
  now: () => Date;
}

/** What came of it, in a sentence. */
export interface Outcome {
  result: ReplayResult;
  detail: string;
}

export interface Replayed extends Outcome {
  letter: DeadLetter;
}

const TRIES = 10;

/**
 * Lets a sink try a refused record again. Delivery and letter are written at once, under the version of the sink's state: a
 * step under way then counts as never made, and a refusal that comes after this opens the letter again.
 * @throws AppError `dead_letter.sink_not_configured`, `dead_letter.contended`
 */
export async function reopenRefused(
  { value: first, version: firstVersion }: Versioned<DeadLetter>,
  by: string,
  { letters, sinkStore, sinks, now }: ReopenParts,
): Promise<Replayed> {
  const { sink: name, batchId } = first.refusedBy ?? { sink: 'nobody', batchId: 0 };
  const sink = sinks.find((each) => each.name === name);
  if (!sink) throw sinkNotConfigured(name);
  let current = { value: first, version: firstVersion };
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const state = await sinkStore.state(name);
    const found = await sinkStore.delivery(name, batchId);
    const at = now().toISOString();
    const { outcome, write } = next(sink, found, recordIdOf(first), at);
    const letter = handled(current.value, { action: 'replay', by, at, ...outcome });
    const done =
      state.value && write
        ? await sinkStore.write(state.value, state.version, {
            deliveries: [write],
            handled: [{ value: letter, version: current.version }],
          })
        : await letters.changeDeadLetter(letter, current.version);
    if (done) return { letter, ...outcome };
    current = (await letters.deadLetter(first.id)) ?? current;
  }
  throw letterContended();
}

function next(
  sink: LedgerSink,
  found: Awaited<ReturnType<SinkStore['delivery']>>,
  recordId: string,
  at: string,
): { outcome: Outcome; write?: Pick<OpenDelivery, 'delivery' | 'progress'> } {
  if (!found || found.delivery.place !== sink.place || found.progress === null) {
    return {
      outcome: { result: 'reopened', detail: `${sink.name} has not come to this batch yet, and tries all of it` },
    };
  }
  const { delivery, progress } = found;
  if (sink.receiptOf(progress, recordId)) {
    return { outcome: { result: 'known', detail: `${sink.name} has the record, with a receipt` } };
  }
  return {
    outcome: { result: 'reopened', detail: `${sink.name} tries the record again` },
    write: { delivery: { ...delivery, stage: 'pending', since: at }, progress: sink.reopened(progress, recordId) },
  };
}

/** The letter of a refusal holds the record. */
function recordIdOf({ event }: DeadLetter): string {
  return (JSON.parse(event) as { id: string }).id;
}
