import type { DeadLetter } from '../domain/dead-letter';
import type { Delivery } from '../domain/delivery';
import type { StoredUsage } from '../domain/usage-record';

export interface UsageWithDeliveries {
  usage: StoredUsage;
  deliveries: Delivery[];
}

/** A delivery as it was read; a write that finds another version than this is refused. */
export interface VersionedDelivery {
  delivery: Delivery;
  version: string;
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
 * Where usage records, the state of their deliveries and dead letters are kept. Every method fails with an AppError of
 * kind `unavailable` when the store cannot be reached.
 */
export interface UsageStore {
  /** Records by id; unknown ids are absent. Sees every insert that was answered before. */
  find(ids: readonly string[]): Promise<Map<string, StoredUsage>>;
  /**
   * Adds records and their deliveries, all or nothing.
   * @returns false, with nothing written, when one of them is there already
   */
  insert(usages: readonly StoredUsage[], deliveries: readonly Delivery[]): Promise<boolean>;
  /** One record with all its deliveries, those to sinks that are no longer configured included. */
  get(id: string): Promise<UsageWithDeliveries | null>;
  /** By end of use, newest first. */
  list(filter: UsageFilter, page: Page): Promise<UsageWithDeliveries[]>;
  /**
   * Deliveries to a sink that are not done, longest due first: those whose back-off ends by `until`, and claimed ones
   * whose lease ended by `now` (RFC 3339). Does not promise to see the last moment's writes.
   */
  due(
    sink: string,
    times: { now: string; until: string },
    limit: number,
  ): Promise<(VersionedDelivery & { usage: StoredUsage })[]>;
  /** The present state of deliveries to a sink, by usage id. */
  deliveries(sink: string, usageIds: readonly string[]): Promise<Map<string, VersionedDelivery>>;
  /**
   * Changes deliveries, all or nothing.
   * @returns false, with nothing written, when one is no longer at the version given
   */
  update(deliveries: readonly VersionedDelivery[]): Promise<boolean>;
  /** Deliveries that are not done, by sink; sinks without any may be absent. */
  backlog(): Promise<Record<string, number>>;
  /** The same letter again changes nothing but its time. */
  keepDeadLetters(letters: readonly DeadLetter[]): Promise<void>;
  /** By time of arrival, newest first. */
  listDeadLetters(page: Page): Promise<DeadLetter[]>;
}
