import { toBase64url } from '../domain/bytes';
import { canonicalHash } from '../domain/canonical-hash';
import { UNDERWAY, type Stage } from '../domain/delivery';
import { sinkUnavailable } from '../domain/errors';
import { leafOf } from '../domain/leaf';
import { merkleTree, rootOf } from '../domain/merkle';
import { SinkUnavailable, type LedgerSink, type Receipt } from '../ports/ledger-sink';
import type { LedgerStore } from '../ports/ledger-store';
import type { SinkStore } from '../ports/sink-store';
import type { UsageInLedger, UsageStore } from '../ports/usage-store';
import { getUsage, type Reader } from './read-usage';

export interface Verification {
  /** The stored record still has its hash and its leaf, its batch still has its root, and no sink that had it lost it. */
  valid: boolean;
  storedHash: string;
  computedHash: string;
  storedLeaf: string;
  computedLeaf: string;
  /** Null while the record waits for its batch. */
  batch: { batchId: number; leafIndex: number; storedRoot: string; computedRoot: string } | null;
  sinks: Record<string, SinkVerification>;
}

interface SinkVerification {
  /** Null while the batch has not begun there. */
  stage: Stage | null;
  /** What the sink itself says now; null when it does not have the batch yet or cannot be asked. */
  found: boolean | null;
  /** What the sink gave as proof. */
  receipt: Receipt | null;
}

export interface VerifyParts {
  usage: UsageStore;
  ledger: LedgerStore;
  sinkStore: SinkStore;
  sinks: readonly LedgerSink[];
}

/**
 * Computes hash, leaf and root anew from what is stored, and asks every sink for the batch.
 * @throws AppError `usage.not_found`, or `usage.sink_unavailable` when a sink that could be asked does not answer: an
 * answer without it would prove nothing
 */
export async function verifyUsage(id: string, reader: Reader, parts: VerifyParts): Promise<Verification> {
  const found = await getUsage(id, reader, parts.usage);
  const { usage } = found;
  const batch = await batchCheck(found, parts.ledger);
  const checks = await Promise.all(
    parts.sinks.map(async (sink) => [sink.name, await ask(sink, found, parts.sinkStore)] as const),
  );
  const computed = {
    computedHash: await canonicalHash(usage.record),
    computedLeaf: toBase64url(await leafOf(usage.record, Buffer.from(usage.salt, 'base64url'))),
  };
  const isWhole = computed.computedHash === usage.usageHash && computed.computedLeaf === usage.leaf;
  const isRooted = batch === null || (batch.leafIndex >= 0 && batch.computedRoot === batch.storedRoot);
  return {
    valid: isWhole && isRooted && checks.every(([, check]) => check.found !== false),
    storedHash: usage.usageHash,
    storedLeaf: usage.leaf,
    ...computed,
    batch,
    sinks: Object.fromEntries(checks),
  };
}

async function batchCheck({ usage, batch }: UsageInLedger, store: LedgerStore): Promise<Verification['batch']> {
  if (!batch) return null;
  const entries = await store.entries(batch.batchId);
  const root = rootOf(merkleTree(entries.map(([, leaf]) => Buffer.from(leaf, 'base64url'))));
  return {
    batchId: batch.batchId,
    leafIndex: entries.findIndex(([id, leaf]) => id === usage.record.id && leaf === usage.leaf),
    storedRoot: batch.root,
    computedRoot: `0x${root.toString('hex')}`,
  };
}

async function ask(sink: LedgerSink, { usage, batch }: UsageInLedger, store: SinkStore): Promise<SinkVerification> {
  const at = batch && (await store.delivery(sink.name, batch.batchId));
  if (!at || at.progress === null) return { stage: at ? at.delivery.stage : null, found: null, receipt: null };
  const receipt = sink.receiptOf(at.progress, usage.record.id);
  if (UNDERWAY.includes(at.delivery.stage)) return { stage: at.delivery.stage, found: null, receipt };
  try {
    return { stage: at.delivery.stage, found: await sink.confirm(batch, at.progress), receipt };
  } catch (error) {
    if (error instanceof SinkUnavailable) throw sinkUnavailable(sink.name, error);
    throw error;
  }
}
