import { z } from 'zod';
import { invalid } from '../../../shared/errors';
import type { Columns } from '../../../shared/http/csv';
import { parseCursor, writeCursor } from '../../../shared/http/paging';
import {
  GROUPINGS,
  millisecondsOf,
  secondsText,
  type Grouping,
  type SumPosition,
  type UsageSum,
} from '../domain/usage-summary';
import type { ReportedUsage } from '../ports/usage-reports';
import { usageQuery } from './usage-schemas';

export const summaryQuery = usageQuery.extend({
  by: z.enum(GROUPINGS).meta({
    description:
      'What to sum up by. `service` is the platform service of an allocation, `serviceType` the type of a task; `day` and ' +
      '`month` are those of the end of the use, in UTC.',
  }),
});

const decimal = z
  .string()
  .regex(/^\d+\.\d{3}$/)
  .meta({ example: '3800.250' });

export const summarySchema = z
  .object({
    key: z.string().nullable().meta({
      description: 'An id, a service type, `2026-11-23` or `2026-11`; null for what the grouping does not apply to.',
      example: '2026-11',
    }),
    count: z.int().meta({ description: 'How many records.', example: 3 }),
    seconds: decimal.meta({ description: 'From start to end of each use; text, for it is exact.' }),
    unitSeconds: decimal.meta({ description: 'Capacity × seconds; a use without a capacity counts 0.000.' }),
  })
  .meta({ id: 'UsageSum' });

export const csvFile = z.string().meta({
  description: 'A file after RFC 4180 with a header; `limit`, where it is given, is the most lines that it has.',
  example: 'serviceType,count,seconds,unitSeconds\r\ndemo,3,3800.250,380025.000\r\n',
});

export function presentSum({ key, count, milliseconds, unitMilliseconds }: UsageSum): z.input<typeof summarySchema> {
  return { key, count, seconds: secondsText(milliseconds), unitSeconds: secondsText(unitMilliseconds) };
}

const cursorSchema = z.tuple([z.enum(GROUPINGS), z.string().regex(/^\d{1,40}$/), z.string().max(1_000).nullable()]);

export function sumCursor(by: Grouping, { key, unitMilliseconds }: SumPosition): string {
  return writeCursor([by, String(unitMilliseconds), key]);
}

/** @throws AppError `request.invalid` for a cursor that we did not make, or made of another grouping */
export function sumPosition(by: Grouping, cursor: string | undefined): SumPosition | undefined {
  if (cursor === undefined) return undefined;
  const parsed = cursorSchema.safeParse(parseCursor(cursor));
  if (!parsed.success || parsed.data[0] !== by) {
    throw invalid([{ field: 'query.cursor', message: 'is not a cursor of this list' }]);
  }
  return { key: parsed.data[2], unitMilliseconds: BigInt(parsed.data[1]) };
}

export function summaryColumns(by: Grouping): Columns<UsageSum> {
  return [
    [by, ({ key }) => key],
    ['count', ({ count }) => count],
    ['seconds', ({ milliseconds }) => secondsText(milliseconds)],
    ['unitSeconds', ({ unitMilliseconds }) => secondsText(unitMilliseconds)],
  ];
}

export const recordColumns: Columns<ReportedUsage> = [
  ['id', ({ record }) => record.id],
  ['version', ({ record }) => record.version],
  ['corrects', ({ corrects }) => corrects],
  ['kind', ({ record }) => record.kind],
  ['userId', ({ record }) => record.userId],
  ['taskId', ({ record }) => record.taskId],
  ['allocationId', ({ record }) => record.allocationId],
  ['serviceType', ({ record }) => record.serviceType],
  ['serviceId', ({ record }) => record.serviceId],
  ['poolId', ({ record }) => record.poolId],
  ['capacity', ({ record }) => record.capacity],
  ['startedAt', ({ record }) => record.startedAt],
  ['endedAt', ({ record }) => record.endedAt],
  ['duration', ({ record }) => record.duration],
  ['seconds', ({ record }) => secondsText(millisecondsOf(record))],
  ['unitSeconds', ({ record }) => secondsText(millisecondsOf(record) * BigInt(record.capacity ?? 0))],
  ['reason', ({ record }) => record.reason],
  ['eventSource', ({ record }) => record.sourceEvent.source],
  ['eventType', ({ record }) => record.sourceEvent.type],
  ['usageHash', ({ usageHash }) => usageHash],
  ['receivedAt', ({ receivedAt }) => receivedAt],
];
