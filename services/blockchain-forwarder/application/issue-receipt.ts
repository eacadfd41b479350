import { notAnchored } from '../domain/errors';
import { inclusionPath, merkleTree } from '../domain/merkle';
import { receiptBodyOf, type Receipt } from '../domain/receipt';
import { signReceipt } from '../domain/receipt-signature';
import type { LedgerSink } from '../ports/ledger-sink';
import type { LedgerStore } from '../ports/ledger-store';
import type { ReceiptKeys } from '../ports/receipt-keys';
import type { SinkStore } from '../ports/sink-store';
import type { UsageStore } from '../ports/usage-store';
import { getUsage, type Reader } from './read-usage';

export interface ReceiptParts {
  usage: UsageStore;
  ledger: LedgerStore;
  sinkStore: SinkStore;
  /** The sink that anchors batches on a chain; undefined where none is configured. */
  chain: LedgerSink | undefined;
  keys: ReceiptKeys;
}

/** @throws AppError `usage.not_found`, or `usage.not_anchored` while there is nothing on a chain to prove it by */
export async function issueReceipt(id: string, reader: Reader, parts: ReceiptParts): Promise<Receipt> {
  const { ledger, sinkStore, chain } = parts;
  const key = await parts.keys.signing();
  const { usage, batch } = await getUsage(id, reader, parts.usage);
  if (!chain?.anchorOf || !key) throw notAnchored('no chain is configured');
  if (!batch) throw notAnchored('it waits for its batch');
  const at = await sinkStore.delivery(chain.name, batch.batchId);
  const anchor = at?.progress ? chain.anchorOf(at.progress) : null;
  if (!anchor) throw notAnchored('its batch is on its way');
  const entries = await ledger.entries(batch.batchId);
  const leafIndex = entries.findIndex(([recordId]) => recordId === id);
  const tree = merkleTree(entries.map(([, leaf]) => Buffer.from(leaf, 'base64url')));
  const { blockHash, chainId, contract, transaction } = anchor;
  return signReceipt(
    receiptBodyOf({
      record: usage.record,
      salt: Buffer.from(usage.salt, 'base64url'),
      leafIndex,
      treeSize: batch.count,
      sequence: batch.firstSequence + leafIndex,
      path: inclusionPath(tree, leafIndex),
      root: Buffer.from(batch.root.slice(2), 'hex'),
      chainId,
      contract,
      transaction,
      block: blockHash,
    }),
    key,
  );
}
