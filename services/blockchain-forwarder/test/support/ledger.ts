import { randomBytes } from 'node:crypto';
import { ZERO_ROOT, type Batch } from '../../domain/batch';
import { canonicalHash } from '../../domain/canonical-hash';
import { leafOf } from '../../domain/leaf';
import { merkleTree, rootOf } from '../../domain/merkle';
import type { StoredUsage } from '../../domain/usage-record';
import { usageRecord } from './samples';

/** A batch with the records that its root stands for. */
export interface ClosedBatch {
  batch: Batch;
  records: readonly StoredUsage[];
}

export async function storedUsage(): Promise<StoredUsage> {
  const record = usageRecord();
  const salt = randomBytes(16);
  const usageHash = await canonicalHash(record);
  return {
    record,
    usageHash,
    contentHash: usageHash,
    salt: salt.toString('base64url'),
    leaf: (await leafOf(record, salt)).toString('base64url'),
    receivedAt: '2026-11-23T10:03:21.000Z',
    traceparent: null,
  };
}

/** Batches that follow each other from the first on, with so many records each. */
export async function ledgerOf(...counts: number[]): Promise<ClosedBatch[]> {
  const ledger: ClosedBatch[] = [];
  for (const count of counts) {
    const before = ledger.at(-1)?.batch;
    const records = await Promise.all(Array.from({ length: count }, storedUsage));
    const root = rootOf(merkleTree(records.map(({ leaf }) => Buffer.from(leaf, 'base64url'))));
    const batch = {
      batchId: ledger.length + 1,
      root: `0x${root.toString('hex')}`,
      firstSequence: before ? before.firstSequence + before.count : 1,
      count,
      previousRoot: before?.root ?? ZERO_ROOT,
      closedAt: new Date(Date.parse('2026-11-23T10:03:22.000Z') + ledger.length * 5_000).toISOString(),
    };
    ledger.push({ batch, records });
  }
  return ledger;
}
