import { unavailable } from '../../../shared/errors';
import type { InvalidEvent } from '../../../shared/http/subscription';
import type { Logger } from '../../../shared/logging/logger';
import { canonicalHash } from '../domain/canonical-hash';
import { newDelivery } from '../domain/delivery';
import type { DeadLetter } from '../domain/dead-letter';
import { faultOf, usageRecordOf, type EndOfUse, type StoredUsage } from '../domain/usage-record';
import type { UsageStore } from '../ports/usage-store';
import { letterOf, type Diagnosis } from './keep-dead-letters';

export interface IngestParts {
  store: UsageStore;
  /** Names of the configured sinks: each gets every record. */
  sinks: readonly string[];
  logger: Logger;
  now: () => Date;
  /** Called after the commit, when there is something to deliver. */
  wakeDelivery: () => void;
}

const TRIES = 5;

/**
 * Makes records of the ends of uses, each exactly once however often its event comes, and returns after they are
 * committed. What is invalid, and an event that no record can be made of, becomes a dead letter at once and holds up no other.
 * @throws AppError `unavailable` when nothing is certain: the events must be delivered again
 */
export async function ingestEvents(
  { events, invalid }: { events: readonly EndOfUse[]; invalid: readonly InvalidEvent[] },
  parts: IngestParts,
): Promise<void> {
  const batch = new Batch(parts.now());
  for (const { topic, event, detail } of invalid) batch.refuse(topic, event, { reason: 'event.invalid', detail });
  for (const event of events) await batch.add(event);
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    // nearly all events are new: only an insert that was refused needs a look at what is there
    const known = attempt === 0 ? new Map<string, StoredUsage>() : await parts.store.find([...batch.usages.keys()]);
    const fresh = [...batch.usages.values()].filter(({ usage }) => !known.has(usage.record.id));
    const deliveries = fresh.flatMap(({ usage }) =>
      parts.sinks.map((sink) => newDelivery(usage.record.id, sink, batch.receivedAt)),
    );
    if (
      fresh.length > 0 &&
      !(await parts.store.insert(
        fresh.map(({ usage }) => usage),
        deliveries,
      ))
    )
      continue;
    for (const [id, { usage, event }] of batch.usages) {
      const kept = known.get(id);
      if (kept && kept.contentHash !== usage.contentHash) batch.mismatch(event);
    }
    await parts.store.keepDeadLetters(batch.letters);
    report(batch, parts.logger);
    if (fresh.length > 0) parts.wakeDelivery();
    return;
  }
  throw unavailable('usage.busy', 'Others write the same records now; deliver the events again shortly.');
}

/** What the events of one delivery come to, before the store is asked. */
class Batch {
  readonly usages = new Map<string, { usage: StoredUsage; event: EndOfUse }>();
  readonly letters: DeadLetter[] = [];

  constructor(readonly receivedAt: Date) {}

  async add(event: EndOfUse): Promise<void> {
    const record = usageRecordOf(event);
    if (!record) return;
    const fault = faultOf(event, record);
    if (fault) {
      this.refuse(event.type, event, { reason: 'usage.unusable', detail: fault });
      return;
    }
    const { source, type, data } = event;
    const usage = {
      record,
      usageHash: await canonicalHash(record),
      contentHash: await canonicalHash({ source, type, data }),
      receivedAt: this.receivedAt.toISOString(),
      traceparent: event.traceparent ?? null,
    };
    const first = this.usages.get(event.id);
    if (!first) this.usages.set(event.id, { usage, event });
    else if (first.usage.contentHash !== usage.contentHash) this.mismatch(event);
  }

  mismatch(event: EndOfUse): void {
    const detail = 'a record was made of another event with the same id; that record stays as it is';
    this.refuse(event.type, event, { reason: 'usage.content_mismatch', detail });
  }

  refuse(topic: string, event: unknown, diagnosis: Diagnosis): void {
    this.letters.push(letterOf(topic, event, diagnosis, this.receivedAt));
  }
}

function report({ letters }: Batch, logger: Logger): void {
  for (const { topic, eventId, reason, detail } of letters) {
    logger.error('an event is kept out of the usage records; an administrator must look at the dead letters', {
      activity: `event ${topic}`,
      resource: eventId,
      result: reason,
      detail,
    });
  }
}
