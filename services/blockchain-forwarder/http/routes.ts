import { z } from 'zod';
import { decodeCursor, pageOutput } from '../../../shared/http/paging';
import { route, type Caller, type Route } from '../../../shared/http/route';
import { getUsage, type Reader } from '../application/read-usage';
import { verifyUsage } from '../application/verify-usage';
import type { UsageSink } from '../ports/usage-sink';
import type { UsageStore } from '../ports/usage-store';
import * as schema from './usage-schemas';

const ADMIN = 'usage:admin';

function readerOf(caller: Caller): Reader {
  return { sub: caller.sub, isAdmin: caller.may(ADMIN, 'api/usage') };
}

export function usageRoutes(parts: { store: UsageStore; sinks: readonly UsageSink[] }): Route[] {
  const { store } = parts;
  return [
    route({
      method: 'get',
      path: '/api/usage',
      summary: 'List own usage records, newest end first; everyone’s with the permission usage:admin',
      access: { permission: 'usage:list' },
      query: schema.usageQuery,
      responses: { 200: z.array(schema.usageSchema) },
      handle: async (input) => {
        const { limit, cursor, ...filter } = input.query;
        const { sub, isAdmin } = readerOf(input.caller);
        // another user's records are none that this caller may know of
        const foreign = filter.userId !== undefined && filter.userId !== sub && !isAdmin;
        const page = { limit: limit + 1, after: decodeCursor(cursor) };
        const rows = foreign
          ? []
          : await store.list(isAdmin ? instants(filter) : { ...instants(filter), userId: sub }, page);
        const keyset = ({ usage: { record } }: (typeof rows)[number]) => ({ at: record.endedAt, id: record.id });
        return pageOutput(input, limit, rows, keyset, (row) => schema.presentUsage(row, isAdmin));
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

/** Records carry times with milliseconds, and are compared as text. */
function instants<T extends { from?: string | undefined; to?: string | undefined }>(filter: T): T {
  const instant = (time: string | undefined) => (time === undefined ? undefined : new Date(time).toISOString());
  return { ...filter, from: instant(filter.from), to: instant(filter.to) };
}
