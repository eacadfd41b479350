/** What the ledger says of one batch, and what a chain anchors. Never changes. */
export interface Batch {
  /** From 1, without a gap. */
  batchId: number;
  /** Of the Merkle tree over its records' leaves, in their order: `0x` and 64 hexadecimal digits. */
  root: string;
  /** Place of its first record in the whole ledger, from 1. */
  firstSequence: number;
  count: number;
  /** Of the batch before; zeros for the first. */
  previousRoot: string;
  /** RFC 3339. */
  closedAt: string;
}

export const ZERO_ROOT = `0x${'0'.repeat(64)}`;
