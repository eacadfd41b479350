import type { Hex } from 'viem';
import { fromRlp, keccak256, toRlp } from 'viem/utils';
import { z } from 'zod';
import { hex, log, type Log } from './anchor-event';

/** What a block commits to, computed from what a node tells of it: its hash, and the root over its receipts. */

const bytes = hex.transform((value) => value as Hex);
const quantity = hex.transform(asQuantity);

/** In the order of its fields; later forks added those that may be absent (EIP-1559, 4895, 4844, 4788, 7685). */
const headerFields = z.object({
  parentHash: bytes,
  sha3Uncles: bytes,
  miner: bytes,
  stateRoot: bytes,
  transactionsRoot: bytes,
  receiptsRoot: bytes,
  logsBloom: bytes,
  difficulty: quantity,
  number: quantity,
  gasLimit: quantity,
  gasUsed: quantity,
  timestamp: quantity,
  extraData: bytes,
  mixHash: bytes,
  nonce: bytes,
  baseFeePerGas: quantity.optional(),
  withdrawalsRoot: bytes.optional(),
  blobGasUsed: quantity.optional(),
  excessBlobGas: quantity.optional(),
  parentBeaconBlockRoot: bytes.optional(),
  requestsHash: bytes.optional(),
});
const RECEIPTS_ROOT = 5;
const NUMBER = 8;

const transactionReceipts = z.array(
  z.object({
    transactionIndex: hex.transform(Number),
    type: quantity.optional(),
    status: quantity,
    cumulativeGasUsed: quantity,
    logsBloom: bytes,
    logs: z.array(log),
  }),
);
type TransactionReceipt = z.infer<typeof transactionReceipts>[number];

export interface Header {
  hash: string;
  number: bigint;
  receiptsRoot: string;
}

/**
 * @param text as `eth_getBlockByNumber` answers, with or without what is around it, or the header's RLP in hexadecimal
 * @throws when it is neither, or its fields do not give the hash that stands beside them
 */
export function headerOf(text: string): Header {
  if (/^\s*0x/.test(text)) return ofRlp(bytes.parse(text.trim()));
  const value = resultOf(JSON.parse(text));
  const { hash: told } = z.object({ hash: hex.optional() }).parse(value);
  const fields = Object.values(headerFields.parse(value)).filter((field) => field !== undefined);
  const header = ofRlp(toRlp(fields));
  if (told !== undefined && told !== header.hash) {
    throw new Error('its fields do not give its own hash: it was changed, or it is of a form that is not known here');
  }
  return header;
}

function ofRlp(rlp: Hex): Header {
  const fields = fromRlp(rlp, 'hex');
  const [receiptsRoot, number] = [fields[RECEIPTS_ROOT], fields[NUMBER]];
  if (typeof fields === 'string' || typeof receiptsRoot !== 'string' || typeof number !== 'string') {
    throw new Error('it is no block header');
  }
  return { hash: keccak256(rlp), number: BigInt(number === '0x' ? 0 : number), receiptsRoot };
}

/**
 * @param text as `eth_getBlockReceipts` answers
 * @returns what the contracts told in the block, and the root over all its receipts, which its header holds
 */
export function receiptsOf(text: string): { root: string; logs: Log[] } {
  const receipts = transactionReceipts.parse(resultOf(JSON.parse(text)));
  const succeeded = receipts.filter(({ status }) => status === '0x01');
  return { root: receiptsRoot(receipts), logs: succeeded.flatMap(({ logs }) => logs) };
}

function resultOf(value: unknown): unknown {
  return z.object({ result: z.unknown() }).safeParse(value).data?.result ?? value;
}

interface Item {
  /** The key's half bytes. */
  nibbles: string;
  value: Hex;
}

type Node = Hex | Node[];

function receiptsRoot(receipts: readonly TransactionReceipt[]): string {
  const items = receipts.map((receipt) => {
    const key = toRlp(asQuantity(`0x${receipt.transactionIndex.toString(16)}`));
    return { nibbles: key.slice(2), value: encoded(receipt) };
  });
  return keccak256(toRlp(items.length === 0 ? '0x' : nodeOf(items)));
}

/** EIP-2718: the type goes before the RLP, and old transactions have none. */
function encoded({ type = '0x', status, cumulativeGasUsed, logsBloom, logs }: TransactionReceipt): Hex {
  const told = logs.map(({ address, topics, data }) => [address as Hex, topics as Hex[], data as Hex]);
  const rlp = toRlp([status, cumulativeGasUsed, logsBloom, told]);
  return `${type}${rlp.slice(2)}`;
}

/** Of Ethereum's Merkle Patricia trie. No key of ours begins another one, so that no branch has a value of its own. */
function nodeOf(items: readonly Item[]): Node {
  const [first, ...others] = items as [Item, ...Item[]];
  if (others.length === 0) return [compact(first.nibbles, true), first.value];
  let common = 0;
  while (others.every(({ nibbles }) => nibbles[common] === first.nibbles[common])) common += 1;
  if (common > 0) return [compact(first.nibbles.slice(0, common), false), reference(without(common, items))];
  const children = [...'0123456789abcdef'].map((nibble): Node => {
    const below = items.filter(({ nibbles }) => nibbles.startsWith(nibble));
    return below.length === 0 ? '0x' : reference(without(1, below));
  });
  return [...children, '0x'];
}

function without(count: number, items: readonly Item[]): Item[] {
  return items.map(({ nibbles, value }) => ({ nibbles: nibbles.slice(count), value }));
}

/** A node of less than 32 bytes stands in its parent itself. */
function reference(items: readonly Item[]): Node {
  const node = nodeOf(items);
  const rlp = toRlp(node);
  return rlp.length < 2 + 2 * 32 ? node : keccak256(rlp);
}

/** Half bytes as whole ones; the first tells whether they are odd, and whether the node is a leaf. */
function compact(nibbles: string, isLeaf: boolean): Hex {
  const isOdd = nibbles.length % 2 === 1;
  const flag = ((isLeaf ? 2 : 0) + (isOdd ? 1 : 0)).toString(16);
  return `0x${flag}${isOdd ? '' : '0'}${nibbles}`;
}

/** A number's bytes without zeros in front: 0 has none. */
function asQuantity(value: string): Hex {
  const digits = value.slice(2).replace(/^0+/, '');
  return `0x${digits.length % 2 === 1 ? '0' : ''}${digits}`;
}
