import type { Sidecar } from '../../../shared/dapr/sidecar';
import { addUp, pageOfSums, type Grouping, type SumPage, type UsageSum } from '../domain/usage-summary';
import type { ReportedUsage, UsageReports } from '../ports/usage-reports';
import type { Page, UsageFilter } from '../ports/usage-store';
import { CORRECTED_KEY, IS_CORRECTED, IS_USAGE, USAGE } from './usage-schema';

interface Statement {
  sql: string;
  params: string[];
}
type Keyset = NonNullable<Page['after']>;

/** Of a slice's rows. */
const KEYS: Record<Grouping, string> = {
  user: 'user_id',
  service: 'service_id',
  serviceType: 'service_type',
  pool: 'pool_id',
  // times are all written in UTC
  day: 'left(ended_at, 10)',
  month: 'left(ended_at, 7)',
};

/** So many records are summed up by one statement, that however many there are none comes near the sidecar's time limit. */
export const SLICE = 20_000;

interface Slice {
  read: number;
  last: Keyset;
  sums: { key: string | null; count: number; milliseconds: string; unitMilliseconds: string }[];
}

/** Reports by SQL through the own sidecar. */
export class DaprUsageReports implements UsageReports {
  constructor(
    private readonly sidecar: Sidecar,
    private readonly sliceSize = SLICE,
  ) {}

  async summary(filter: UsageFilter, by: Grouping, page: SumPage): Promise<UsageSum[]> {
    const total = new Map<string | null, UsageSum>();
    for (let after: Keyset | undefined; ;) {
      const { sql, params } = sliceStatement(filter, by, { limit: this.sliceSize, after });
      const [slice] = (await this.sidecar.query(sql, params)) as [Slice];
      addUp(total, slice.sums.map(sumOf));
      if (slice.read < this.sliceSize) break;
      after = slice.last;
    }
    return pageOfSums(total.values(), by, page);
  }

  async records(filter: UsageFilter, page: Page): Promise<ReportedUsage[]> {
    const { sql, params } = recordsStatement(filter, page);
    return (await this.sidecar.query(sql, params)) as ReportedUsage[];
  }
}

function sumOf({ milliseconds, unitMilliseconds, ...sum }: Slice['sums'][number]): UsageSum {
  return { ...sum, milliseconds: BigInt(milliseconds), unitMilliseconds: BigInt(unitMilliseconds) };
}

/**
 * Sums up the next so many records, oldest end first. A slice is cut by what an index leads to; the rest of the filter
 * comes after it, so that a slice with few hits is as quick as any. Each row's JSON is parsed once, not for every column.
 */
export function sliceStatement(filter: UsageFilter, by: Grouping, { limit, after }: Page): Statement {
  const params: string[] = [];
  const { userId, serviceType, kind, from, to } = filter;
  const where = [
    ...conditions(userId === undefined ? { serviceType } : { userId }, params),
    ...(after !== undefined && (from === undefined || after.at >= from)
      ? [`(${USAGE.endedAt}, ${USAGE.id}) > (${keyset(after, params)})`]
      : bound('>=', from, params)),
    ...bound('<', to, params),
  ];
  const rest = [
    ...equals('kind', kind, params),
    ...equals('service_type', userId === undefined ? undefined : serviceType, params),
    `NOT EXISTS (SELECT FROM state WHERE ${IS_CORRECTED} AND key = '${CORRECTED_KEY}' || slice.id)`,
  ];
  const sql = `WITH slice AS MATERIALIZED (
      SELECT record ->> 'id' AS id, record ->> 'kind' AS kind, record ->> 'userId' AS user_id,
        record ->> 'serviceId' AS service_id, record ->> 'serviceType' AS service_type, record ->> 'poolId' AS pool_id,
        record ->> 'endedAt' AS ended_at, coalesce((record ->> 'capacity')::numeric, 0) AS capacity,
        greatest(0, trunc(1000 * extract(epoch FROM
          (record ->> 'endedAt')::timestamptz - (record ->> 'startedAt')::timestamptz))) AS milliseconds
      FROM (SELECT state_json(value) -> 'record' AS record FROM state WHERE ${where.join(' AND ')}
        ORDER BY ${USAGE.endedAt}, ${USAGE.id} LIMIT ${limit}) AS parsed
    ), sums AS (
      SELECT ${KEYS[by]} AS key, count(*) AS count, sum(milliseconds)::text AS milliseconds,
        sum(milliseconds * capacity)::text AS "unitMilliseconds"
      FROM slice WHERE ${rest.join(' AND ')} GROUP BY 1
    )
    SELECT json_build_object(
      'read', (SELECT count(*) FROM slice),
      'last', (SELECT json_build_object('at', ended_at, 'id', id) FROM slice ORDER BY ended_at DESC, id DESC LIMIT 1),
      'sums', (SELECT coalesce(json_agg(sums), '[]') FROM sums))::text`;
  return { sql, params };
}

export function recordsStatement(filter: UsageFilter, { limit, after }: Page): Statement {
  const params: string[] = [];
  const { from, to } = filter;
  const where = [
    ...conditions(filter, params),
    ...bound('>=', from, params),
    ...(after !== undefined && (to === undefined || after.at < to)
      ? [`(${USAGE.endedAt}, ${USAGE.id}) < (${keyset(after, params)})`]
      : bound('<', to, params)),
  ];
  const sql = `SELECT json_build_object('record', document -> 'record', 'usageHash', document ->> 'usageHash',
      'receivedAt', document ->> 'receivedAt', 'corrects', document #>> '{record,corrects}')::text
    FROM (SELECT state_json(value) AS document FROM state WHERE ${where.join(' AND ')}
      ORDER BY ${USAGE.endedAt} DESC, ${USAGE.id} DESC LIMIT ${limit}) AS page`;
  return { sql, params };
}

/**
 * Where a keyset is within the times asked for, it takes the place of that time: given both, PostgreSQL may walk its index
 * from the time on to the keyset, page after page.
 */
function bound(comparison: '>=' | '<', time: string | undefined, params: string[]): string[] {
  return time === undefined ? [] : [`${USAGE.endedAt} ${comparison} $${params.push(time)}`];
}

function keyset({ at, id }: Keyset, params: string[]): string {
  return `$${params.push(at)}, $${params.push(id)}`;
}

function equals(column: string, value: string | undefined, params: string[]): string[] {
  return value === undefined ? [] : [`${column} = $${params.push(value)}`];
}

function conditions(filter: Omit<UsageFilter, 'from' | 'to'>, params: string[]): string[] {
  return [
    IS_USAGE,
    ...equals(USAGE.userId, filter.userId, params),
    ...equals(USAGE.serviceType, filter.serviceType, params),
    ...equals(USAGE.kind, filter.kind, params),
  ];
}
