import { z } from 'zod';
import { checked, unchecked, type Check } from '../domain/check-receipt';
import type { Receipt } from '../domain/receipt';
import type { AskChain } from './json-rpc';

/** keccak256 of `BatchAnchored(uint256,bytes32,uint64,uint32,bytes32)`; Node has no Keccak, a test computes it. */
export const BATCH_ANCHORED = '0xdee6ed9e2197c575b392f1f056b4802576ee450540fd2578974c259e0ec9f322';

const hex = z
  .string()
  .regex(/^0x[0-9a-fA-F]*$/)
  .toLowerCase();
const quantity = hex.transform((value) => BigInt(value));

const transactionReceipt = z
  .object({
    status: quantity,
    blockNumber: quantity,
    blockHash: hex,
    logs: z.array(z.object({ address: hex, topics: z.array(hex), data: hex })),
  })
  .nullable();
const block = z.object({ hash: hex }).nullable();

/** What a chain says of where a receipt is anchored, asked over JSON-RPC; nothing else is asked or believed. */
export async function checkAnchor(receipt: Receipt, ask: AskChain): Promise<Check[]> {
  return [
    await asking(`the chain is number ${receipt.chainId}`, () => faultOfChain(receipt, ask), 'it says so itself'),
    await asking(
      `block ${receipt.blockNumber} is part of the chain`,
      () => faultOfBlock(receipt, ask),
      `it has the hash ${receipt.blockHash} there`,
    ),
    await asking(
      `the contract ${receipt.contract} anchored the batch in that block`,
      () => faultOfAnchor(receipt, ask),
      `the transaction ${receipt.transaction} succeeded and tells of this batch, its root, its size and its predecessor`,
    ),
  ];
}

async function asking(what: string, faultOf: () => Promise<string | null>, proof: string): Promise<Check> {
  try {
    return checked(what, await faultOf(), proof);
  } catch (error) {
    const reason = error instanceof z.ZodError ? 'the chain answers with what is no such thing' : String(error);
    return unchecked(what, reason.replace(/^Error: /, ''));
  }
}

async function faultOfChain({ chainId }: Receipt, ask: AskChain): Promise<string | null> {
  const actual = quantity.parse(await ask('eth_chainId', []));
  return actual === BigInt(chainId) ? null : `it says that it is number ${actual}`;
}

async function faultOfBlock({ blockNumber, blockHash }: Receipt, ask: AskChain): Promise<string | null> {
  const found = block.parse(await ask('eth_getBlockByNumber', [`0x${blockNumber.toString(16)}`, false]));
  if (!found) return 'the chain has no such block';
  return found.hash === blockHash ? null : `the chain has the block ${found.hash} there`;
}

async function faultOfAnchor(receipt: Receipt, ask: AskChain): Promise<string | null> {
  const found = transactionReceipt.parse(await ask('eth_getTransactionReceipt', [receipt.transaction]));
  if (!found) return `the chain knows no transaction ${receipt.transaction}`;
  if (found.status !== 1n) return `the transaction ${receipt.transaction} failed`;
  if (found.blockHash !== receipt.blockHash || found.blockNumber !== BigInt(receipt.blockNumber)) {
    return `the transaction ${receipt.transaction} is in block ${found.blockNumber}, ${found.blockHash}`;
  }
  const told = found.logs.filter(({ address, topics }) => address === receipt.contract && topics[0] === BATCH_ANCHORED);
  if (told.length === 0) return 'in that transaction the contract tells of no batch';
  const { topics, data } = eventOf(receipt);
  const isTold = told.some((log) => log.topics.join() === topics.join() && log.data === data);
  return isTold ? null : 'in that transaction the contract tells of another batch, root, size or predecessor';
}

/** The event as the contract's ABI has it: words of 32 bytes, only the batch's id among the topics. */
function eventOf(receipt: Receipt): { topics: string[]; data: string } {
  const { batchId, root, firstSequence, treeSize, previousRoot } = receipt;
  const words = [root.slice(2), word(firstSequence), word(treeSize), previousRoot.slice(2)];
  return { topics: [BATCH_ANCHORED, `0x${word(batchId)}`], data: `0x${words.join('')}` };
}

function word(value: number | string): string {
  return BigInt(value).toString(16).padStart(64, '0');
}
