/** An event that did not become a record, kept with the reason. */
export interface DeadLetter {
  /** UUID; follows from topic and content, so that the same letter again is the same row. */
  id: string;
  topic: string;
  /** The event's own id, where it has one. */
  eventId: string | null;
  /** A stable code: see `DEAD_LETTER_REASONS`. */
  reason: DeadLetterReason;
  /** A sentence for people: which field, what about it. */
  detail: string;
  /** The event as JSON text: it may hold what no database's JSON type takes. */
  event: string;
  /** Of a record that a sink refuses for good; the record itself stays. */
  refusedBy?: { sink: string; batchId: number };
  /** When it came first. RFC 3339. */
  receivedAt: string;
  /** When the same came last; absent while it came once. */
  lastSeenAt?: string;
  /** Open where it is absent: rows are older than states. */
  state?: DeadLetterState;
  /** What administrators did with it, the last act at the end. */
  handling?: readonly Handling[];
}

export const DEAD_LETTER_STATES = ['open', 'replayed', 'dropped'] as const;
export type DeadLetterState = (typeof DEAD_LETTER_STATES)[number];

export interface Handling {
  action: 'replay' | 'drop';
  /** Who. */
  by: string;
  /** RFC 3339. */
  at: string;
  result: ReplayResult | 'dropped';
  /** Why it was dropped, or what came of the replay in a sentence. */
  detail: string;
}

export const REPLAY_RESULTS = [
  /** The event is a record now. */
  'recorded',
  /** The record was there already, or the sink has it. */
  'known',
  /** Nothing was used: there is no record to make. */
  'nothing_used',
  /** The sink tries the record again. */
  'reopened',
  /** Another event's record has this id; only a correction helps. */
  'quarantined',
  /** It is as bad as before. */
  'failed',
] as const;
export type ReplayResult = (typeof REPLAY_RESULTS)[number];
const STAYS_OPEN: readonly (ReplayResult | 'dropped')[] = ['quarantined', 'failed'];
/** Acts that a letter remembers; the log has them all. */
const REMEMBERED = 20;

export function stateOfLetter({ state }: Pick<DeadLetter, 'state'>): DeadLetterState {
  return state ?? 'open';
}

/**
 * The row of a letter that comes, perhaps not for the first time. One that was dropped stays so: somebody looked at this very
 * content. One that was replayed is open again: what it was replayed for did not last.
 */
export function arrived(letter: DeadLetter, kept: DeadLetter | undefined): DeadLetter {
  if (!kept) return letter;
  return {
    ...kept,
    ...letter,
    receivedAt: kept.receivedAt,
    lastSeenAt: letter.receivedAt,
    state: stateOfLetter(kept) === 'dropped' ? 'dropped' : 'open',
  };
}

/** The letter after an act. What was achieved is a fact, also for a letter that somebody else dropped meanwhile. */
export function handled(letter: DeadLetter, act: Handling): DeadLetter {
  const achieved = act.action === 'drop' ? 'dropped' : 'replayed';
  return {
    ...letter,
    state: STAYS_OPEN.includes(act.result) ? stateOfLetter(letter) : achieved,
    handling: [...(letter.handling ?? []), act].slice(-REMEMBERED),
  };
}

export const DEAD_LETTER_REASONS = [
  /** It does not fit the schema of its topic. */
  'event.invalid',
  /** It fits, but no record can be made of it: text that cannot be stored or hashed, a time out of reason. */
  'usage.unusable',
  /** Another event with the same id is a record already; that one stays as it is. */
  'usage.content_mismatch',
  /** A sink does not take the record. */
  'sink.refused',
] as const;

export type DeadLetterReason = (typeof DEAD_LETTER_REASONS)[number];
