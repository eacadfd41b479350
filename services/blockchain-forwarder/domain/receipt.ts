import { z } from 'zod';
import { canonicalText } from './canonical-hash';
import type { UsageRecord } from './usage-record';

/**
 * The receipt of a record: one JSON document, below 2 kB, with all that a stranger needs to see that the record is in
 * the ledger, and where the ledger is anchored. docs/receipt.md tells of each field.
 *
 * Every value has one spelling only, so that no byte of it can be changed without a difference.
 */

/** No NUL and no half surrogate pair: neither can be in a record, and JCS has no form for the latter. */
const text = z.string().regex(/^[^\0\p{Cs}]*$/u);
const count = z.int().min(0);
// the last sign of base64url holds bits that mean nothing: only zeros are one spelling
const bytes16 = z.string().regex(/^[\w-]{21}[AQgw]$/);
const bytes32 = z.string().regex(/^[\w-]{42}[AEIMQUYcgkosw048]$/);
const hex32 = z.string().regex(/^0x[0-9a-f]{64}$/);

const use = {
  id: text,
  kind: z.enum(['task', 'allocation']),
  userId: text,
  taskId: text.nullable(),
  allocationId: text.nullable(),
  serviceType: text.nullable(),
  serviceId: text.nullable(),
  poolId: text.nullable(),
  capacity: z.int().min(1).nullable(),
  startedAt: text,
  endedAt: text,
  duration: text,
  reason: text,
  sourceEvent: z.strictObject({ id: text, source: text, type: text }),
};
const record: z.ZodType<UsageRecord> = z.discriminatedUnion('version', [
  z.strictObject({ version: z.literal(1), ...use }),
  z.strictObject({ version: z.literal(2), corrects: text, ...use }),
]);

const receiptBody = z.strictObject({
  version: z.literal(1),
  record,
  /** base64url of 16 bytes. */
  salt: bytes16,
  /** From 0, within its batch. */
  leafIndex: count,
  /** How many records the batch has. */
  treeSize: z.int().min(1).max(0xffff_ffff),
  /** base64url of 32 bytes each, lowest first. */
  path: z.array(bytes32).max(32),
  root: hex32,
  /** uint256 of the contract, in decimal. */
  batchId: z.string().regex(/^(0|[1-9]\d{0,77})$/),
  /** Of the batch's first record in the whole ledger. */
  firstSequence: count,
  /** Of the batch before this one. */
  previousRoot: hex32,
  chainId: z.int().min(1),
  contract: z.string().regex(/^0x[0-9a-f]{40}$/),
  transaction: hex32,
  blockNumber: count,
  blockHash: hex32,
});

export const receiptSchema = receiptBody.extend({
  /** JWS, compact, detached (domain/receipt-signature.ts). */
  signature: z.string().regex(/^[\w-]{1,400}\.\.[\w-]{85}[AQgw]$/),
});

export type ReceiptBody = z.infer<typeof receiptBody>;
export type Receipt = z.infer<typeof receiptSchema>;

/** Far above any receipt: what is longer is not even read. */
const MAX_LENGTH = 65_536;

/** The text is no receipt; the message names everything that is wrong with it. */
export class UnreadableReceipt extends Error {}

/** @throws UnreadableReceipt also for what is in it beside the fields of a receipt */
export function parseReceipt(json: string): Receipt {
  return parsed(receiptSchema, valueOf(json));
}

/**
 * What is signed: everything but the signature.
 * @throws UnreadableReceipt when it is not as a receipt has to be
 */
export function parseReceiptBody(value: unknown): ReceiptBody {
  return parsed(receiptBody, value);
}

/** The bytes that the signature is over: they stay the same when the receipt is stored, indented or written anew. */
export async function signedBytes({ signature: _, ...body }: ReceiptBody & { signature?: string }): Promise<Buffer> {
  return Buffer.from(await canonicalText(body), 'utf8');
}

function valueOf(json: string): unknown {
  if (json.length > MAX_LENGTH) throw new UnreadableReceipt('it is far too long');
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw new UnreadableReceipt(`it is no JSON: ${(error as Error).message}`);
  }
  if (keysWritten(json) !== keysIn(value)) throw new UnreadableReceipt('it has a field twice');
  return value;
}

/** Of a field that is there twice we would check the last, and people might read the first. */
function keysWritten(json: string): number {
  return [...json.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g)].filter(([, colon]) => colon !== undefined).length;
}

function keysIn(value: unknown): number {
  if (value === null || typeof value !== 'object') return 0;
  const own = Array.isArray(value) ? 0 : Object.keys(value).length;
  return Object.values(value).reduce((sum: number, each) => sum + keysIn(each), own);
}

function parsed<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const faults = result.error.issues.map(({ path, message }) => `${path.join('.') || 'the document'}: ${message}`);
  throw new UnreadableReceipt(faults.join('; '));
}
