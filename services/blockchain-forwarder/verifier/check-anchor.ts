import { z } from 'zod';
import { fromHex, toHex } from '../domain/bytes';
import { checked, unchecked, type Check } from '../domain/check-receipt';
import { sha256 } from '../domain/primitives';
import { partsOf, type Receipt } from '../domain/receipt';
import { faultOfLogs, hex, log } from './anchor-event';
import type { AskChain } from './json-rpc';

/** SHA-256 of the code that contracts/LedgerAnchor.sol has on a chain; a test computes it. */
export const PUBLISHED_CODE = 'f7e7b97e78da985debd7343c7f38465f556c679c608019d668a28ffc13dbefd4';

const quantity = hex.transform((value) => BigInt(value));
const transactionReceipt = z.object({ status: quantity, blockHash: hex, logs: z.array(log) }).nullable();
const block = z.object({ hash: hex, number: quantity }).nullable();

/** Cannot be told now, and may be later; says nothing against the receipt. */
class NotYet extends Error {}

/** What a chain says of where a receipt is anchored, asked over JSON-RPC; nothing else is asked or believed. */
export async function checkAnchor(receipt: Receipt, ask: AskChain): Promise<Check[]> {
  const { chainId, contract, transaction, block: hash } = partsOf(receipt);
  return [
    await asking(`the chain is number ${chainId}`, () => faultOfChain(chainId, ask), 'it says so itself'),
    await asking(
      `the block ${hash} is part of the chain`,
      () => faultOfBlock(hash, ask),
      'the chain has it at its place',
    ),
    await asking(
      `the contract ${contract} anchored the batch in that block`,
      () => faultOfAnchor(receipt, ask),
      `the transaction ${transaction} succeeded and tells of this root, size and place in the ledger`,
    ),
    await asking(
      'that contract is the published one, which lets nobody change an anchor',
      () => faultOfCode(contract, ask),
      'its code on the chain is that of LedgerAnchor',
    ),
    await asking('the block is final', () => faultOfFinality(hash, ask), 'the chain says that it cannot be replaced'),
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

async function faultOfChain(chainId: number, ask: AskChain): Promise<string | null> {
  const actual = quantity.parse(await ask('eth_chainId', []));
  return actual === BigInt(chainId) ? null : `it says that it is number ${actual}`;
}

async function faultOfBlock(hash: string, ask: AskChain): Promise<string | null> {
  const found = block.parse(await ask('eth_getBlockByHash', [hash, false]));
  if (!found) return 'the chain has no such block';
  const there = await blockAt(`0x${found.number.toString(16)}`, ask);
  return there?.hash === hash ? null : `the chain has the block ${there?.hash ?? 'of nobody'} there by now`;
}

async function blockAt(place: string, ask: AskChain) {
  return block.parse(await ask('eth_getBlockByNumber', [place, false]));
}

async function faultOfAnchor(receipt: Receipt, ask: AskChain): Promise<string | null> {
  const { transaction, block: hash } = partsOf(receipt);
  const found = transactionReceipt.parse(await ask('eth_getTransactionReceipt', [transaction]));
  if (!found) return `the chain knows no transaction ${transaction}`;
  if (found.status !== 1n) return `the transaction ${transaction} failed`;
  if (found.blockHash !== hash) return `the transaction ${transaction} is in the block ${found.blockHash}`;
  return faultOfLogs(receipt, found.logs);
}

async function faultOfCode(contract: string, ask: AskChain): Promise<string | null> {
  const code = hex.parse(await ask('eth_getCode', [contract, 'latest']));
  if (code === '0x') return 'there is no contract';
  return toHex(sha256(fromHex(code.slice(2)))) === PUBLISHED_CODE ? null : 'its code is another one';
}

async function faultOfFinality(hash: string, ask: AskChain): Promise<string | null> {
  const [own, final, latest] = [
    block.parse(await ask('eth_getBlockByHash', [hash, false])),
    await blockAt('finalized', ask),
    quantity.parse(await ask('eth_blockNumber', [])),
  ];
  if (!own) return 'the chain has no such block';
  if (final && final.number >= own.number) return null;
  throw new NotYet(
    `not yet: ${latest - own.number} blocks lie on top of it, and the chain calls final only ` +
      `${final ? `what is up to block ${final.number}, this one is ${own.number}` : 'what it does not tell'}; ask again later`,
  );
}
