import { createHash } from 'node:crypto';
import { ZERO_ROOT, type Batch } from '../../domain/batch';
import { canonicalText } from '../../domain/canonical-json';
import type { BatchRow, Content } from './content';
import { rowsOf, type Invariant } from './seen';

export const OF_BATCHES: Record<string, Invariant> = {
  'batches follow each other without a gap, and never change': ({ transaction, content }) => {
    const changed = transaction.written.find(({ key, before }) => /^(batch|leaves):/.test(key) && before !== undefined);
    if (changed) return `${changed.key} was written before`;
    let [next, sequence, previousRoot] = [1, 1, ZERO_ROOT];
    for (const batch of content.batchRows()) {
      const isNext = batch.batchId === next && batch.firstSequence === sequence && batch.previousRoot === previousRoot;
      if (!isNext) return `batch ${batch.batchId} from ${batch.firstSequence} does not follow batch ${next - 1}`;
      [next, sequence, previousRoot] = [next + 1, sequence + batch.count, batch.root];
    }
    return undefined;
  },

  'a batch is the tree over its records, of whole chunks in their order': ({ transaction, content }) => {
    for (const { after: batch } of rowsOf<BatchRow>(transaction, 'batch')) {
      if (!batch) continue;
      const entries = content.leaves.get(String(batch.batchId)) ?? [];
      const ofChunks = batch.chunks.flatMap((id) => content.takenUp.get(id)?.entries ?? []);
      if (JSON.stringify(entries) !== JSON.stringify(ofChunks)) return `batch ${batch.batchId} is not of its chunks`;
      const leaves = entries.map(([id]) => content.usages.get(id)?.leaf ?? '');
      const strange = entries.find(([, leaf], index) => leaf !== leaves[index]);
      if (strange) return `batch ${batch.batchId} has another leaf of ${strange[0]} than the record`;
      const root = hex(treeOver(leaves.map((leaf) => Buffer.from(leaf, 'base64url'))));
      if (root !== batch.root || leaves.length !== batch.count) return `batch ${batch.batchId} has another root`;
    }
    return undefined;
  },

  'the head of the ledger and the tree over its batches are what the batches make': async ({
    transaction,
    content,
  }) => {
    if (rowsOf(transaction, 'batch').length === 0 && transaction.written.every(({ key }) => key !== 'ledger-head'))
      return undefined;
    const batches = content.batchRows();
    const leaves = await Promise.all(batches.map(batchLeaf));
    for (const { batchId, nodes } of batches) {
      const expected: string[] = [];
      for (let size = 1; batchId % size === 0; size *= 2) {
        expected.push(hex(treeOver(leaves.slice(batchId - size, batchId))));
      }
      if (String(nodes) !== String(expected)) return `the subtrees that end with batch ${batchId} are others`;
    }
    return faultOfHead(content, batches, leaves);
  },

  'a batch holds no more than the limits, but for a single chunk': ({ transaction, content, limits }) => {
    for (const { after: batch } of rowsOf<BatchRow>(transaction, 'batch')) {
      if (!batch || batch.chunks.length === 1) continue;
      const bytes = batch.chunks.reduce((sum, id) => sum + (content.takenUp.get(id)?.bytes ?? 0), 0);
      if (batch.count > limits.count || bytes > limits.bytes) {
        return `batch ${batch.batchId} of ${batch.chunks.length} chunks has ${batch.count} records, ${bytes} bytes`;
      }
    }
    return undefined;
  },
};

function faultOfHead({ head }: Content, batches: readonly Batch[], leaves: readonly Buffer[]): string | undefined {
  const last = batches.at(-1);
  const peaks: string[] = [];
  let end = 0;
  for (let size = 2 ** 20; size >= 1; size /= 2) {
    if (((last?.batchId ?? 0) & size) === 0) continue;
    peaks.push(hex(treeOver(leaves.slice(end, end + size))));
    end += size;
  }
  const expected = {
    batchId: last?.batchId ?? 0,
    nextSequence: last ? last.firstSequence + last.count : 1,
    root: last?.root ?? ZERO_ROOT,
    peaks,
  };
  const isSo =
    head.batchId === expected.batchId &&
    head.nextSequence === expected.nextSequence &&
    head.root === expected.root &&
    String(head.peaks) === String(peaks);
  return isSo ? undefined : `the head is ${JSON.stringify(head)}, and is to be ${JSON.stringify(expected)}`;
}

/** RFC 9162 §2.1.1, word by word. */
function treeOver(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 1) return leaves[0]!;
  let half = 1;
  while (half * 2 < leaves.length) half *= 2;
  const [left, right] = [treeOver(leaves.slice(0, half)), treeOver(leaves.slice(half))];
  return createHash('sha256').update(Buffer.of(1)).update(left).update(right).digest();
}

async function batchLeaf({ batchId, root, firstSequence, count, previousRoot }: Batch): Promise<Buffer> {
  const json = await canonicalText({ batchId, root, firstSequence, count, previousRoot });
  return createHash('sha256').update(Buffer.of(0)).update(json, 'utf8').digest();
}

function hex(hash: Buffer): string {
  return `0x${hash.toString('hex')}`;
}
