import { randomBytes } from 'node:crypto';
import { toBase64url } from '../domain/bytes';
import { canonicalHash } from '../domain/canonical-hash';
import { canonicalText } from '../domain/canonical-json';
import { leafOf, SALT_BYTES } from '../domain/leaf';
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
  const salt = randomBytes(SALT_BYTES);
  const usage = {
    record,
    usageHash: await canonicalHash(record),
    salt: salt.toString('base64url'),
    leaf: toBase64url(await leafOf(record, salt)),
    contentHash: await canonicalHash(content),
    receivedAt: receivedAt.toISOString(),
    traceparent,
  };
  return { usage, bytes: (await canonicalText(record)).length };
}
