import type { Address } from 'viem';
import type { Anchored } from '../../../domain/anchor-progress';
import type { OpenAnchor, Sight } from '../../../domain/anchoring';
import {
  anchorsOf,
  answered,
  block,
  calls,
  contractErrorOf,
  latestOf,
  quantity,
  receipt,
  timesOf,
  type Block,
  type ChainReceipt,
} from './chain';
import { RpcRefusal, type JsonRpc } from './json-rpc';

export interface SightParts {
  rpc: JsonRpc;
  chainId: number;
  contract: Address;
  account: Address;
  /** Blocks, its own counted, after which one stays; undefined = the chain says so itself. */
  confirmations: number | undefined;
}

const LOOKS = 3;
/** In wei, where a node does not say which tip is usual. */
const USUAL_TIP = 1_000_000_000n;

/**
 * A look at the chain, over again when a block came meanwhile. That it may be askew all the same is harmless: what is
 * signed by one look is only sent by the next.
 * @throws RpcRefusal @throws RpcSilence
 */
export async function lookAtChain(parts: SightParts, open: readonly OpenAnchor[], now: Date): Promise<Sight> {
  for (let looks = 1; ; looks += 1) {
    const { sight, head } = await look(parts, open, now);
    const after = block.parse(await parts.rpc.ask(calls.block('latest').method, ...calls.block('latest').params));
    if (after.hash === head.hash || looks === LOOKS) return sight;
  }
}

async function look(parts: SightParts, open: readonly OpenAnchor[], now: Date): Promise<{ sight: Sight; head: Block }> {
  const { rpc, contract, account, confirmations } = parts;
  const minedBefore = open.flatMap(({ progress }) => progress.mined ?? []);
  const pending = open.filter(({ progress }) => progress.mined === null);
  const hashes = pending.flatMap(({ progress }) => progress.attempts.map(({ hash }) => hash));
  const heights = [...new Set(minedBefore.map(({ blockNumber }) => blockNumber))];
  const [latestBlock, nonce, latest, tip, finalized, ...rest] = await rpc.askAll([
    calls.block('latest'),
    calls.nonce(account),
    calls.latest(contract),
    calls.tip,
    ...(confirmations === undefined ? [calls.block('finalized')] : [calls.block('latest')]),
    ...heights.map((height) => calls.block(height)),
    ...hashes.map(calls.receipt),
    ...hashes.map(calls.transaction),
  ]);
  const head = block.parse(answered(latestBlock));
  const canonical = new Set(rest.splice(0, heights.length).map((each) => blockHash(each)));
  const receipts = new Map<string, ChainReceipt>();
  rest.splice(0, hashes.length).forEach((each) => addReceipt(receipts, each));
  const known = new Set(hashes.filter((_, n) => answered(rest[n]) !== null));

  const stayed = minedBefore.filter((each) => canonical.has(each.blockHash));
  const moved = open.filter(({ progress }) => progress.mined && !canonical.has(progress.mined.blockHash));
  const again = moved.flatMap(({ progress }) => [...progress.attempts, ...(progress.mined ? [progress.mined] : [])]);
  for (const each of await rpc.askAll(again.map(({ hash }) => calls.receipt(hash)))) addReceipt(receipts, each);
  const timed = await withTimes(rpc, [...receipts.values()]);
  for (const each of stayed) timed.set(each.hash, { ...each, succeeded: true });

  const last = latestOf(answered(latest));
  const unseen = open.filter(({ progress }) => !hashesOf(progress).some((hash) => timed.get(hash)?.succeeded));
  const anchors = await anchorsOf(
    rpc,
    contract,
    unseen.map(({ batch }) => batch.batchId),
    last.batchId,
  );
  const [next] = unseen.filter(({ batch }) => batch.batchId === last.batchId + 1);
  const sight: Sight = {
    now,
    finalized: confirmations === undefined ? finalizedNumber(finalized) : head.number - confirmations + 1,
    nonce: Number(quantity.parse(answered(nonce))),
    latest: last,
    receipts: timed,
    known,
    anchors,
    market: {
      baseFee: head.baseFeePerGas ?? 0n,
      tip: tip instanceof RpcRefusal ? USUAL_TIP : quantity.parse(tip),
    },
    refusal: next ? await refusalOf(parts, next) : null,
  };
  return { sight, head };
}

const hashesOf = ({ attempts, mined }: OpenAnchor['progress']): string[] => [
  ...attempts.map(({ hash }) => hash),
  ...(mined ? [mined.hash] : []),
];

function blockHash(answer: unknown): string | undefined {
  return block.nullable().parse(answered(answer))?.hash;
}

function addReceipt(receipts: Map<string, ChainReceipt>, answer: unknown): void {
  const found = receipt.nullable().parse(answered(answer));
  if (found) receipts.set(found.hash, found);
}

/** Without those whose block is not there any more. */
async function withTimes(
  rpc: JsonRpc,
  receipts: readonly ChainReceipt[],
): Promise<Map<string, Anchored & { succeeded: boolean }>> {
  const times = await timesOf(
    rpc,
    receipts.map(({ blockNumber }) => blockNumber),
  );
  return new Map(
    receipts.flatMap((each) => {
      const blockTime = times.get(each.blockHash);
      return blockTime === undefined ? [] : [[each.hash, { ...each, blockTime }] as const];
    }),
  );
}

/** A chain so young that nothing of it is final answers null or refuses. */
function finalizedNumber(answer: unknown): number {
  return answer instanceof RpcRefusal ? -1 : (block.nullable().parse(answer)?.number ?? -1);
}

/** Whether the contract would take the batch: what would be reverted costs nothing so. */
async function refusalOf(parts: SightParts, { batch }: OpenAnchor): Promise<string | null> {
  const { rpc, contract, account, chainId } = parts;
  const [answer] = await rpc.askAll([calls.trial(contract, account, batch)]);
  if (!(answer instanceof RpcRefusal)) return null;
  const name = contractErrorOf(answer);
  // it was mined while we looked
  if (name === 'BatchKnown') return null;
  if (name === 'NotAnchorer')
    return `${account} is not the anchorer of ${contract} on chain ${chainId}; let its owner nominate it and accept, or set EVM_KEY`;
  return `the contract ${contract} on chain ${chainId} would refuse batch ${batch.batchId}: ${name ?? answer.reason}`;
}
