import type { Batch } from './batch';
import { ZERO_ROOT } from './batch';
import { fromHex, toHex, utf8 } from './bytes';
import { canonicalText } from './canonical-json';
import { consistencySpans, halves, type Span } from './merkle';
import { heightOf, isPowerOfTwo, nodeHash } from './merkle-proof';
import { sha256 } from './primitives';

const LEAF_PREFIX = Uint8Array.of(0x00);

/**
 * The whole ledger as one Merkle tree (RFC 9162) whose leaves are its batches, so that one short proof shows that a later
 * state only ever added to an earlier one. Anybody can compute it anew from what the contract's events tell: a leaf is
 * SHA-256(0x00 ‖ JCS({batchId, count, firstSequence, previousRoot, root})).
 */

/** All that the next batch needs to know of those before it. */
export interface LedgerHead {
  /** Of the last batch; 0 while there is none. */
  batchId: number;
  nextSequence: number;
  /** Of the last batch's own tree. */
  root: string;
  /** Roots of the full subtrees, largest first: one for each 1 in the binary number of batches. Hexadecimal. */
  peaks: readonly string[];
}

export const EMPTY_LEDGER: LedgerHead = { batchId: 0, nextSequence: 1, root: ZERO_ROOT, peaks: [] };

/** A batch continues the ledger: the new head, and the full subtrees that end with this batch, smallest first. */
export async function appended(head: LedgerHead, batch: Batch): Promise<{ head: LedgerHead; nodes: string[] }> {
  let node = await batchLeaf(batch);
  const nodes = [hex(node)];
  const peaks = [...head.peaks];
  for (let rest = head.batchId; rest % 2 === 1; rest = (rest - 1) / 2) {
    node = nodeHash(bytes(peaks.pop() ?? ''), node);
    nodes.push(hex(node));
  }
  peaks.push(hex(node));
  const { batchId, root, firstSequence, count } = batch;
  return { head: { batchId, nextSequence: firstSequence + count, root, peaks }, nodes };
}

async function batchLeaf({ batchId, root, firstSequence, count, previousRoot }: Batch): Promise<Uint8Array> {
  const json = await canonicalText({ batchId, root, firstSequence, count, previousRoot });
  return sha256(LEAF_PREFIX, utf8(json));
}

/** Root of the tree over all batches; SHA-256 of nothing while there is none. */
export function ledgerRoot({ peaks }: Pick<LedgerHead, 'peaks'>): string {
  const last = peaks.at(-1);
  if (last === undefined) return hex(sha256());
  return hex(peaks.slice(0, -1).reduceRight<Uint8Array>((right, left) => nodeHash(bytes(left), right), bytes(last)));
}

/** A full subtree, as `nodes` of a batch has it. */
export interface FullSubtree {
  /** Its last batch. */
  batchId: number;
  /** 0 for the batch alone. */
  height: number;
}

export interface Consistency {
  /** Numbers of batches: the older state, and the later one. */
  from: number;
  to: number;
  fromRoot: string;
  toRoot: string;
  /** RFC 9162 §2.1.4; empty for a state and itself. */
  proof: string[];
}

/**
 * What shows that the ledger of `to` batches extends that of `from`.
 * @param read nodes of full subtrees, in the order asked
 * @throws RangeError for a state that there never was
 */
export async function consistency(
  from: number,
  to: number,
  read: (subtrees: readonly FullSubtree[]) => Promise<readonly string[]>,
): Promise<Consistency> {
  const spans = [{ start: 0, end: from }, { start: 0, end: to }, ...consistencySpans(to, from)];
  const subtrees = spans.flatMap(fullSubtrees);
  const nodes = await read(subtrees);
  const known = new Map(subtrees.map((subtree, index) => [keyOf(subtree), nodes[index] ?? '']));
  const [fromRoot = '', toRoot = '', ...proof] = spans.map((span) => hex(over(span, known)));
  return { from, to, fromRoot, toRoot, proof };
}

function fullSubtrees(span: Span): FullSubtree[] {
  const count = span.end - span.start;
  return isPowerOfTwo(count) ? [{ batchId: span.end, height: heightOf(count) }] : halves(span).flatMap(fullSubtrees);
}

function over(span: Span, known: ReadonlyMap<string, string>): Uint8Array {
  const count = span.end - span.start;
  if (isPowerOfTwo(count)) return bytes(known.get(keyOf({ batchId: span.end, height: heightOf(count) })) ?? '');
  const [left, right] = halves(span);
  return nodeHash(over(left, known), over(right, known));
}

const keyOf = ({ batchId, height }: FullSubtree): string => `${batchId} ${height}`;
const hex = (hash: Uint8Array): string => `0x${toHex(hash)}`;
const bytes = (text: string): Uint8Array => fromHex(text.slice(2));
