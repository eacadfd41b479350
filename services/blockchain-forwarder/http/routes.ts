import { z } from 'zod';
import { CSV } from '../../../shared/http/csv';
import { decodeCursor, pageOutput } from '../../../shared/http/paging';
import { route, type Route } from '../../../shared/http/route';
import { issueReceipt, type ReceiptParts } from '../application/issue-receipt';
import { inspectUsage } from '../application/read-usage';
import { verifyUsage, type VerifyParts } from '../application/verify-usage';
import type { DeadLetterStore } from '../ports/dead-letter-store';
import type { UsageReports } from '../ports/usage-reports';
import { csvFile } from './report-schemas';
import { recordsFile, reportRoutes } from './report-routes';
import { readerOf, visible } from './usage-access';
import * as schema from './usage-schemas';

export function usageRoutes(
  parts: VerifyParts & ReceiptParts & { letters: DeadLetterStore; reports: UsageReports },
): Route[] {
  const { usage: store } = parts;
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
      responses: { 200: schema.receiptShown },
      errors: ['usage.not_found', 'usage.not_anchored'],
      handle: async ({ params, caller }) => ({
        status: 200,
        body: await issueReceipt(params.id, readerOf(caller), parts),
      }),
    }),
  ];
}
