import { createHash } from 'node:crypto';
import { merkleTree, rootOf } from '../domain/merkle';
import { isConsistent, isIncluded } from '../domain/merkle-proof';

describe('proofs forged so that the walk from leaf to root ends where they want it', () => {
  const leaves = ['a', 'b', 'c', 'extra'].map((text) => createHash('sha256').update(text).digest());
  const [a, b, c, extra] = leaves as [Buffer, Buffer, Buffer, Buffer];
  const node = (left: Buffer, right: Buffer): Buffer =>
    createHash('sha256').update(Buffer.of(1)).update(left).update(right).digest();
  const short = a.subarray(1);
  const alone = { leaf: a, leafIndex: 0, treeSize: 1, path: [], root: a };
  const same = { from: 1, to: 1, fromRoot: a, toRoot: a, proof: [] };
  const [root3, root4] = [3, 4].map((count) => rootOf(merkleTree(leaves.slice(0, count)))) as [Buffer, Buffer];

  it.each([
    ['a place behind the last one', { ...alone, leafIndex: 1 }],
    ['a place before the first one', { ...alone, leafIndex: -1 }],
    ['half a place', { ...alone, leafIndex: 0.5 }],
    ['a leaf that is no hash', { ...alone, leaf: short, root: short }],
    ['a step beyond the root', { ...alone, path: [extra], root: node(extra, a) }],
    ['a step that is no hash', { ...alone, treeSize: 2, path: [short], root: node(a, short) }],
  ])('when there is %s, then the leaf is not included', (_what, claim) => {
    expect(isIncluded(alone)).toBe(true);
    expect(isIncluded(claim)).toBe(false);
  });

  it.each([
    ['an older tree of nothing', { ...same, from: 0, to: 0 }],
    ['trees of less than nothing', { ...same, from: -1, to: -1 }],
    ['trees of one leaf and a half', { ...same, from: 1.5, to: 1.5 }],
    ['an older tree that is the larger', { ...same, from: 3, to: 1, proof: [a] }],
    ['roots that are no hashes', { ...same, fromRoot: short, toRoot: short }],
    ['a step that is no hash', { from: 1, to: 2, fromRoot: a, toRoot: node(a, short), proof: [short] }],
    [
      'a step beyond the root',
      {
        from: 3,
        to: 4,
        fromRoot: node(extra, root3),
        toRoot: node(extra, root4),
        proof: [c, extra, node(a, b), extra],
      },
    ],
  ])('when there is %s, then nothing is shown', (_what, claim) => {
    expect(isConsistent(same)).toBe(true);
    expect(isConsistent(claim)).toBe(false);
  });
});
