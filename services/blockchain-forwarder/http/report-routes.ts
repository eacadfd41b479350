import { z } from 'zod';
import { CSV, csvOutput } from '../../../shared/http/csv';
import { pageByCursor, type Keyset } from '../../../shared/http/paging';
import { route, type Input, type Output, type Route } from '../../../shared/http/route';
import type { SumPage } from '../domain/usage-summary';
import type { UsageReports } from '../ports/usage-reports';
import type { UsageFilter } from '../ports/usage-store';
import * as schema from './report-schemas';
import { readerOf, visible } from './usage-access';

/** Records in memory at a time. Sums are never many, and each page of them would be summed up anew. */
const RECORDS = 1_000;
const SUMS = Infinity;

type AnyInput = Input<unknown, unknown, unknown>;

/** A file holds all, unless the client says how much. */
function most({ url }: AnyInput, limit: number): number {
  return url.searchParams.has('limit') ? limit : Infinity;
}

/** The list of records as a file, from `after` on; none of a filter that is null. */
export function recordsFile(
  input: AnyInput,
  reports: UsageReports,
  filter: UsageFilter | null,
  { limit, after }: { limit: number; after: Keyset | undefined },
): Promise<Output> {
  return csvOutput(input, 'usage.csv', schema.recordColumns, {
    read: (page) => (filter ? reports.records(filter, page) : Promise.resolve([])),
    keysetOf: ({ record }) => ({ at: record.endedAt, id: record.id }),
    size: RECORDS,
    after,
    most: most(input, limit),
  });
}

export function reportRoutes({ reports }: { reports: UsageReports }): Route[] {
  return [
    route({
      method: 'get',
      path: '/api/usage/summary',
      summary: 'Sum up own usage records by what `by` says; everyone’s with the permission usage:admin',
      access: { permission: 'usage:list' },
      query: schema.summaryQuery,
      responses: { 200: z.array(schema.summarySchema) },
      alternatives: { [CSV]: schema.csvFile },
      handle: async (input) => {
        const { by, limit, cursor, ...asked } = input.query;
        const filter = visible(asked, readerOf(input.caller));
        const after = schema.sumPosition(by, cursor);
        const read = (page: SumPage) => (filter ? reports.summary(filter, by, page) : Promise.resolve([]));
        if (input.mediaType === CSV) {
          return csvOutput(input, `usage-by-${by}.csv`, schema.summaryColumns(by), {
            read,
            keysetOf: (sum) => sum,
            size: SUMS,
            after,
            most: most(input, limit),
          });
        }
        const rows = await read({ limit: limit + 1, after });
        return pageByCursor(input, limit, rows, (sum) => schema.sumCursor(by, sum), schema.presentSum);
      },
    }),
  ];
}
