import type { Batch, Chunk } from '../domain/batch';
import type { DeadLetter } from '../domain/dead-letter';
import type { Delivery } from '../domain/delivery';
import type { StoredUsage } from '../domain/usage-record';

/** A record with its place in the ledger. */
export interface UsageInLedger {
  usage: StoredUsage;
  /** Null while it waits for its batch to be closed. */
  batch: Batch | null;
  /** Of its batch, those to sinks that are no longer configured included. */
  deliveries: Delivery[];
  /** The id of the record that corrects this one. */
  correctedBy: string | null;
}

export interface UsageFilter {
  userId?: string | undefined;
  serviceType?: string | undefined;
  kind?: 'task' | 'allocation' | undefined;
  /** Of the end of the use: `from` included, `to` not. RFC 3339. */
  from?: string | undefined;
  to?: string | undefined;
}

/** Newest first; the page goes on behind `after`. */
export interface Page {
  limit: number;
  after?: { at: string; id: string } | undefined;
}

/**
 * Where usage records and dead letters are kept. Every method fails with an AppError of kind `unavailable` when the store
 * cannot be reached.
 */
export interface UsageStore {
  /** Records by id; unknown ids are absent. Sees every insert that was answered before. */
  find(ids: readonly string[]): Promise<Map<string, StoredUsage>>;
  /**
   * Adds the records of a chunk, and the chunk for the next batch to take up; all or nothing.
   * @returns false, with nothing written, when one of them is there already, or corrects what another one corrects
   */
  insert(chunk: Chunk, usages: readonly StoredUsage[]): Promise<boolean>;
  get(id: string): Promise<UsageInLedger | null>;
  /** By end of use, newest first. */
  list(filter: UsageFilter, page: Page): Promise<UsageInLedger[]>;
  /** The same letter again is the same row: see `arrived` of domain/dead-letter.ts. */
  keepDeadLetters(letters: readonly DeadLetter[]): Promise<void>;
}
