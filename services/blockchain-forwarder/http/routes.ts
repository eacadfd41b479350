import { z } from 'zod';
import { CSV } from '../../../shared/http/csv';
import { decodeCursor, pageOutput } from '../../../shared/http/paging';
import { route, type Route } from '../../../shared/http/route';
import { getUsage } from '../application/read-usage';
import { verifyUsage } from '../application/verify-usage';
import type { UsageSink } from '../ports/usage-sink';
import type { UsageReports } from '../ports/usage-reports';
import type { UsageStore } from '../ports/usage-store';
import { csvFile } from './report-schemas';
import { recordsFile, reportRoutes } from './report-routes';
import { ADMIN, readerOf, visible } from './usage-access';
import * as schema from './usage-schemas';

export function usageRoutes(parts: { store: UsageStore; sinks: readonly UsageSink[]; reports: UsageReports }): Route[] {
  const { store } = parts;
  return [
    // before `/api/usage/{id}`, which would take its path
    ...reportRoutes(parts),
    route({
      method: 'get',
      path: '/api/usage',
      summary: 'List own usage records, newest end first; everyone’s with the permission usage:admin',
      access: { permission: 'usage:list' },
      query: schema.usageQuery,
      responses: { 200: z.array(schema.usageSchema) },
      alternatives: { [CSV]: csvFile },
      handle: async (input) => {
        const { limit, cursor, ...asked } = input.query;
        const reader = readerOf(input.caller);
        const filter = visible(asked, reader);
        const after = decodeCursor(cursor);
        if (input.mediaType === CSV) return recordsFile(input, parts.reports, filter, { limit, after });
        const rows = filter ? await store.list(filter, { limit: limit + 1, after }) : [];
        const keyset = ({ usage: { record } }: (typeof rows)[number]) => ({ at: record.endedAt, id: record.id });
        return pageOutput(input, limit, rows, keyset, (row) => schema.presentUsage(row, reader.isAdmin));
      },
    }),
    route({
      method: 'get',
      path: '/api/usage/dead_letters',
      summary: 'List the events that became no record, with the reason',
      access: { permission: ADMIN },
      query: schema.pageOnly,
      responses: { 200: z.array(schema.deadLetterSchema) },
      handle: async (input) => {
        const { limit, cursor } = input.query;
        const rows = await store.listDeadLetters({ limit: limit + 1, after: decodeCursor(cursor) });
        return pageOutput(
          input,
          limit,
          rows,
          ({ receivedAt, id }) => ({ at: receivedAt, id }),
          schema.presentDeadLetter,
        );
      },
    }),
    route({
      method: 'get',
      path: '/api/usage/{id}',
      summary: 'One usage record, its hash, and how far each sink has it',
      access: { permission: 'usage:get' },
      params: schema.usageId,
      responses: { 200: schema.usageSchema },
      errors: ['usage.not_found'],
      handle: async ({ params, caller }) => {
        const reader = readerOf(caller);
        return { status: 200, body: schema.presentUsage(await getUsage(params.id, reader, store), reader.isAdmin) };
      },
    }),
    route({
      method: 'get',
      path: '/api/usage/{id}/verify',
      summary: 'Compute the hash of a record anew and look for it in every sink that can be asked',
      access: { permission: 'usage:verify' },
      params: schema.usageId,
      responses: { 200: schema.verificationSchema },
      errors: ['usage.not_found', 'usage.sink_unavailable'],
      handle: async ({ params, caller }) => ({
        status: 200,
        body: await verifyUsage(params.id, readerOf(caller), parts),
      }),
    }),
  ];
}
