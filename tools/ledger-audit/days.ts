/** What came of the uses that ended on one day (UTC). */
export interface Day {
  day: string;
  /** By the services that they were of. */
  uses: number;
  records: number;
  /** Counted apart: their uses have records of their own. */
  corrections: number;
  /** Uses with a record of another event, and a letter that says so. */
  quarantined: number;
  /** Uses whose event came to a dead letter, and to no record. */
  dead: number;
  /** On their way: in an outbox or in the broker. */
  pending: number;
  lost: number;
  invented: number;
  twice: number;
  differing: number;
}

/** Unit-seconds of one pool on one day. */
export interface PoolDay {
  day: string;
  pool: string;
  /** Of records that have a use. */
  records: string;
  /** Of the uses, as the services tell them. */
  history: string;
  /** Of uses without a record: pending, dead, lost. */
  open: string;
  /** What is left between the three. */
  difference: string;
}

type Side = 'records' | 'history' | 'open';
type Count = Exclude<keyof Day, 'day'>;

/** Grows with days and pools, not with uses. */
export class Days {
  private readonly days = new Map<string, Day>();
  private readonly pools = new Map<string, Record<Side, bigint>>();

  count(endedAt: string, what: Count): void {
    const day = endedAt.slice(0, 10);

    const known = this.days.get(day) ?? { ...EMPTY, day };
    known[what] += 1;
    this.days.set(day, known);
  }

  add(endedAt: string, pool: string | null, side: Side, unitMilliseconds: bigint): void {
    if (pool === null) return;
    const key = `${endedAt.slice(0, 10)} ${pool}`;
    const known = this.pools.get(key) ?? { records: 0n, history: 0n, open: 0n };
    known[side] += unitMilliseconds;
    this.pools.set(key, known);
  }

  list(): Day[] {
    return [...this.days.values()].sort((a, b) => (a.day < b.day ? -1 : 1));
  }

  unitSeconds(): PoolDay[] {
    return [...this.pools]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, { records, history, open }]) => ({
        day: key.slice(0, 10),
        pool: key.slice(11),
        records: seconds(records),
        history: seconds(history),
        open: seconds(open),
        difference: seconds(records + open - history),
      }));
  }

  total(): Day {
    const total: Day = { ...EMPTY };
    for (const { day: _, ...counts } of this.days.values()) {
      for (const [name, count] of Object.entries(counts)) total[name as Count] += count;
    }
    return total;
  }
}

const EMPTY: Day = {
  day: 'all',
  uses: 0,
  records: 0,
  corrections: 0,
  quarantined: 0,
  dead: 0,
  pending: 0,
  lost: 0,
  invented: 0,
  twice: 0,
  differing: 0,
};

/** Exact, with the milliseconds as decimals where there are any. */
function seconds(milliseconds: bigint): string {
  const sign = milliseconds < 0n ? '-' : '';
  const size = milliseconds < 0n ? -milliseconds : milliseconds;
  const rest = (size % 1000n).toString().padStart(3, '0').replace(/0+$/, '');
  return `${sign}${size / 1000n}${rest === '' ? '' : `.${rest}`}`;
}
