/** What usage is summed up by. `day` and `month` are those of the end of the use, in UTC. */
export const GROUPINGS = ['user', 'service', 'serviceType', 'pool', 'day', 'month'] as const;
export type Grouping = (typeof GROUPINGS)[number];

/** One group. Sums are bigints: units times milliseconds soon pass 2^53. */
export interface UsageSum {
  /** Null gathers the records to which the grouping does not apply, as a task that held no pool. */
  key: string | null;
  count: number;
  milliseconds: bigint;
  /** Capacity × milliseconds; a use without a capacity counts nothing. */
  unitMilliseconds: bigint;
}

/** Where a group stands in its summary. */
export type SumPosition = Pick<UsageSum, 'key' | 'unitMilliseconds'>;

/** The page goes on behind `after`. */
export interface SumPage {
  limit: number;
  after?: SumPosition | undefined;
}

/** From start to end of a use; a clock that went backwards counts as no time at all. */
export function millisecondsOf({ startedAt, endedAt }: { startedAt: string; endedAt: string }): bigint {
  return BigInt(Math.max(0, Date.parse(endedAt) - Date.parse(startedAt)));
}

/** Exact, in seconds with three decimals, for example `3800.250`. */
export function secondsText(milliseconds: bigint): string {
  return `${milliseconds / 1000n}.${String(milliseconds % 1000n).padStart(3, '0')}`;
}

/** Adds sums of parts of a summary to what was added up before. */
export function addUp(total: Map<string | null, UsageSum>, part: readonly UsageSum[]): void {
  for (const sum of part) {
    const { count, milliseconds, unitMilliseconds } = total.get(sum.key) ?? EMPTY;
    total.set(sum.key, {
      key: sum.key,
      count: count + sum.count,
      milliseconds: milliseconds + sum.milliseconds,
      unitMilliseconds: unitMilliseconds + sum.unitMilliseconds,
    });
  }
}

const EMPTY = { count: 0, milliseconds: 0n, unitMilliseconds: 0n };

/** Days and months by time; all else by unit-seconds, most first, then by key, where null is the empty text. */
export function pageOfSums(sums: Iterable<UsageSum>, by: Grouping, { limit, after }: SumPage): UsageSum[] {
  const isCalendar = by === 'day' || by === 'month';
  const order = (a: SumPosition, b: SumPosition): number => {
    if (!isCalendar && a.unitMilliseconds !== b.unitMilliseconds) {
      return a.unitMilliseconds > b.unitMilliseconds ? -1 : 1;
    }
    const [x, y] = [a.key ?? '', b.key ?? ''];
    return x === y ? 0 : x < y ? -1 : 1;
  };
  const rows = [...sums].filter((sum) => after === undefined || order(after, sum) < 0);
  return rows.sort(order).slice(0, limit);
}
