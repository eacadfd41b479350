import type { Sidecar } from '../../../shared/dapr/sidecar';
import { isCalendar, type Grouping, type SumPosition, type UsageSum } from '../domain/usage-summary';
import type { ReportedUsage, SumPage, UsageReports } from '../ports/usage-reports';
import type { Page, UsageFilter } from '../ports/usage-store';
import { IS_CORRECTION, IS_USAGE, USAGE, USAGE_KEY } from './usage-schema';

interface Statement {
  sql: string;
  params: string[];
}

/** Of `record`, the JSON of a record. */
const KEYS: Record<Grouping, string> = {
  user: `record ->> 'userId'`,
  service: `record ->> 'serviceId'`,
  serviceType: `record ->> 'serviceType'`,
  pool: `record ->> 'poolId'`,
  // times are all written in UTC
  day: `left(record ->> 'endedAt', 10)`,
  month: `left(record ->> 'endedAt', 7)`,
};

/** Reports by SQL through the own sidecar. */
export class DaprUsageReports implements UsageReports {
  constructor(private readonly sidecar: Sidecar) {}

  async summary(filter: UsageFilter, by: Grouping, page: SumPage): Promise<UsageSum[]> {
    const { sql, params } = summaryStatement(filter, by, page);
    const rows = (await this.sidecar.query(sql, params)) as {
      key: string | null;
      count: number;
      milliseconds: string;
      unitMilliseconds: string;
    }[];
    return rows.map((row) => ({
      ...row,
      milliseconds: BigInt(row.milliseconds),
      unitMilliseconds: BigInt(row.unitMilliseconds),
    }));
  }

  async records(filter: UsageFilter, page: Page): Promise<ReportedUsage[]> {
    const { sql, params } = recordsStatement(filter, page);
    return (await this.sidecar.query(sql, params)) as ReportedUsage[];
  }
}

/** The row's JSON is parsed once (OFFSET 0 keeps it so), not once for every column. */
export function summaryStatement(filter: UsageFilter, by: Grouping, { limit, after }: SumPage): Statement {
  const params: string[] = [];
  const key = `coalesce(key, '') COLLATE "C"`;
  const sql = `SELECT json_build_object('key', key, 'count', count, 'milliseconds', milliseconds::text,
      'unitMilliseconds', unit_milliseconds::text)::text
    FROM (SELECT ${KEYS[by]} AS key, count(*) AS count, sum(milliseconds) AS milliseconds,
        sum(milliseconds * coalesce((record ->> 'capacity')::numeric, 0)) AS unit_milliseconds
      FROM (SELECT record, greatest(0, trunc(1000 * extract(epoch FROM
            (record ->> 'endedAt')::timestamptz - (record ->> 'startedAt')::timestamptz))) AS milliseconds
        FROM (SELECT state_json(value) -> 'record' AS record FROM state AS usage
          WHERE ${conditions(filter, params).join(' AND ')} AND NOT EXISTS (SELECT FROM state AS later
            WHERE ${IS_CORRECTION} AND ${USAGE.corrects} = substr(usage.key, ${USAGE_KEY.length + 1}))
          OFFSET 0) AS parsed) AS used
      GROUP BY 1) AS sums
    ${after === undefined ? '' : `WHERE ${behind(after, by, key, params)}`}
    ORDER BY ${isCalendar(by) ? key : `unit_milliseconds DESC, ${key}`} LIMIT ${limit}`;
  return { sql, params };
}

export function recordsStatement(filter: UsageFilter, { limit, after }: Page): Statement {
  const params: string[] = [];
  const where = conditions(filter, params);
  if (after !== undefined) {
    where.push(`(${USAGE.endedAt}, ${USAGE.id}) < ($${params.push(after.at)}, $${params.push(after.id)})`);
  }
  const sql = `SELECT json_build_object('record', document -> 'record', 'usageHash', document ->> 'usageHash',
      'receivedAt', document ->> 'receivedAt', 'corrects', document #>> '{record,corrects}')::text
    FROM (SELECT state_json(value) AS document FROM state WHERE ${where.join(' AND ')}
      ORDER BY ${USAGE.endedAt} DESC, ${USAGE.id} DESC LIMIT ${limit}) AS page`;
  return { sql, params };
}

function behind(after: SumPosition, by: Grouping, key: string, params: string[]): string {
  const further = `${key} > $${params.push(after.key ?? '')}`;
  if (isCalendar(by)) return further;
  const sum = `$${params.push(String(after.unitMilliseconds))}::text::numeric`;
  return `(unit_milliseconds < ${sum} OR (unit_milliseconds = ${sum} AND ${further}))`;
}

function conditions(filter: UsageFilter, params: string[]): string[] {
  const is = (comparison: string, value: string | undefined) =>
    value === undefined ? [] : [`${comparison} $${params.push(value)}`];
  return [
    IS_USAGE,
    ...is(`${USAGE.userId} =`, filter.userId),
    ...is(`${USAGE.serviceType} =`, filter.serviceType),
    ...is(`${USAGE.kind} =`, filter.kind),
    ...is(`${USAGE.endedAt} >=`, filter.from),
    ...is(`${USAGE.endedAt} <`, filter.to),
  ];
}
