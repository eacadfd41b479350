import { z } from 'zod';
import { toHex } from '../domain/bytes';
import { partsOf, type Receipt } from '../domain/receipt';

/** keccak256 of `BatchAnchored(uint256,bytes32,uint64,uint32,bytes32)`; a test computes it. */
export const BATCH_ANCHORED = '0xdee6ed9e2197c575b392f1f056b4802576ee450540fd2578974c259e0ec9f322';

export const hex = z
  .string()
  .regex(/^0x[0-9a-fA-F]*$/)
  .toLowerCase();

/** What a contract told in a transaction, as every method of JSON-RPC has it. */
export const log = z.object({ address: hex, topics: z.array(hex), data: hex });

export type Log = z.infer<typeof log>;

/** @returns null when one of the logs is the contract telling of the receipt's batch, else what is wrong */
export function faultOfLogs(receipt: Receipt, logs: readonly Log[]): string | null {
  const told = logs.filter(({ address, topics }) => address === receipt.contract && topics[0] === BATCH_ANCHORED);
  if (told.length === 0) return 'the contract tells of no batch there';
  const expected = dataOf(receipt);
  const isTold = told.some(({ topics, data }) => topics.length === 2 && expected.test(data));
  return isTold ? null : 'the contract tells of another root, size or place in the ledger there';
}

/**
 * The event as the contract's ABI has it, in words of 32 bytes: root, first sequence, count, and the batch before, which
 * a receipt does not name; nor does it name the batch's id, the event's other topic.
 */
function dataOf(receipt: Receipt): RegExp {
  const { root, sequence, leafIndex, treeSize } = partsOf(receipt);
  return new RegExp(`^0x${toHex(root)}${word(sequence - leafIndex)}${word(treeSize)}[0-9a-f]{64}$`);
}

function word(value: number): string {
  return value.toString(16).padStart(64, '0');
}
