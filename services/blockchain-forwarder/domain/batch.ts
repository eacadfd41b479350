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

/** A record of a batch: its id, and its leaf in base64url. */
export type Entry = readonly [recordId: string, leaf: string];

/** Records that were committed together and wait for a batch: a batch takes whole ones. */
export interface Chunk {
  /** UUID. */
  id: string;
  /** RFC 3339. */
  receivedAt: string;
  /** Of its records' canonical JSON. */
  bytes: number;
  entries: readonly Entry[];
}

/** When a batch is closed: as soon as it holds so much, or its oldest record waits so long. */
export interface BatchLimits {
  count: number;
  bytes: number;
  ageMs: number;
}

/**
 * The chunks that the next batch takes, oldest first; none while there is time for more.
 * @param more whether others wait behind them
 */
export function dueChunks(chunks: readonly Chunk[], more: boolean, limits: BatchLimits, now: Date): readonly Chunk[] {
  const taken: Chunk[] = [];
  let [count, bytes] = [0, 0];
  for (const chunk of chunks) {
    count += chunk.entries.length;
    bytes += chunk.bytes;
    if (taken.length > 0 && (count > limits.count || bytes > limits.bytes)) return taken;
    taken.push(chunk);
  }
  const oldest = chunks[0];
  if (oldest === undefined) return [];
  const isOld = Date.parse(oldest.receivedAt) + limits.ageMs <= now.getTime();
  return more || isOld || count >= limits.count || bytes >= limits.bytes ? taken : [];
}
