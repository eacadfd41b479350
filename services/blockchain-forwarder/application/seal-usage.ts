import { canonicalHash, hashOfText } from '../domain/canonical-hash';
import { canonicalText } from '../domain/canonical-json';
import { leafOfText } from '../domain/leaf';
import type { StoredUsage, UsageRecord } from '../domain/usage-record';

export interface SealedUsage {
  /** As it is kept, but for the chunk that it is to come in with. */
  usage: Omit<StoredUsage, 'chunk'>;
  /** Of its canonical JSON. */
  bytes: number;
}

export interface Arrival {
  receivedAt: Date;
  traceparent: string | null;
  /** Drawn for this record alone. */
  salt: Buffer;
}

/** @param content what tells the same again from another under the same id */
export async function sealUsage(
  record: UsageRecord,
  content: object,
  { receivedAt, traceparent, salt }: Arrival,
): Promise<SealedUsage> {
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
