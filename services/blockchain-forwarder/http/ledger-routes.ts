import type { ReceiptKeys } from '../ports/receipt-keys';
import { z } from 'zod';
import { timestamp } from '../../../shared/contracts/fields';
import { route, type Route } from '../../../shared/http/route';
import { ledgerState, proveConsistency } from '../application/read-ledger';
import { noSuchBatch } from '../domain/errors';
import type { LedgerStore } from '../ports/ledger-store';
import { batchSchema } from './usage-schemas';

const hash = z
  .string()
  .regex(/^0x[0-9a-f]{64}$/)
  .meta({ example: `0x${'5e'.repeat(32)}` });
const number = z.coerce
  .number()
  .int()
  .min(1)
  .max(2 ** 32);

const ledgerSchema = z
  .object({
    batches: z.int().meta({ example: 12 }),
    records: z.int().meta({ example: 3400 }),
    root: hash.meta({ description: 'Of the tree over all batches (RFC 9162).' }),
    lastRoot: hash.meta({ description: "Of the last batch's own tree: what the next batch names." }),
    at: timestamp,
  })
  .meta({ id: 'Ledger' });

const consistencySchema = z
  .object({
    from: z.int(),
    to: z.int().meta({ example: 2 }),
    fromRoot: hash,
    toRoot: hash,
    proof: z.array(hash).meta({ description: 'RFC 9162 §2.1.4; empty for a state and itself.' }),
  })
  .meta({ id: 'LedgerConsistency' });

const KEY = { kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA', use: 'sig', kid: 'oz…', x: '11qY…' };

const jwkSetSchema = z
  .object({ keys: z.array(z.record(z.string(), z.unknown())).meta({ example: [KEY] }) })
  .meta({ id: 'JsonWebKeySet', description: 'RFC 7517; the public keys that receipts are signed with.' });

export interface LedgerRouteParts {
  ledger: LedgerStore;
  now: () => Date;
  keys: ReceiptKeys;
}

/** Hashes and numbers only: they tell nobody who used what. */
export function ledgerRoutes({ ledger, now, keys }: LedgerRouteParts): Route[] {
  return [
    route({
      method: 'get',
      path: '/.well-known/jwks.json',
      summary: 'The public keys that receipts are signed with',
      access: 'public',
      responses: { 200: jwkSetSchema },
      errors: ['ledger.key_unavailable'],
      handle: async () => ({ status: 200, body: { keys: await keys.published() } }),
    }),
    route({
      method: 'get',
      path: '/api/ledger',
      summary: 'The ledger as it stands: how many batches and records, and the root over all',
      access: { permission: 'ledger:get' },
      responses: { 200: ledgerSchema },
      handle: async () => ({ status: 200, body: { ...(await ledgerState(ledger)), at: now().toISOString() } }),
    }),
    route({
      method: 'get',
      path: '/api/ledger/consistency',
      summary: 'What proves that the ledger of `to` batches extends that of `from`',
      access: { permission: 'ledger:get' },
      query: z.strictObject({ from: number, to: number }),
      responses: { 200: consistencySchema },
      errors: ['ledger.no_such_state'],
      handle: async ({ query }) => ({ status: 200, body: await proveConsistency(query.from, query.to, ledger) }),
    }),
    route({
      method: 'get',
      path: '/api/ledger/batches/{batchId}',
      summary: 'One batch, as it is anchored',
      access: { permission: 'ledger:get' },
      params: z.object({ batchId: number }),
      responses: { 200: batchSchema },
      errors: ['ledger.no_such_batch'],
      handle: async ({ params }) => {
        const [batch] = await ledger.batches([params.batchId]);
        if (!batch) throw noSuchBatch();
        return { status: 200, body: batch };
      },
    }),
  ];
}
