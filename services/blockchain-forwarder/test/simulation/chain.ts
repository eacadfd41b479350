import { decodeFunctionData, encodeErrorResult, encodeFunctionResult, keccak256, numberToHex, stringToHex } from 'viem';
import { encodeAbiParameters, encodeEventTopics, hexToString, type Hex } from 'viem';
import { ledgerAnchorAbi as abi } from '../../adapters/sinks/evm/ledger-anchor-abi';
import type { TransactionSigner, Unsigned } from '../../adapters/keys/transaction-signer';
import { ZERO_ROOT } from '../../domain/batch';

export interface Anchoring {
  batchId: number;
  root: Hex;
  firstSequence: number;
  count: number;
  previousRoot: Hex;
}

interface Transaction {
  hash: Hex;
  nonce: number;
  maxFee: bigint;
  tip: bigint;
  /** Absent for one of somebody else who has the same key. */
  anchoring?: Anchoring;
}

interface Block {
  number: number;
  hash: Hex;
  mined: { transaction: Transaction; succeeded: boolean }[];
}

export const ACCOUNT = '0x1111111111111111111111111111111111111111';
const TIP = 1_000_000_000n;
/** So many blocks may yet be taken back. */
const FINAL_AFTER = 6;

/** Signs nothing: the chain believes what it is told. */
export const SIGNER: TransactionSigner = {
  address: () => Promise.resolve(ACCOUNT),
  sign: (transaction) =>
    Promise.resolve(
      stringToHex(JSON.stringify(transaction, (_, each: unknown) => (typeof each === 'bigint' ? String(each) : each))),
    ),
};

/** A chain with one account and the contract LedgerAnchor, as far as an anchor is concerned. */
export class Chain {
  baseFee = 1_000_000_000n;
  private readonly blocks: Block[] = [{ number: 0, hash: keccak256('0x00'), mined: [] }];
  private pool: Transaction[] = [];
  private made = 0;

  get head(): Block {
    return this.blocks.at(-1)!;
  }

  get finalized(): number {
    return Math.max(0, this.head.number - FINAL_AFTER);
  }

  /** In their order, with the transaction and the block of each. */
  get anchored(): (Anchoring & { transaction: Hex; block: Block })[] {
    return this.blocks.flatMap((block) =>
      block.mined.flatMap(({ transaction, succeeded }) =>
        succeeded && transaction.anchoring ? [{ ...transaction.anchoring, transaction: transaction.hash, block }] : [],
      ),
    );
  }

  private get nonce(): number {
    return this.blocks.reduce((sum, { mined }) => sum + mined.length, 0);
  }

  mine(limit = 16): void {
    const block = this.addBlock();
    for (let taken = 0; taken < limit; taken += 1) {
      const next = this.pool.find(({ nonce, maxFee }) => nonce === this.nonce && maxFee >= this.baseFee);
      if (!next) break;
      const succeeded = next.anchoring ? this.refusalOf(next.anchoring) === undefined : true;
      block.mined.push({ transaction: next, succeeded });
    }
    this.pool = this.pool.filter(({ nonce }) => nonce >= this.nonce);
  }

  /** Other blocks in place of the last ones. Of what was in them, some goes back to the pool. */
  reorganise(depth: number, goesBack: () => boolean): void {
    const count = Math.min(depth, this.head.number - this.finalized);
    const lost = this.blocks.splice(this.blocks.length - count).flatMap(({ mined }) => mined);
    for (let index = 0; index < count; index += 1) this.addBlock();
    for (const { transaction } of lost) if (goesBack()) this.accept(transaction);
  }

  /** A node forgets what waits. */
  forget(isForgotten: () => boolean): void {
    this.pool = this.pool.filter(() => !isForgotten());
  }

  /** Somebody else sends with our account, at the next nonce or behind what waits. */
  intrude(behind: number): void {
    this.made += 1;
    const fee = this.baseFee * 3n;
    this.accept({ hash: keccak256(numberToHex(this.made + 1e9)), nonce: this.nonce + behind, maxFee: fee, tip: fee });
  }

  private addBlock(): Block {
    this.made += 1;
    const block: Block = { number: this.head.number + 1, hash: keccak256(numberToHex(this.made)), mined: [] };
    this.blocks.push(block);
    return block;
  }

  /** As geth does. @returns why it is refused */
  private accept(transaction: Transaction): string | undefined {
    const { nonce, hash, maxFee, tip } = transaction;
    if (nonce < this.nonce) return 'nonce too low';
    if (this.pool.some((each) => each.hash === hash)) return 'already known';
    const rival = this.pool.find((each) => each.nonce === nonce);
    if (rival && (maxFee * 10n < rival.maxFee * 11n || tip * 10n < rival.tip * 11n))
      return 'replacement transaction underpriced';
    this.pool = [...this.pool.filter((each) => each !== rival), transaction];
    return undefined;
  }

  private refusalOf({ batchId, previousRoot, firstSequence }: Anchoring): Hex | undefined {
    const last = this.anchored.at(-1);
    const [latest, root] = [last?.batchId ?? 0, last?.root ?? ZERO_ROOT];
    const sequence = last ? last.firstSequence + last.count : 1;
    if (batchId <= latest) {
      return encodeErrorResult({ abi, errorName: 'BatchKnown', args: [BigInt(batchId), BigInt(latest)] });
    }
    if (batchId > latest + 1) {
      return encodeErrorResult({ abi, errorName: 'WrongBatchId', args: [BigInt(batchId), BigInt(latest + 1)] });
    }
    return previousRoot === root && firstSequence === sequence
      ? undefined
      : encodeErrorResult({ abi, errorName: 'WrongPreviousRoot', args: [previousRoot, root as Hex] });
  }

  /** One question of JSON-RPC. @returns the result, or an error as a node tells it */
  answer(method: string, params: readonly unknown[]): { result: unknown } | { error: { message: string; data?: Hex } } {
    const [first] = params;
    if (method === 'eth_getBlockByNumber') return { result: this.blockAt(first as string) };
    if (method === 'eth_getTransactionCount') return { result: numberToHex(this.nonce) };
    if (method === 'eth_maxPriorityFeePerGas') return { result: numberToHex(TIP) };
    if (method === 'eth_getTransactionReceipt') return { result: this.receiptOf(first as Hex) };
    if (method === 'eth_getTransactionByHash') {
      const isKnown = this.receiptOf(first as Hex) ?? this.pool.find(({ hash }) => hash === first);
      return { result: isKnown ? { hash: first } : null };
    }
    if (method === 'eth_sendRawTransaction') {
      const transaction = readTransaction(first as Hex);
      const refusal = this.accept(transaction);
      return refusal === undefined ? { result: transaction.hash } : { error: { message: refusal } };
    }
    if (method === 'eth_getLogs') return { result: this.logs(first as LogFilter) };
    if (method === 'eth_call') return this.view((first as { data: Hex }).data);
    return { error: { message: `no such method: ${method}` } };
  }

  private blockAt(tag: string): object | null {
    const number = tag === 'latest' ? this.head.number : tag === 'finalized' ? this.finalized : Number(tag);
    const block = this.blocks[number];
    if (!block) return null;
    const common = { hash: block.hash, baseFeePerGas: numberToHex(this.baseFee) };
    return { ...common, number: numberToHex(number), timestamp: numberToHex(1_800_000_000 + number) };
  }

  private receiptOf(hash: Hex): object | null {
    for (const block of this.blocks) {
      const found = block.mined.find(({ transaction }) => transaction.hash === hash);
      if (!found) continue;
      const at = { blockNumber: numberToHex(block.number), blockHash: block.hash };
      return { ...at, transactionHash: hash, status: found.succeeded ? '0x1' : '0x0' };
    }
    return null;
  }

  private view(data: Hex): { result: Hex } | { error: { message: string; data?: Hex } } {
    const { functionName, args } = decodeFunctionData({ abi, data });
    const { anchored } = this;
    if (functionName === 'latest') {
      const last = anchored.at(-1);
      return {
        result: encodeFunctionResult({ abi, functionName, result: [BigInt(last?.batchId ?? 0), storedOf(last)] }),
      };
    }
    if (functionName === 'anchorOf') {
      const found = anchored.find(({ batchId }) => batchId === Number(args[0]));
      return found
        ? { result: encodeFunctionResult({ abi, functionName, result: storedOf(found) }) }
        : { error: { message: 'execution reverted' } };
    }
    const refusal = this.refusalOf(anchoringOf(data));
    return refusal === undefined ? { result: '0x' } : { error: { message: 'execution reverted', data: refusal } };
  }

  private logs({ topics, fromBlock, toBlock }: LogFilter): object[] {
    const [from, to] = [Number(fromBlock), toBlock === 'latest' ? this.head.number : Number(toBlock)];
    return this.anchored.flatMap(({ batchId, root, firstSequence, count, previousRoot, transaction, block }) => {
      const own = encodeEventTopics({ abi, eventName: 'BatchAnchored', args: { batchId: BigInt(batchId) } });
      if (String(own) !== String(topics) || block.number < from || block.number > to) return [];
      const types = [{ type: 'bytes32' }, { type: 'uint64' }, { type: 'uint32' }, { type: 'bytes32' }] as const;
      const data = encodeAbiParameters(types, [root, BigInt(firstSequence), count, previousRoot]);
      const at = { transactionHash: transaction, blockNumber: numberToHex(block.number), blockHash: block.hash };
      return [{ ...at, address: ACCOUNT, topics: own, data, logIndex: '0x0', transactionIndex: '0x0', removed: false }];
    });
  }
}

interface LogFilter {
  topics: readonly Hex[];
  fromBlock: string;
  toBlock: string;
}

function storedOf(found: (Anchoring & { block: Block }) | undefined) {
  return {
    root: (found?.root ?? ZERO_ROOT) as Hex,
    firstSequence: BigInt(found?.firstSequence ?? 0),
    count: found?.count ?? 0,
    blockNumber: BigInt(found?.block.number ?? 0),
    time: 0n,
  };
}

function readTransaction(raw: Hex): Transaction {
  const told = JSON.parse(hexToString(raw)) as Record<keyof Unsigned, string> & { data: Hex };
  return {
    hash: keccak256(raw),
    nonce: Number(told.nonce),
    maxFee: BigInt(told.maxFeePerGas),
    tip: BigInt(told.maxPriorityFeePerGas),
    anchoring: anchoringOf(told.data),
  };
}

function anchoringOf(data: Hex): Anchoring {
  const { functionName, args } = decodeFunctionData({ abi, data });
  if (functionName !== 'anchor') throw new Error(`${functionName} is no anchoring`);
  const [batchId, root, firstSequence, count, previousRoot] = args;
  return { batchId: Number(batchId), root, firstSequence: Number(firstSequence), count, previousRoot };
}
