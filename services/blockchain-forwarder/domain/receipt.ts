import { z } from 'zod';
import { fromBase64url, fromHex, joined, toBase64url, toHex, utf8 } from './bytes';
import { canonicalText } from './canonical-json';
import { SALT_BYTES } from './leaf';
import { HASH_BYTES } from './merkle-proof';
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
const bytes32 = base64url(({ length }) => length === HASH_BYTES, '32 bytes');

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
  salt: base64url(({ length }) => length === SALT_BYTES, '16 bytes'),
  /** From 0, within its batch. */
  leafIndex: count,
  /** How many records the batch has. */
  treeSize: z.int().min(1).max(0xffff_ffff),
  /** Of the record in the whole ledger. */
  sequence: count,
  /** The hashes one after the other, lowest first. */
  path: base64url(({ length }) => length % HASH_BYTES === 0 && length <= MAX_HEIGHT * HASH_BYTES, 'whole hashes'),
  root: bytes32,
  chainId: z.int().min(1),
  contract: z.string().regex(/^0x[0-9a-f]{40}$/),
  transaction: bytes32,
  /** Its hash. */
  block: bytes32,
});

function base64url(isSound: (bytes: Uint8Array) => boolean, what: string) {
  const fits = (value: string): boolean => {
    const bytes = fromBase64url(value);
    return bytes !== null && isSound(bytes);
  };
  return z.string().refine(fits, `it has to be ${what} as base64url`);
}

export const receiptSchema = receiptBody.extend({
  /** JWS, compact, detached (domain/receipt-signature.ts). */
  signature: z.string().regex(/^[\w-]{1,400}\.\.[\w-]{85}[AQgw]$/),
});

export type ReceiptBody = z.infer<typeof receiptBody>;
export type Receipt = z.infer<typeof receiptSchema>;

/** A batch has at most 2^32 records. */
const MAX_HEIGHT = 32;
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

/** What of a receipt is bytes, and where it is anchored as explorers write it. */
export interface ReceiptParts {
  record: UsageRecord;
  salt: Uint8Array;
  leafIndex: number;
  treeSize: number;
  sequence: number;
  path: readonly Uint8Array[];
  root: Uint8Array;
  chainId: number;
  /** 0x and 40 digits, transaction and block 0x and 64. */
  contract: string;
  transaction: string;
  block: string;
}

export function receiptBodyOf(parts: ReceiptParts): ReceiptBody {
  return parseReceiptBody({
    version: 1,
    ...parts,
    salt: toBase64url(parts.salt),
    path: toBase64url(joined(...parts.path)),
    root: toBase64url(parts.root),
    contract: parts.contract.toLowerCase(),
    transaction: toBase64url(fromHex(parts.transaction.slice(2))),
    block: toBase64url(fromHex(parts.block.slice(2))),
  });
}

export function partsOf(receipt: ReceiptBody): ReceiptParts {
  const path = bytesOf(receipt.path);
  return {
    ...receipt,
    salt: bytesOf(receipt.salt),
    path: Array.from({ length: path.length / HASH_BYTES }, (_, at) =>
      path.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES),
    ),
    root: bytesOf(receipt.root),
    transaction: `0x${toHex(bytesOf(receipt.transaction))}`,
    block: `0x${toHex(bytesOf(receipt.block))}`,
  };
}

function bytesOf(value: string): Uint8Array {
  const bytes = fromBase64url(value);
  if (!bytes) throw new UnreadableReceipt('it holds what is not base64url');
  return bytes;
}

/** The bytes that the signature is over: they stay the same when the receipt is stored, indented or written anew. */
export async function signedBytes({
  signature: _,
  ...body
}: ReceiptBody & { signature?: string }): Promise<Uint8Array> {
  return utf8(await canonicalText(body));
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
