import type { SealedRecord } from '../domain/usage-record';
import type { Grouping, SumPosition, UsageSum } from '../domain/usage-summary';
import type { Page, UsageFilter } from './usage-store';

export interface ReportedUsage extends SealedRecord {
  /** RFC 3339. */
  receivedAt: string;
  /** The id of the record that this one replaces; null where it replaces none. */
  corrects: string | null;
}

/** The page goes on behind `after`. */
export interface SumPage {
  limit: number;
  after?: SumPosition | undefined;
}

/**
 * What people and finance read of the usage records. Each call sees the records of its own moment; between two pages
 * others may come. Every method fails with an AppError of kind `unavailable` when the records cannot be read.
 */
export interface UsageReports {
  /**
   * Sums of the records that fit the filter, but for those that another record corrects, wherever that one ended.
   * Ordered by key for days and months, else by unit-seconds, most first, then by key; null goes as an empty key.
   */
  summary(filter: UsageFilter, by: Grouping, page: SumPage): Promise<UsageSum[]>;
  /** All records that fit the filter, corrected ones included, newest end first. */
  records(filter: UsageFilter, page: Page): Promise<ReportedUsage[]>;
}
