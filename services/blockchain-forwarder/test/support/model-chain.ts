import type { Anchored } from '../../domain/anchor-progress';
import type { Sight } from '../../domain/anchoring';
import { ZERO_ROOT } from '../../domain/batch';

export interface ModelTransaction {
  hash: string;
  nonce: number;
  maxFee: bigint;
  tip: bigint;
  /** Absent for one of somebody else who has the same key. */
  batch?: { batchId: number; root: string; previousRoot: string };
}

interface Block {
  hash: string;
  transactions: { transaction: ModelTransaction; succeeded: boolean }[];
}

/** A chain, its pool and the contract's rule, as far as an anchor is concerned. */
export class ModelChain {
  baseFee = 10n;
  readonly tip = 2n;
  private blocks: Block[] = [{ hash: 'genesis', transactions: [] }];
  private pool: ModelTransaction[] = [];
  private counter = 0;

  /** As geth: a known one, a used nonce and too small a raise are refused. */
  send(transaction: ModelTransaction): void {
    if (transaction.nonce < this.nonce || this.pool.some(({ hash }) => hash === transaction.hash)) return;
    const rival = this.pool.find(({ nonce }) => nonce === transaction.nonce);
    if (rival && (transaction.maxFee * 10n < rival.maxFee * 11n || transaction.tip * 10n < rival.tip * 11n)) return;
    this.pool = [...this.pool.filter((each) => each !== rival), transaction];
  }

  mine(limit = 16): void {
    const block: Block = { hash: `block ${(this.counter += 1)}`, transactions: [] };
    this.blocks.push(block);
    for (let taken = 0; taken < limit; taken += 1) {
      const next = this.pool.find(({ nonce, maxFee }) => nonce === this.nonce && maxFee >= this.baseFee);
      if (!next) break;
      this.pool = this.pool.filter((each) => each !== next);
      const { batchId, root } = this.latest;
      const succeeded = next.batch?.batchId === batchId + 1 && (batchId === 0 || next.batch.previousRoot === root);
      block.transactions.push({ transaction: next, succeeded });
    }
    this.pool = this.pool.filter(({ nonce }) => nonce >= this.nonce);
  }

  /** Other blocks in place of the last ones. Of what was in them, some goes back to the pool. */
  reorganise(depth: number, goesBack: (index: number) => boolean): void {
    const blocks = Math.min(depth, this.head - this.finalized);
    if (blocks === 0) return;
    const lost = this.blocks.splice(-blocks).flatMap(({ transactions }) => transactions);
    for (let n = 0; n < blocks; n += 1) this.blocks.push({ hash: `block ${(this.counter += 1)}`, transactions: [] });
    lost.forEach(({ transaction }, index) => goesBack(index) && this.send(transaction));
  }

  lose(index: number): void {
    this.pool = this.pool.filter((_, place) => place !== index % Math.max(1, this.pool.length));
  }

  /** Somebody else sends with our account: at the next nonce or behind what waits. */
  intrude(behind: number, maxFee: bigint): void {
    this.send({ hash: `foreign ${(this.counter += 1)}`, nonce: this.nonce + behind, maxFee, tip: maxFee });
  }

  get head(): number {
    return this.blocks.length - 1;
  }

  get finalized(): number {
    return Math.max(0, this.head - 6);
  }

  get nonce(): number {
    return this.blocks.flatMap(({ transactions }) => transactions).length;
  }

  get latest(): { batchId: number; root: string } {
    return this.anchored.at(-1) ?? { batchId: 0, root: ZERO_ROOT };
  }

  get anchored(): (Anchored & { batchId: number; root: string })[] {
    return [...this.receipts()].flatMap(([, { transaction, succeeded, ...at }]) =>
      succeeded && transaction.batch
        ? [{ ...at, batchId: transaction.batch.batchId, root: transaction.batch.root }]
        : [],
    );
  }

  sight(now: Date, openIds: readonly number[]): Sight {
    const receipts = this.receipts();
    return {
      now,
      finalized: this.finalized,
      nonce: this.nonce,
      latest: this.latest,
      receipts,
      known: new Set([...receipts.keys(), ...this.pool.map(({ hash }) => hash)]),
      anchors: new Map(this.anchored.filter(({ batchId }) => openIds.includes(batchId)).map((at) => [at.batchId, at])),
      market: { baseFee: this.baseFee, tip: this.tip },
      refusal: null,
    };
  }

  private receipts(): Map<string, Anchored & { transaction: ModelTransaction; succeeded: boolean }> {
    return new Map(
      this.blocks.flatMap(({ hash: blockHash, transactions }, blockNumber) =>
        transactions.map(({ transaction, succeeded }) => {
          const blockTime = new Date(blockNumber * 1000).toISOString();
          const { hash } = transaction;
          return [hash, { hash, blockNumber, blockHash, blockTime, transaction, succeeded }] as const;
        }),
      ),
    );
  }
}
