import { z } from 'zod';
import { decodeCursor, pageOutput } from '../../../shared/http/paging';
import { route, type Caller, type Route } from '../../../shared/http/route';
import { inspectUsage, type Reader } from '../application/read-usage';
import { issueReceipt, type ReceiptParts } from '../application/issue-receipt';
import { verifyUsage, type VerifyParts } from '../application/verify-usage';
import { receiptSchema } from '../domain/receipt';
import type { DeadLetterStore } from '../ports/dead-letter-store';
import * as schema from './usage-schemas';

const ADMIN = 'usage:admin';

function readerOf(caller: Caller): Reader {
  return { sub: caller.sub, isAdmin: caller.may(ADMIN, 'api/usage') };
}

export function usageRoutes(parts: VerifyParts & ReceiptParts & { letters: DeadLetterStore }): Route[] {
  const { usage: store } = parts;
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
        return pageOutput(input, limit, rows, keyset, schema.presentUsage);
      },
    }),
    route({
      method: 'get',
      path: '/api/usage/{id}',
      summary: 'One usage record, its hash, its batch, and how far that is with each sink',
      access: { permission: 'usage:get' },
      params: schema.usageId,
      responses: { 200: schema.usageSchema },
      errors: ['usage.not_found'],
      handle: async ({ params, caller }) => ({
        status: 200,
        body: schema.presentUsage(await inspectUsage(params.id, readerOf(caller), store, parts.letters)),
      }),
    }),
    route({
      method: 'get',
      path: '/api/usage/{id}/verify',
      summary: 'Compute hash, leaf and root anew, and look for the batch in every sink that can be asked',
      access: { permission: 'usage:verify' },
      params: schema.usageId,
      responses: { 200: schema.verificationSchema },
      errors: ['usage.not_found', 'usage.sink_unavailable'],
      handle: async ({ params, caller }) => ({
        status: 200,
        body: await verifyUsage(params.id, readerOf(caller), parts),
      }),
    }),
    route({
      method: 'get',
      path: '/api/usage/{id}/receipt',
      summary: 'What proves to a stranger that the record is in the ledger, and the ledger on the chain',
      access: { permission: 'usage:get' },
      params: schema.usageId,
      responses: { 200: receiptSchema },
      errors: ['usage.not_found', 'usage.not_anchored'],
      handle: async ({ params, caller }) => ({
        status: 200,
        body: await issueReceipt(params.id, readerOf(caller), parts),
      }),
    }),
  ];
}

/** Records carry times with milliseconds, and are compared as text. */
function instants<T extends { from?: string | undefined; to?: string | undefined }>(filter: T): T {
  const instant = (time: string | undefined) => (time === undefined ? undefined : new Date(time).toISOString());
  return { ...filter, from: instant(filter.from), to: instant(filter.to) };
}
