import type { UsageRecord } from '../domain/usage-record';
import { addUp, millisecondsOf, pageOfSums, type Grouping, type SumPage, type UsageSum } from '../domain/usage-summary';
import type { ReportedUsage, UsageReports } from '../ports/usage-reports';
import type { Page, UsageFilter, UsageStore } from '../ports/usage-store';

const KEYS: Record<Grouping, (record: UsageRecord) => string | null> = {
  user: (record) => record.userId,
  service: (record) => record.serviceId,
  serviceType: (record) => record.serviceType,
  pool: (record) => record.poolId,
  day: (record) => record.endedAt.slice(0, 10),
  month: (record) => record.endedAt.slice(0, 7),
};

/** Reports over the lists of a store in memory, for tests. */
export class MemoryUsageReports implements UsageReports {
  constructor(private readonly store: UsageStore) {}

  async summary(filter: UsageFilter, by: Grouping, page: SumPage): Promise<UsageSum[]> {
    const everything = await this.store.list({}, { limit: Infinity });
    const corrected = new Set(everything.map(({ usage }) => correctedBy(usage.record)));
    const total = new Map<string | null, UsageSum>();
    for (const { usage } of await this.store.list(filter, { limit: Infinity })) {
      const { record } = usage;
      if (corrected.has(record.id)) continue;
      const milliseconds = millisecondsOf(record);
      const unitMilliseconds = milliseconds * BigInt(record.capacity ?? 0);
      addUp(total, [{ key: KEYS[by](record), count: 1, milliseconds, unitMilliseconds }]);
    }
    return pageOfSums(total.values(), by, page);
  }

  async records(filter: UsageFilter, page: Page): Promise<ReportedUsage[]> {
    const rows = await this.store.list(filter, page);
    return rows.map(({ usage: { record, usageHash, receivedAt } }) => ({
      record,
      usageHash,
      receivedAt,
      corrects: correctedBy(record),
    }));
  }
}

function correctedBy(record: UsageRecord & { corrects?: string }): string | null {
  return record.corrects ?? null;
}
