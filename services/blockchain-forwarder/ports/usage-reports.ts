import type { SealedRecord } from '../domain/usage-record';
import type { Grouping, SumPage, UsageSum } from '../domain/usage-summary';
import type { Page, UsageFilter } from './usage-store';

export interface ReportedUsage extends SealedRecord {
  /** RFC 3339. */
  receivedAt: string;
  /** The id of the record that this one replaces; null where it replaces none. */
  corrects: string | null;
}

/**
 * What people and finance read of the usage records; what is inserted meanwhile may or may not be in it. Every method
 * fails with an AppError of kind `unavailable` when the records cannot be read.
 */
export interface UsageReports {
  /**
   * Sums of the records that fit the filter, but for those that another record corrects, wherever that one ended; in the
   * order of `pageOfSums`. Each page sums everything up anew.
   */
  summary(filter: UsageFilter, by: Grouping, page: SumPage): Promise<UsageSum[]>;
  /** All records that fit the filter, corrected ones included, newest end first. */
  records(filter: UsageFilter, page: Page): Promise<ReportedUsage[]>;
}
