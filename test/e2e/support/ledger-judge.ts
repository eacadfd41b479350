import { toBase64url } from '../../../services/blockchain-forwarder/domain/bytes';
import { ZERO_ROOT, type Batch, type Entry } from '../../../services/blockchain-forwarder/domain/batch';
import { canonicalHash } from '../../../services/blockchain-forwarder/domain/canonical-hash';
import { FINAL_STAGES, type Delivery } from '../../../services/blockchain-forwarder/domain/delivery';
import { leafOf } from '../../../services/blockchain-forwarder/domain/leaf';
import { merkleTree, rootOf } from '../../../services/blockchain-forwarder/domain/merkle';
import type { StoredUsage } from '../../../services/blockchain-forwarder/domain/usage-record';
import { anchorsOn } from './chain';
import type { OwnSystem } from './own-system';

const FORWARDER = 'blockchain-forwarder';

/** What a ledger holds, read from the rows and from the chain, and all that is wrong with it. */
export interface Judgement {
  faults: string[];
  /** Ids of the records, each as often as a batch has it. */
  ids: string[];
  batches: Batch[];
}

/** Whether nothing waits any more: in outboxes, for a batch, or for a sink. */
export async function isSettled(system: OwnSystem): Promise<boolean> {
  const [row] = await system.sql<{ waiting: string }>(
    `SELECT count(*) AS waiting FROM state WHERE key LIKE '%||outbox:%' OR key LIKE '${FORWARDER}||unbatched:%'`,
  );
  if (row?.waiting !== '0') return false;
  const [batches, deliveries] = [
    await system.rows<Batch>(FORWARDER, 'batch:'),
    await system.rows<Delivery>(FORWARDER, 'delivery:evm:'),
  ];
  return deliveries.length === batches.length && deliveries.every(({ stage }) => FINAL_STAGES.includes(stage));
}

/** Computes every leaf and root anew, and compares each batch with those beside it and with its anchor. */
export async function judgeLedger(system: OwnSystem): Promise<Judgement> {
  const faults: string[] = [];
  const demand = (holds: boolean, otherwise: string) => void (holds || faults.push(otherwise));
  const usages = new Map(
    (await system.rows<StoredUsage>(FORWARDER, 'usage:')).map((usage) => [usage.record.id, usage]),
  );
  const batches = (await system.rows<Batch>(FORWARDER, 'batch:')).sort((a, b) => a.batchId - b.batchId);
  const leaves = await system.sql<{ key: string; value: Entry[] }>(
    `SELECT key, convert_from(value, 'UTF8')::json AS value FROM state WHERE key LIKE '${FORWARDER}||leaves:%'`,
  );
  const entriesOf = new Map(leaves.map(({ key, value }) => [Number(key.split(':')[1]), value]));
  const anchors = await anchorsOn(system.info.evm!);

  const ids: string[] = [];
  let [sequence, previousRoot] = [1, ZERO_ROOT];
  for (const [index, batch] of batches.entries()) {
    const { batchId } = batch;
    const entries = entriesOf.get(batchId) ?? [];
    demand(batchId === index + 1, `batch ${batchId} is in place ${index + 1}`);
    demand(batch.firstSequence === sequence, `batch ${batchId} begins with ${batch.firstSequence}, not ${sequence}`);
    demand(batch.previousRoot === previousRoot, `batch ${batchId} names another root before it`);
    demand(batch.count === entries.length, `batch ${batchId} says ${batch.count} records and has ${entries.length}`);
    const root = `0x${rootOf(merkleTree(entries.map(([, leaf]) => Buffer.from(leaf, 'base64url')))).toString('hex')}`;
    demand(batch.root === root, `batch ${batchId} has another root than its leaves`);
    const own = anchors.filter((anchor) => anchor.batchId === batchId);
    demand(own.length === 1, `batch ${batchId} is anchored ${own.length} times`);
    demand(own[0]?.root === root, `batch ${batchId} is anchored with another root`);
    demand(
      own[0]?.firstSequence === sequence && own[0].count === batch.count && own[0].previousRoot === previousRoot,
      `batch ${batchId} is anchored at another place`,
    );
    for (const [id, leaf] of entries) {
      ids.push(id);
      demand((await leafFrom(usages.get(id))) === leaf, `record ${id} of batch ${batchId} has another leaf`);
    }
    sequence += batch.count;
    previousRoot = batch.root;
  }
  demand(anchors.length === batches.length, `${anchors.length} anchors of ${batches.length} batches`);
  demand(usages.size === ids.length, `${usages.size} records, ${ids.length} in batches`);
  return { faults, ids, batches };
}

/** Of the stored record, not of what is stored beside it; null where hash and record differ. */
async function leafFrom(usage: StoredUsage | undefined): Promise<string | null> {
  if (!usage || (await canonicalHash(usage.record)) !== usage.usageHash) return null;
  return toBase64url(await leafOf(usage.record, Buffer.from(usage.salt, 'base64url')));
}
