import { createHash, hash } from 'node:crypto';
import { HASH_BYTES, heightOf, isCount } from './merkle-proof';

/**
 * Merkle trees as certificate transparency has them (RFC 6962, RFC 9162 §2.1): order is kept, an inner node is
 * SHA-256(0x01 ‖ left ‖ right), and a tree of n leaves is split at the largest power of two below n. Leaves come hashed
 * (domain/leaf.ts). What is proved by paths and proofs is checked in merkle-proof.ts.
 */

const NODE_PREFIX = 0x01;

/** The hashes of each level, one after the other; the first holds the leaves, the last one the root alone. */
export interface MerkleTree {
  size: number;
  levels: readonly Buffer[];
}

/**
 * Bottom up: neighbours are joined, a last one without a neighbour goes up as it is. That is the tree of the RFC.
 * @throws RangeError for a leaf that is no hash
 */
export function merkleTree(leaves: readonly Uint8Array[]): MerkleTree {
  if (leaves.some((leaf) => leaf.length !== HASH_BYTES)) throw new RangeError(`a leaf has ${HASH_BYTES} bytes`);
  const levels: Buffer[] = [Buffer.concat(leaves)];
  for (let level = levels[0]; level && level.length > HASH_BYTES; level = levels.at(-1)) levels.push(levelAbove(level));
  return { size: leaves.length, levels };
}

function levelAbove(level: Buffer): Buffer {
  const count = level.length / HASH_BYTES;
  const above = Buffer.allocUnsafe(Math.ceil(count / 2) * HASH_BYTES);
  const node = Buffer.alloc(1 + 2 * HASH_BYTES, NODE_PREFIX);
  const pairs = Math.floor(count / 2);
  for (let pair = 0; pair < pairs; pair++) {
    level.copy(node, 1, pair * 2 * HASH_BYTES, (pair + 1) * 2 * HASH_BYTES);
    // a third of what createHash takes for so few bytes; as text, since a Buffer for each digest costs more than its hex
    above.write(hash('sha256', node, 'hex'), pair * HASH_BYTES, 'hex');
  }
  if (count % 2 === 1) level.copy(above, pairs * HASH_BYTES, level.length - HASH_BYTES);
  return above;
}

/** SHA-256 of nothing for a tree without leaves. */
export function rootOf({ size, levels }: MerkleTree): Buffer {
  return size === 0 ? createHash('sha256').digest() : Buffer.from(levels.at(-1) ?? []);
}

/**
 * The hashes beside the way from a leaf up to the root (RFC 9162 §2.1.3.1), lowest first.
 * @throws RangeError where there is no such leaf
 */
export function inclusionPath(tree: MerkleTree, leafIndex: number): Buffer[] {
  if (!isCount(leafIndex) || leafIndex >= tree.size) throw new RangeError(`${tree.size} leaves have no ${leafIndex}`);
  const path: Buffer[] = [];
  let index = leafIndex;
  for (const level of tree.levels.slice(0, -1)) {
    const sibling = index % 2 === 0 ? index + 1 : index - 1;
    if (sibling < level.length / HASH_BYTES) path.push(hashAt(level, sibling));
    index = Math.floor(index / 2);
  }
  return path;
}

/**
 * What shows that the tree's first leaves are all of an older tree, in their order (RFC 9162 §2.1.4.1). Empty for a
 * tree and itself.
 * @param from size of the older tree, at least 1: everything extends nothing
 * @throws RangeError for a size that the tree never had
 */
export function consistencyProof(tree: MerkleTree, from: number): Buffer[] {
  return consistencySpans(tree.size, from).map((span) => nodeOver(tree, span));
}

/** Leaves from `start` to before `end`. */
export interface Span {
  start: number;
  end: number;
}

/** What the hashes of a consistency proof are over, in their order. @throws as consistencyProof */
export function consistencySpans(size: number, from: number): Span[] {
  if (!isCount(from) || from < 1 || from > size) throw new RangeError(`${size} leaves were never ${from}`);
  return subProof(from, { start: 0, end: size }, true);
}

/** SUBPROOF of the RFC; `isWhole` while the span holds the older tree's first. */
function subProof(from: number, span: Span, isWhole: boolean): Span[] {
  if (from === span.end - span.start) return isWhole ? [] : [span];
  const [left, right] = halves(span);
  const split = left.end - left.start;
  return from <= split ? [...subProof(from, left, isWhole), right] : [...subProof(from - split, right, false), left];
}

/** As the RFC splits a tree: at the largest power of two below its size. */
export function halves({ start, end }: Span): [Span, Span] {
  const middle = start + 2 ** (heightOf(end - start) - 1);
  return [
    { start, end: middle },
    { start: middle, end },
  ];
}

/** Every span that the RFC splits a tree into is one node of it. */
function nodeOver({ levels }: MerkleTree, { start, end }: Span): Buffer {
  const height = heightOf(end - start);
  return hashAt(levels[height] ?? Buffer.alloc(0), Math.floor(start / 2 ** height));
}

function hashAt(level: Buffer, index: number): Buffer {
  return Buffer.from(level.subarray(index * HASH_BYTES, (index + 1) * HASH_BYTES));
}
