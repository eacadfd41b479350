import { hasCode } from '../../../shared/errors';
import type { Logger } from '../../../shared/logging/logger';
import { handled, stateOfLetter, type DeadLetter } from '../domain/dead-letter';
import { letterContended, letterNotFound, letterNotOpen } from '../domain/errors';
import type { EndOfUse } from '../domain/usage-record';
import type { DeadLetterFilter } from '../ports/dead-letter-store';
import type { Versioned } from '../ports/ledger-store';
import type { Page } from '../ports/usage-store';
import { takeIn, type IngestParts } from './ingest-events';
import { reopenRefused, type Outcome, type ReopenParts, type Replayed } from './reopen-refused';

export interface ReplayParts extends ReopenParts {
  ingest: IngestParts;
  /** The schema of events, as it is now. */
  examine: (event: unknown) => { valid: EndOfUse } | { detail: string };
  logger: Logger;
}

const TRIES = 5;

/**
 * Sends a letter the way that it came, in whatever state it is. The record is committed before the letter is marked: after a
 * death in between a repeat finds the record, and marks the letter.
 * @throws AppError `dead_letter.not_found`, `dead_letter.sink_not_configured`, `dead_letter.contended`
 */
export async function replayLetter(id: string, by: string, parts: ReplayParts): Promise<Replayed> {
  const found = await parts.letters.deadLetter(id);
  if (!found) throw letterNotFound();
  const replayed = found.value.refusedBy ? await reopenRefused(found, by, parts) : await replayEvent(found, by, parts);
  log(parts.logger, 'replay', by, id, replayed);
  return replayed;
}

/**
 * Replays open letters behind `after`, newest first, one after the other.
 * @returns how many came to something, how many stay open, how many wait behind them, and where to go on
 */
export async function replayLetters(
  filter: DeadLetterFilter,
  { limit, after }: Page,
  by: string,
  parts: ReplayParts,
): Promise<{ replayed: number; failed: number; left: number; last: Page['after'] }> {
  const open = { ...filter, state: 'open' } as const;
  const page = await parts.letters.listDeadLetters(open, { limit, after });
  let replayed = 0;
  for (const { id } of page) if (await achieves(id, by, parts)) replayed += 1;
  const end = page.at(-1);
  const last = end && { at: end.receivedAt, id: end.id };
  const left = last ? await parts.letters.countDeadLetters(open, last) : 0;
  return { replayed, failed: page.length - replayed, left, last: left > 0 ? last : undefined };
}

async function achieves(id: string, by: string, parts: ReplayParts): Promise<boolean> {
  try {
    const { letter } = await replayLetter(id, by, parts);
    return stateOfLetter(letter) === 'replayed';
  } catch (error) {
    if (!hasCode(error, 'dead_letter.sink_not_configured') && !hasCode(error, 'dead_letter.contended')) throw error;
    log(parts.logger, 'replay', by, id, { result: error.code, detail: error.message });
    return false;
  }
}

/** @throws AppError `dead_letter.not_found`, `dead_letter.not_open`, `dead_letter.contended` */
export async function dropLetter(
  id: string,
  reason: string,
  by: string,
  { letters, logger, now }: Pick<ReplayParts, 'letters' | 'logger' | 'now'>,
): Promise<DeadLetter> {
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const found = await letters.deadLetter(id);
    if (!found) throw letterNotFound();
    const state = stateOfLetter(found.value);
    if (state !== 'open') throw letterNotOpen(state);
    const act = { action: 'drop', by, at: now().toISOString(), result: 'dropped', detail: reason } as const;
    const letter = handled(found.value, act);
    if (!(await letters.changeDeadLetter(letter, found.version))) continue;
    log(logger, 'drop', by, id, act);
    return letter;
  }
  throw letterContended();
}

async function replayEvent(first: Versioned<DeadLetter>, by: string, parts: ReplayParts): Promise<Replayed> {
  const { outcome, reason } = await retake(first.value, parts);
  let current: Versioned<DeadLetter> | null = first;
  for (let attempt = 0; current && attempt < TRIES; attempt += 1) {
    const isBad = outcome.result === 'failed' || outcome.result === 'quarantined';
    // what is wrong now may be another thing than what was
    const diagnosis = isBad && reason ? { reason, detail: outcome.detail } : {};
    const act = { action: 'replay', by, at: parts.now().toISOString(), ...outcome } as const;
    const letter = { ...handled(current.value, act), ...diagnosis };
    if (await parts.letters.changeDeadLetter(letter, current.version)) return { letter, ...outcome };
    current = await parts.letters.deadLetter(first.value.id);
  }
  throw letterContended();
}

/** Takes the event in once more; harmless when it is a record already. */
async function retake(
  { event }: DeadLetter,
  { ingest, examine }: ReplayParts,
): Promise<{ outcome: Outcome; reason?: DeadLetter['reason'] }> {
  const seen = examine(JSON.parse(event));
  if ('detail' in seen) return { outcome: { result: 'failed', detail: seen.detail }, reason: 'event.invalid' };
  const { id } = seen.valid;
  const isKnown = (await ingest.store.find([id])).has(id);
  const [fault] = await takeIn({ events: [seen.valid], invalid: [] }, ingest);
  if (fault?.reason === 'usage.content_mismatch') {
    const detail = `a record was made of another event with the same id, and is never overwritten: if it is wrong, POST /api/usage/${id}/corrections`;
    return { outcome: { result: 'quarantined', detail }, reason: fault.reason };
  }
  if (fault) return { outcome: { result: 'failed', detail: fault.detail }, reason: fault.reason };
  if (isKnown) return { outcome: { result: 'known', detail: `it is the record ${id} already` } };
  const isRecord = (await ingest.store.find([id])).has(id);
  return isRecord
    ? { outcome: { result: 'recorded', detail: `it is the record ${id} now` } }
    : { outcome: { result: 'nothing_used', detail: 'it tells of no use, so there is no record to make' } };
}

function log(
  logger: Logger,
  act: 'replay' | 'drop',
  by: string,
  id: string,
  { result, detail }: { result: string; detail: string },
): void {
  logger.info(act === 'drop' ? 'an administrator dropped a dead letter' : 'an administrator replayed a dead letter', {
    activity: `dead_letter.${act}`,
    who: by,
    resource: id,
    result,
    detail,
  });
}
