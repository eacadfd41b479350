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

/** Days and months go by time; all else by unit-seconds, most first. */
export function isCalendar(by: Grouping): boolean {
  return by === 'day' || by === 'month';
}

/** From start to end of a use; a clock that went backwards counts as no time at all. */
export function millisecondsOf({ startedAt, endedAt }: { startedAt: string; endedAt: string }): bigint {
  return BigInt(Math.max(0, Date.parse(endedAt) - Date.parse(startedAt)));
}

/** Exact, in seconds with three decimals, for example `3800.250`. */
export function secondsText(milliseconds: bigint): string {
  return `${milliseconds / 1000n}.${String(milliseconds % 1000n).padStart(3, '0')}`;
}
