import {
  decodeErrorResult,
  decodeFunctionResult,
  encodeEventTopics,
  encodeFunctionData,
  numberToHex,
  parseEventLogs,
  type Address,
  type Hex,
  type RpcLog,
} from 'viem';
import { z } from 'zod';
import type { Anchored } from '../../../domain/anchor-progress';
import type { Batch } from '../../../domain/batch';
import { RpcRefusal, type JsonRpc, type RpcCall } from './json-rpc';
import { ledgerAnchorAbi as abi, RECENT } from './ledger-anchor-abi';

const hex = z.custom<Hex>((value) => typeof value === 'string' && /^0x[0-9a-f]*$/i.test(value));
export const quantity = hex.transform(BigInt);
const number = hex.transform(Number);
export const bytes = hex;

export const block = z.object({
  number,
  hash: hex,
  timestamp: number,
  baseFeePerGas: quantity.optional(),
});
export type Block = z.infer<typeof block>;

export const receipt = z
  .object({ transactionHash: hex, blockNumber: number, blockHash: hex, status: hex })
  .transform(({ transactionHash, status, ...at }) => ({ ...at, hash: transactionHash, succeeded: status === '0x1' }));
export type ChainReceipt = z.output<typeof receipt>;

/** What an anchor may cost: about twice of what it does, since one behind another cannot be tried out beforehand. */
export const GAS = 100_000n;

export const calls = {
  block: (tag: number | 'latest' | 'finalized'): RpcCall => ({
    method: 'eth_getBlockByNumber',
    params: [typeof tag === 'number' ? numberToHex(tag) : tag, false],
  }),
  receipt: (hash: string): RpcCall => ({ method: 'eth_getTransactionReceipt', params: [hash] }),
  transaction: (hash: string): RpcCall => ({ method: 'eth_getTransactionByHash', params: [hash] }),
  send: (raw: string): RpcCall => ({ method: 'eth_sendRawTransaction', params: [raw] }),
  nonce: (account: Address): RpcCall => ({ method: 'eth_getTransactionCount', params: [account, 'latest'] }),
  tip: { method: 'eth_maxPriorityFeePerGas', params: [] } satisfies RpcCall,
  latest: (to: Address): RpcCall => view(to, encodeFunctionData({ abi, functionName: 'latest' })),
  anchorer: (to: Address): RpcCall => view(to, encodeFunctionData({ abi, functionName: 'anchorer' })),
  trial: (to: Address, from: Address, batch: Batch): RpcCall => ({
    method: 'eth_call',
    params: [{ from, to, data: anchorData(batch), gas: numberToHex(GAS) }, 'latest'],
  }),
};

const view = (to: Address, data: Hex): RpcCall => ({ method: 'eth_call', params: [{ to, data }, 'latest'] });

export function anchorData({ batchId, root, firstSequence, count, previousRoot }: Batch): Hex {
  const args = [BigInt(batchId), root as Hex, BigInt(firstSequence), count, previousRoot as Hex] as const;
  return encodeFunctionData({ abi, functionName: 'anchor', args });
}

export function latestOf(answer: unknown): { batchId: number; root: string } {
  const [batchId, { root }] = decodeFunctionResult({ abi, functionName: 'latest', data: bytes.parse(answer) });
  return { batchId: Number(batchId), root };
}

export function anchorerOf(answer: unknown): Address {
  return decodeFunctionResult({ abi, functionName: 'anchorer', data: bytes.parse(answer) });
}

/** @throws the refusal when the answer is one */
export function answered(answer: unknown): unknown {
  if (answer instanceof RpcRefusal) throw answer;
  return answer;
}

/** The contract's own error, by name; undefined where the refusal is none of it. */
export function contractErrorOf({ data }: RpcRefusal): string | undefined {
  if (data === undefined || data === '0x') return undefined;
  try {
    return decodeErrorResult({ abi, data: data as Hex }).errorName;
  } catch {
    return undefined;
  }
}

export type FoundAnchor = Anchored & { root: string };

/**
 * Where the contract has these batches, whoever sent them.
 * @param latest the last one that it has
 * @returns without those that it does not have, or not any more
 */
export async function anchorsOf(
  rpc: JsonRpc,
  contract: Address,
  batchIds: readonly number[],
  latest: number,
): Promise<Map<number, FoundAnchor>> {
  const there = batchIds.filter((id) => id <= latest);
  if (there.length === 0) return new Map();
  const recent = there.filter((id) => id > latest - RECENT);
  const held = await rpc.askAll(
    recent.map((id) => view(contract, encodeFunctionData({ abi, functionName: 'anchorOf', args: [BigInt(id)] }))),
  );
  const places = new Map(recent.flatMap((id, n) => (held[n] instanceof RpcRefusal ? [] : [[id, blockOf(held[n])]])));
  // of older ones only events tell: the node looks through all blocks
  const logs = await rpc.askAll(there.map((id) => logsCall(contract, id, places.get(id))));
  const events = parseEventLogs({ abi, eventName: 'BatchAnchored', logs: logs.flatMap(answered) as RpcLog[] });
  const times = await timesOf(
    rpc,
    events.map(({ blockNumber }) => Number(blockNumber)),
  );
  const found = new Map<number, FoundAnchor>();
  for (const { args, transactionHash, blockNumber, blockHash } of events) {
    const blockTime = times.get(`${blockHash}`);
    if (transactionHash === null || blockHash === null || blockTime === undefined) continue;
    const at = { hash: transactionHash, blockNumber: Number(blockNumber), blockHash, blockTime };
    found.set(Number(args.batchId), { ...at, root: args.root });
  }
  return found;
}

function blockOf(answer: unknown): Hex {
  const { blockNumber } = decodeFunctionResult({ abi, functionName: 'anchorOf', data: bytes.parse(answer) });
  return numberToHex(blockNumber);
}

function logsCall(address: Address, batchId: number, inBlock: Hex | undefined): RpcCall {
  const topics = encodeEventTopics({ abi, eventName: 'BatchAnchored', args: { batchId: BigInt(batchId) } });
  const range = { fromBlock: inBlock ?? '0x0', toBlock: inBlock ?? 'latest' };
  return { method: 'eth_getLogs', params: [{ address, topics, ...range }] };
}

/** When blocks were made, RFC 3339, by their hashes. */
export async function timesOf(rpc: JsonRpc, numbers: readonly number[]): Promise<Map<string, string>> {
  const answers = await rpc.askAll([...new Set(numbers)].map((each) => calls.block(each)));
  const blocks = answers.flatMap((answer) => block.nullable().parse(answered(answer)) ?? []);
  return new Map(blocks.map(({ hash, timestamp }) => [hash, timeOf(timestamp)]));
}

const timeOf = (seconds: number): string => new Date(seconds * 1_000).toISOString();
