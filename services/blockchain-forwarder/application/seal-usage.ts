import { randomFillSync } from 'node:crypto';
import { canonicalHash, hashOfText } from '../domain/canonical-hash';
import { canonicalText } from '../domain/canonical-json';
import { leafOfText, SALT_BYTES } from '../domain/leaf';
import type { StoredUsage, UsageRecord } from '../domain/usage-record';

export interface SealedUsage {
  /** As it is kept, but for the chunk that it is to come in with. */
  usage: Omit<StoredUsage, 'chunk'>;
  /** Of its canonical JSON. */
  bytes: number;
}

/** @param content what tells the same again from another under the same id */
export async function sealUsage(
  record: UsageRecord,
  content: object,
  receivedAt: Date,
  traceparent: string | null,
): Promise<SealedUsage> {
  const salt = newSalt();
  const text = await canonicalText(record);
  const usage = {
    record,
    usageHash: hashOfText(text),
    salt: salt.toString('base64url'),
    leaf: Buffer.from(leafOfText(text, salt)).toString('base64url'),
    contentHash: await canonicalHash(content),
    receivedAt: receivedAt.toISOString(),
    traceparent,
  };
  return { usage, bytes: Buffer.byteLength(text) };
}

// many at once: each call costs as much as 50 salts
const drawn = Buffer.alloc(256 * SALT_BYTES);
let used = drawn.length;

function newSalt(): Buffer {
  if (used === drawn.length) {
    randomFillSync(drawn);
    used = 0;
  }
  const salt = Buffer.from(drawn.subarray(used, used + SALT_BYTES));
  used += SALT_BYTES;
  return salt;
}
