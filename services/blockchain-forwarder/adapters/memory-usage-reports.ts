import type { UsageRecord } from '../domain/usage-record';
import { isCalendar, millisecondsOf, type Grouping, type SumPosition, type UsageSum } from '../domain/usage-summary';
import type { ReportedUsage, SumPage, UsageReports } from '../ports/usage-reports';
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

  async summary(filter: UsageFilter, by: Grouping, { limit, after }: SumPage): Promise<UsageSum[]> {
    const everything = await this.store.list({}, { limit: Infinity });
    const corrected = new Set(everything.map(({ usage }) => correctedBy(usage.record)));
    const sums = new Map<string | null, UsageSum>();
    for (const { usage } of await this.store.list(filter, { limit: Infinity })) {
      const { record } = usage;
      if (corrected.has(record.id)) continue;
      const key = KEYS[by](record);
      const sum = sums.get(key) ?? { key, count: 0, milliseconds: 0n, unitMilliseconds: 0n };
      const milliseconds = millisecondsOf(record);
      sums.set(key, {
        key,
        count: sum.count + 1,
        milliseconds: sum.milliseconds + milliseconds,
        unitMilliseconds: sum.unitMilliseconds + milliseconds * BigInt(record.capacity ?? 0),
      });
    }
    const order = inOrder(by);
    const rows = [...sums.values()].sort(order);
    return rows.filter((row) => after === undefined || order(after, row) < 0).slice(0, limit);
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

function inOrder(by: Grouping): (a: SumPosition, b: SumPosition) => number {
  return (a, b) => {
    if (!isCalendar(by) && a.unitMilliseconds !== b.unitMilliseconds) {
      return a.unitMilliseconds > b.unitMilliseconds ? -1 : 1;
    }
    const [x, y] = [a.key ?? '', b.key ?? ''];
    return x === y ? 0 : x < y ? -1 : 1;
  };
}
