import { randomBytes } from 'node:crypto';
import { unavailable } from '../../../shared/errors';
import type { InvalidEvent } from '../../../shared/http/subscription';
import type { Logger } from '../../../shared/logging/logger';
import type { DeadLetter } from '../domain/dead-letter';
import { SALT_BYTES } from '../domain/leaf';
import { faultOf, usageRecordOf, type EndOfUse, type StoredUsage } from '../domain/usage-record';
import type { UsageStore } from '../ports/usage-store';
import { letterOf, type Diagnosis } from './keep-dead-letters';
import { sealUsage, type SealedUsage } from './seal-usage';

export interface IngestParts {
  store: UsageStore;
  logger: Logger;
  now: () => Date;
  newId: () => string;
  /** Called after the commit, when records wait for a batch. */
  wakeLedger: () => void;
}

/** Events that came together; those that fit no schema beside the others. */
export interface Bundle {
  events: readonly EndOfUse[];
  invalid: readonly InvalidEvent[];
}

const TRIES = 5;
/** A transaction is a round trip to the database for each row: several at a time use the machine, and each is short. */
const CHUNK = 125;
const LANES = 4;

/**
 * Makes records of the ends of uses, each exactly once however often its event comes, and returns after they are
 * committed. What is invalid, and an event that no record can be made of, becomes a dead letter at once and holds up no other.
 * @throws AppError `unavailable` when nothing is certain: the events must be delivered again
 */
export async function ingestEvents(bundle: Bundle, parts: IngestParts): Promise<void> {
  const letters = await takeIn(bundle, parts);
  await parts.store.keepDeadLetters(letters);
  report(letters, parts.logger);
}

/**
 * The records alone.
 * @returns what is to be kept of the events that no record can be made of
 */
export async function takeIn({ events, invalid }: Bundle, parts: IngestParts): Promise<readonly DeadLetter[]> {
  const taken = new Drafts(parts.now());
  for (const { topic, event, detail } of invalid) {
    taken.refuse(topic, event, { reason: 'event.invalid', detail });
  }
  // at once: a call costs as much as fifty salts
  const salts = randomBytes(SALT_BYTES * events.length);
  for (const [at, event] of events.entries()) {
    await taken.add(event, salts.subarray(at * SALT_BYTES, (at + 1) * SALT_BYTES));
  }
  const drafts = [...taken.usages.values()];
  const chunks = Array.from({ length: Math.ceil(drafts.length / CHUNK) }, (_, index) =>
    drafts.slice(index * CHUNK, (index + 1) * CHUNK),
  );
  const lane = async () => {
    for (let chunk = chunks.shift(); chunk; chunk = chunks.shift()) await commit(chunk, taken, parts);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return taken.letters;
}

async function commit(drafts: readonly Draft[], taken: Drafts, { store, newId, wakeLedger }: IngestParts) {
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    // nearly all events are new: only an insert that was refused needs a look at what is there
    const known =
      attempt === 0 ? new Map<string, StoredUsage>() : await store.find(drafts.map(({ usage }) => usage.record.id));
    const fresh = drafts.filter(({ usage }) => !known.has(usage.record.id));
    if (fresh.length > 0) {
      const id = newId();
      const chunk = {
        id,
        receivedAt: taken.receivedAt.toISOString(),
        bytes: fresh.reduce((sum, { bytes }) => sum + bytes, 0),
        entries: fresh.map(({ usage }) => [usage.record.id, usage.leaf] as const),
      };
      if (
        !(await store.insert(
          chunk,
          fresh.map(({ usage }) => ({ ...usage, chunk: id })),
        ))
      )
        continue;
      wakeLedger();
    }
    for (const { usage, told } of drafts) {
      const kept = (known.get(usage.record.id) ?? usage).contentHash;
      for (const { event, contentHash } of told) if (contentHash !== kept) taken.mismatch(event);
    }
    return;
  }
  throw unavailable('usage.busy', 'Others write the same records now; deliver the events again shortly.');
}

interface Draft extends SealedUsage {
  /** All events with its id; which one the record is made of is certain only after the commit. */
  told: { event: EndOfUse; contentHash: string }[];
}

/** What the events of one delivery come to, before the store is asked. */
class Drafts {
  readonly usages = new Map<string, Draft>();
  readonly letters: DeadLetter[] = [];

  constructor(readonly receivedAt: Date) {}

  async add(event: EndOfUse, salt: Buffer): Promise<void> {
    const record = usageRecordOf(event);
    if (!record) return;
    const fault = faultOf(event, record, this.receivedAt);
    if (fault) {
      this.refuse(event.type, event, { reason: 'usage.unusable', detail: fault });
      return;
    }
    const { source, type, data } = event;
    const sealed = await sealUsage(
      record,
      { source, type, data },
      { receivedAt: this.receivedAt, traceparent: event.traceparent ?? null, salt },
    );
    const told = { event, contentHash: sealed.usage.contentHash };
    const first = this.usages.get(event.id);
    if (first) first.told.push(told);
    else this.usages.set(event.id, { ...sealed, told: [told] });
  }

  mismatch(event: EndOfUse): void {
    const detail = 'a record was made of another event with the same id; that record stays as it is';
    this.refuse(event.type, event, { reason: 'usage.content_mismatch', detail });
  }

  refuse(topic: string, event: unknown, diagnosis: Diagnosis): void {
    this.letters.push(letterOf(topic, event, diagnosis, this.receivedAt));
  }
}

function report(letters: readonly DeadLetter[], logger: Logger): void {
  for (const { topic, eventId, reason, detail } of letters) {
    logger.error('an event is kept out of the usage records; an administrator must look at the dead letters', {
      activity: `event ${topic}`,
      resource: eventId,
      result: reason,
      detail,
    });
  }
}
