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
  /** RFC 3339. */
  receivedAt: string;
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
