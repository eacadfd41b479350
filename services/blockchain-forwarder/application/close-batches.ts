import { dueChunks, type Batch, type BatchLimits } from '../domain/batch';
import { appended } from '../domain/ledger-tree';
import { merkleTree, rootOf } from '../domain/merkle';
import type { LedgerStore } from '../ports/ledger-store';

export interface ClosingParts {
  store: LedgerStore;
  limits: BatchLimits;
  now: () => Date;
}

/**
 * Closes the next batch when it is due. Of several processes that try at the same time one succeeds: the head of the
 * ledger is written under its version, in the same transaction.
 * @returns the batch, null when none is due; `again` when somebody else closed one meanwhile
 */
export async function closeBatch({ store, limits, now }: ClosingParts): Promise<Batch | 'again' | null> {
  const { value: head, version } = await store.head();
  const { chunks: waiting, more } = await store.unbatched(limits);
  const chunks = dueChunks(waiting, more, limits, now());
  if (chunks.length === 0) return null;
  const leaves = chunks.flatMap(({ entries }) => entries.map(([, leaf]) => Buffer.from(leaf, 'base64url')));
  const batch = {
    batchId: head.batchId + 1,
    root: `0x${rootOf(merkleTree(leaves)).toString('hex')}`,
    firstSequence: head.nextSequence,
    count: leaves.length,
    previousRoot: head.root,
    closedAt: now().toISOString(),
  };
  const next = await appended(head, batch);
  return (await store.close({ batch, chunks, ...next }, version)) ? batch : 'again';
}
