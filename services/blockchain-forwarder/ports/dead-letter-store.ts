import type { DeadLetter, DeadLetterReason, DeadLetterState } from '../domain/dead-letter';
import type { Versioned } from './ledger-store';
import type { Page } from './usage-store';

export interface DeadLetterFilter {
  state?: DeadLetterState | undefined;
  reason?: DeadLetterReason | undefined;
  eventId?: string | undefined;
  /** Of letters that a sink refused. */
  sink?: string | undefined;
}

/**
 * Dead letters as administrators handle them; `UsageStore.keepDeadLetters` and `SinkStore.write` add them. Every method
 * fails with an AppError of kind `unavailable` when the store cannot be reached.
 */
export interface DeadLetterStore {
  deadLetter(id: string): Promise<Versioned<DeadLetter> | null>;
  /** By time of the first arrival, newest first. */
  listDeadLetters(filter: DeadLetterFilter, page: Page): Promise<DeadLetter[]>;
  /** Of those behind `after`, where it is given. */
  countDeadLetters(filter: DeadLetterFilter, after?: Page['after']): Promise<number>;
  /** @returns false, with nothing written, when the letter is not at that version */
  changeDeadLetter(letter: DeadLetter, version: string | null): Promise<boolean>;
}
