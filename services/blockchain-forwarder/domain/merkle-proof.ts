import { isEqual } from './bytes';
import { sha256 } from './primitives';

/**
 * Checks what domain/merkle.ts proves, as RFC 9162 §2.1 has it, in Node and in browsers.
 *
 * A path proves that a leaf has its place under a root. It does not prove how many leaves there are: for some other
 * sizes the path has the same steps. Size and root belong together only by what tells both, the anchor and the signature.
 */

export const HASH_BYTES = 32;
const NODE_PREFIX = Uint8Array.of(0x01);

/** Says whether the leaf has this place in a tree of that size and root, as RFC 9162 §2.1.3.2 has it step by step. */
export function isIncluded(claim: {
  leaf: Uint8Array;
  leafIndex: number;
  treeSize: number;
  path: readonly Uint8Array[];
  root: Uint8Array;
}): boolean {
  const { leaf, leafIndex, treeSize, path, root } = claim;
  if (!isCount(leafIndex) || !isCount(treeSize) || leafIndex >= treeSize) return false;
  if (![leaf, root, ...path].every(isHash)) return false;
  let fn = leafIndex;
  let sn = treeSize - 1;
  let r = leaf;
  for (const p of path) {
    if (sn === 0) return false;
    if (isOdd(fn) || fn === sn) {
      r = nodeHash(p, r);
      while (!isOdd(fn) && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      r = nodeHash(r, p);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  return sn === 0 && isEqual(r, root);
}

/**
 * Says whether a tree extends an older one, as RFC 9162 §2.1.4.2 has it step by step. The RFC leaves out two: a tree
 * extends itself, by an empty proof; and nothing is shown of a tree without leaves.
 */
export function isConsistent(claim: {
  from: number;
  to: number;
  fromRoot: Uint8Array;
  toRoot: Uint8Array;
  proof: readonly Uint8Array[];
}): boolean {
  const { from, to, fromRoot, toRoot, proof } = claim;
  if (!isCount(from) || !isCount(to) || from < 1 || from > to) return false;
  if (![fromRoot, toRoot, ...proof].every(isHash)) return false;
  if (from === to) return proof.length === 0 && isEqual(fromRoot, toRoot);
  if (proof.length === 0) return false;
  const [first = fromRoot, ...rest] = isPowerOfTwo(from) ? [fromRoot, ...proof] : proof;
  let fn = from - 1;
  let sn = to - 1;
  while (isOdd(fn)) [fn, sn] = [half(fn), half(sn)];
  let fr = first;
  let sr = first;
  for (const c of rest) {
    if (sn === 0) return false;
    if (isOdd(fn) || fn === sn) {
      fr = nodeHash(c, fr);
      sr = nodeHash(c, sr);
      while (!isOdd(fn) && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else {
      sr = nodeHash(sr, c);
    }
    [fn, sn] = [half(fn), half(sn)];
  }
  return sn === 0 && isEqual(fr, fromRoot) && isEqual(sr, toRoot);
}

/** Steps from a leaf up to the root at the most. */
export function heightOf(count: number): number {
  let height = 0;
  while (2 ** height < count) height += 1;
  return height;
}

/** SHA-256(0x01 ‖ left ‖ right). */
export const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array => sha256(NODE_PREFIX, left, right);
const isHash = (bytes: Uint8Array): boolean => bytes.length === HASH_BYTES;
export const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
// by division: the operators on bits know 32 of them only
const isOdd = (value: number): boolean => value % 2 === 1;
const half = (value: number): number => Math.floor(value / 2);
export const isPowerOfTwo = (count: number): boolean => 2 ** heightOf(count) === count;
