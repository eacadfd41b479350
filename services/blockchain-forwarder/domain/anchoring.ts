import type { Batch } from './batch';
import type { AnchorProgress, Anchored, Attempt } from './anchor-progress';
import { feesWithin, inGwei, present, type FeeMarket, type Fees } from './fees';

/**
 * What is to be done next so that every batch is anchored exactly once, in order, and stays so. It is decided anew in each
 * step from what is written down and what the chain shows; nothing is remembered in between.
 */

export interface OpenAnchor {
  batch: Batch;
  stage: string;
  progress: AnchorProgress;
}

/** A look at the chain. */
export interface Sight {
  now: Date;
  /** Up to this block, what is mined stays; -1 for none. */
  finalized: number;
  /** The next one of the account, after the latest block. */
  nonce: number;
  /** The last batch that the contract has; 0 for none. */
  latest: { batchId: number; root: string };
  /** Of the open batches' transactions that are in a block. */
  receipts: ReadonlyMap<string, Anchored & { succeeded: boolean }>;
  /** Those that the node has in its pool or in a block. */
  known: ReadonlySet<string>;
  /** Of open batches that the contract has, though no transaction that we know of put them there. */
  anchors: ReadonlyMap<number, Anchored & { root: string }>;
  market: FeeMarket;
  /** Why the contract would refuse the first batch that it does not have; null when it would take it. */
  refusal: string | null;
}

export interface AnchoringRules {
  stuckMs: number;
  maxFeePerGas: bigint;
  /** How many transactions may wait at once. */
  inFlight: number;
}

export type Move =
  /** A new transaction, which is written down and sent in a later step. */
  | { batchId: number; do: 'sign'; nonce: number; fees: Fees }
  | { batchId: number; do: 'send'; attempt: Attempt }
  | { batchId: number; do: 'mined' | 'finalized'; at: Anchored }
  /** A reorganisation dropped it. */
  | { batchId: number; do: 'dropped' };

export interface Plan {
  moves: Move[];
  trouble: string | null;
}

/** @param open oldest first, without a gap */
export function planAnchoring(open: readonly OpenAnchor[], sight: Sight, rules: AnchoringRules): Plan {
  const foreign = strangeContract(open, sight);
  if (foreign !== null) return { moves: [], trouble: foreign };
  const found = open.flatMap((each) => {
    const at = anchoredAt(each, sight);
    return at === undefined ? [] : [{ ...each, at }];
  });
  const missing = open.filter((each) => anchoredAt(each, sight) === undefined);
  const moves = found.flatMap((each) => progressOfMined(each, sight));
  // the contract has one that we do not see: what was looked at moved meanwhile; the next look tells
  if (missing.some(({ batch }) => batch.batchId <= sight.latest.batchId)) return { moves, trouble: null };
  const gone = missing.filter(({ progress }) => progress.mined !== null);
  if (gone.length > 0) {
    const drops = gone.map(({ batch }): Move => ({ batchId: batch.batchId, do: 'dropped' }));
    return { moves: [...moves, ...drops], trouble: null };
  }
  const pending = pendingMoves(missing.slice(0, rules.inFlight), open, sight, rules);
  return { moves: [...moves, ...pending.moves], trouble: pending.trouble };
}

/** Where the contract has something else than this ledger's batches, nothing may be sent. */
function strangeContract(open: readonly OpenAnchor[], { latest, anchors }: Sight): string | null {
  const [first] = open;
  if (!first) return null;
  const before = first.batch.batchId - 1;
  if (latest.batchId < before) {
    return `the contract has ${latest.batchId} batches, but batch ${before} was final in it: the chain is another one or was reset; deploy a new LedgerAnchor and set EVM_CONTRACT`;
  }
  const other =
    (latest.batchId === before && latest.root !== first.batch.previousRoot) ||
    open.some(({ batch: { batchId, root } }) => batchId === latest.batchId && root !== latest.root) ||
    open.some(({ batch: { batchId, root } }) => (anchors.get(batchId)?.root ?? root) !== root);
  return other ? 'the contract holds batches of another ledger; deploy a new LedgerAnchor and set EVM_CONTRACT' : null;
}

function anchoredAt({ batch, progress }: OpenAnchor, { receipts, anchors }: Sight): Anchored | undefined {
  const hashes = [...progress.attempts.map(({ hash }) => hash), ...(progress.mined ? [progress.mined.hash] : [])];
  const receipt = hashes.map((hash) => receipts.get(hash)).find((each) => each?.succeeded);
  const at = receipt ?? anchors.get(batch.batchId);
  return at && { hash: at.hash, blockNumber: at.blockNumber, blockHash: at.blockHash, blockTime: at.blockTime };
}

function progressOfMined(each: OpenAnchor & { at: Anchored }, { finalized }: Sight): Move[] {
  const { at, stage, batch, progress } = each;
  const reached = at.blockNumber <= finalized ? 'finalized' : 'mined';
  const isTold = progress.mined?.hash === at.hash && progress.mined.blockHash === at.blockHash && stage === reached;
  return isTold ? [] : [{ batchId: batch.batchId, do: reached, at }];
}

/**
 * The batches that are not mined take the account's next nonces in their order. So a gap closes by itself, and one
 * whose nonce somebody else has used gets a new transaction, and those behind it too.
 */
function pendingMoves(
  missing: readonly OpenAnchor[],
  open: readonly OpenAnchor[],
  sight: Sight,
  rules: AnchoringRules,
): Plan {
  if (missing.length > 0 && sight.refusal !== null) return { moves: [], trouble: sight.refusal };
  const attempts = open.flatMap(({ progress }) => progress.attempts);
  const used = attempts.filter(({ hash }) => sight.receipts.has(hash)).map(({ nonce }) => nonce + 1);
  const next = Math.max(sight.nonce, ...used);
  const moves: Move[] = [];
  let trouble: string | null = null;
  for (const [place, { batch, progress }] of missing.entries()) {
    const nonce = next + place;
    const current = progress.attempts.findLast((attempt) => attempt.nonce === nonce);
    const isWanted = !current || isStuck(current, place === 0, sight, rules);
    const rivals = attempts.filter((attempt) => attempt.nonce === nonce).map(feesOf);
    const fees = isWanted ? feesWithin(rules.maxFeePerGas, sight.market, rivals) : null;
    if (isWanted && !fees) trouble ??= cappedTrouble(batch, current, sight, rules);
    if (fees) moves.push({ batchId: batch.batchId, do: 'sign', nonce, fees });
    else if (current && isToBeSent(current, sight))
      moves.push({ batchId: batch.batchId, do: 'send', attempt: current });
  }
  return { moves, trouble };
}

/** Also once more when the node has forgotten it. */
function isToBeSent({ sentAt, hash }: Attempt, { known }: Sight): boolean {
  return sentAt === null || !known.has(hash);
}

/** Those behind the first wait for it, so their age alone says nothing: they are stuck when they offer too little. */
function isStuck(attempt: Attempt, isFirst: boolean, { now, market }: Sight, { stuckMs }: AnchoringRules): boolean {
  if (attempt.sentAt === null || now.getTime() - Date.parse(attempt.sentAt) <= stuckMs) return false;
  return isFirst || feesOf(attempt).maxFeePerGas < present(market).maxFeePerGas;
}

function cappedTrouble({ batchId }: Batch, current: Attempt | undefined, sight: Sight, rules: AnchoringRules): string {
  const waiting = current
    ? `the transaction ${current.hash} of batch ${batchId} waits at ${inGwei(feesOf(current).maxFeePerGas)} gwei`
    : `batch ${batchId} waits`;
  return `${waiting}: more than EVM_MAX_FEE_GWEI (${inGwei(rules.maxFeePerGas)}) is not offered, and the chain's base fee is ${inGwei(sight.market.baseFee)} gwei; wait or raise it`;
}

function feesOf(attempt: Attempt): Fees {
  return {
    maxFeePerGas: BigInt(attempt.maxFeePerGas),
    maxPriorityFeePerGas: BigInt(attempt.maxPriorityFeePerGas),
  };
}
