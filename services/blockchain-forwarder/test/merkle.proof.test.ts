// Slow: every place in every tree of up to 70 leaves, each proof forged in each of its parts.
import { createHash, hash } from 'node:crypto';
import fc from 'fast-check';
import { consistencyProof, inclusionPath, merkleTree, rootOf } from '../domain/merkle';
import { isConsistent, isIncluded } from '../domain/merkle-proof';
import { changes, flipped } from './support/forgeries';

const sha256 = (...parts: Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest();
const leafHash = (data: Uint8Array): Buffer => sha256(Buffer.of(0), data);
const known: Buffer[] = [];
function leavesOf(count: number): Buffer[] {
  while (known.length < count) known.push(leafHash(Buffer.from(`leaf ${known.length}`)));
  return known.slice(0, count);
}

/** The definitions of RFC 9162 §2.1, word for word and without any cleverness. */
const model = {
  split: (count: number): number => {
    let k = 1;
    while (k * 2 < count) k *= 2;
    return k;
  },
  root(leaves: Buffer[]): Buffer {
    if (leaves.length === 0) return sha256();
    if (leaves.length === 1) return leaves[0]!;
    const k = model.split(leaves.length);
    return sha256(Buffer.of(1), model.root(leaves.slice(0, k)), model.root(leaves.slice(k)));
  },
  path(index: number, leaves: Buffer[]): Buffer[] {
    if (leaves.length === 1) return [];
    const k = model.split(leaves.length);
    const [left, right] = [leaves.slice(0, k), leaves.slice(k)];
    return index < k
      ? [...model.path(index, left), model.root(right)]
      : [...model.path(index - k, right), model.root(left)];
  },
  /** `l` and `r` for the sides that the hashes of a path are on. */
  sides(index: number, count: number): string {
    if (count === 1) return '';
    const k = model.split(count);
    return index < k ? `${model.sides(index, k)}r` : `${model.sides(index - k, count - k)}l`;
  },
  proof(from: number, leaves: Buffer[], isWhole = true): Buffer[] {
    if (from === leaves.length) return isWhole ? [] : [model.root(leaves)];
    const k = model.split(leaves.length);
    const [left, right] = [leaves.slice(0, k), leaves.slice(k)];
    return from <= k
      ? [...model.proof(from, left, isWhole), model.root(right)]
      : [...model.proof(from - k, right, false), model.root(left)];
  },
};

const SIZES_TO_70 = Array.from({ length: 71 }, (_, size) => size);
const size = fc.integer({ min: 1, max: 200 });
const sizeAndIndex = size.chain((count) => fc.tuple(fc.constant(count), fc.nat(count - 1)));

describe('the test vectors of certificate transparency', () => {
  const inputs = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
  const leaves = inputs.map((hex) => leafHash(Buffer.from(hex, 'hex')));
  const hex = (hashes: Buffer[]): string[] => hashes.map((hash) => hash.toString('hex'));

  it('when a tree grows from nothing to eight leaves, then its roots are the published ones', () => {
    expect(SIZES_TO_70.slice(0, 9).map((count) => rootOf(merkleTree(leaves.slice(0, count))).toString('hex'))).toEqual([
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
      'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
      'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
      '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
      '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
      'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
      '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
    ]);
  });

  it('when paths and proofs are asked for, then they are the published ones', () => {
    const tree = (count: number) => merkleTree(leaves.slice(0, count));
    expect(hex(inclusionPath(tree(8), 0))).toEqual([
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ]);
    expect(hex(inclusionPath(tree(8), 5))).toEqual([
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ]);
    expect(hex(inclusionPath(tree(3), 2))).toEqual([
      'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
    ]);
    expect(hex(consistencyProof(tree(8), 1))).toEqual([
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ]);
    expect(hex(consistencyProof(tree(8), 6))).toEqual([
      '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ]);
    expect(hex(consistencyProof(tree(5), 2))).toEqual([
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    ]);
  });
});

describe('against the definitions of the RFC', () => {
  it('when a tree has any size to 70, then root, every path and every proof are the same, and hold', () => {
    for (const count of SIZES_TO_70) expectAsDefined(leavesOf(count), SIZES_TO_70.slice(0, count));
  });

  it('when size and place are any, then so are they', () => {
    fc.assert(
      fc.property(sizeAndIndex, ([count, index]) => expectAsDefined(leavesOf(count), [index])),
      { numRuns: 50 },
    );
  });

  it('when two leaves are the same, or have changed places, then their places still count', () => {
    const [one, other] = leavesOf(2);
    expect(rootOf(merkleTree([one!, other!]))).not.toEqual(rootOf(merkleTree([other!, one!])));
    expect(rootOf(merkleTree([one!, one!, one!]))).not.toEqual(rootOf(merkleTree([one!, one!])));
  });

  function expectAsDefined(leaves: Buffer[], indices: number[]): void {
    const tree = merkleTree(leaves);
    const root = rootOf(tree);
    expect(root).toEqual(model.root(leaves));
    for (const leafIndex of indices) {
      const path = inclusionPath(tree, leafIndex);
      expect(path).toEqual(model.path(leafIndex, leaves));
      expect(isIncluded({ leaf: leaves[leafIndex]!, leafIndex, treeSize: leaves.length, path, root })).toBe(true);
      const from = leafIndex + 1;
      const proof = consistencyProof(tree, from);
      expect(proof).toEqual(model.proof(from, leaves));
      const fromRoot = rootOf(merkleTree(leaves.slice(0, from)));
      expect(isConsistent({ from, to: leaves.length, fromRoot, toRoot: root, proof })).toBe(true);
    }
  }
});

describe('forged proofs', () => {
  it('when any bit of leaf, path or root is another, or the path is longer or shorter, then the leaf is not included', () => {
    fc.assert(
      fc.property(sizeAndIndex, fc.nat(), ([treeSize, leafIndex], seed) => {
        const claim = inclusionClaim(treeSize, leafIndex);
        expect(isIncluded(claim)).toBe(true);
        expect(isIncluded({ ...claim, leaf: flipped(claim.leaf, seed) })).toBe(false);
        expect(isIncluded({ ...claim, root: flipped(claim.root, seed) })).toBe(false);
        for (const path of changes(claim.path, seed)) expect(isIncluded({ ...claim, path })).toBe(false);
      }),
    );
  });

  it('when the place is another, then the leaf is not there; when the size is, then at most where the path has the same sides', () => {
    fc.assert(
      fc.property(sizeAndIndex, ([treeSize, leafIndex]) => {
        const claim = inclusionClaim(treeSize, leafIndex);
        for (let other = -1; other < treeSize + 3; other++) {
          expect(isIncluded({ ...claim, leafIndex: other })).toBe(other === leafIndex);
        }
        for (let other = 0; other < treeSize * 2 + 3; other++) {
          const isSame = other > leafIndex && model.sides(leafIndex, other) === model.sides(leafIndex, treeSize);
          expect(isIncluded({ ...claim, treeSize: other })).toBe(isSame);
        }
      }),
      { numRuns: 25 },
    );
  });

  it('when any bit of proof or roots is another, or the proof is longer or shorter, then nothing is shown', () => {
    fc.assert(
      fc.property(sizeAndIndex, fc.nat(), ([to, index], seed) => {
        const claim = consistencyClaim(index + 1, to);
        expect(isConsistent(claim)).toBe(true);
        expect(isConsistent({ ...claim, fromRoot: flipped(claim.fromRoot, seed) })).toBe(false);
        expect(isConsistent({ ...claim, toRoot: flipped(claim.toRoot, seed) })).toBe(false);
        for (const proof of changes(claim.proof, seed)) expect(isConsistent({ ...claim, proof })).toBe(false);
      }),
    );
  });

  it('when the older size is another, then nothing is shown; when the newer is, then at most where the proof is as long', () => {
    fc.assert(
      fc.property(sizeAndIndex, ([to, index]) => {
        const claim = consistencyClaim(index + 1, to);
        for (let from = -1; from < to + 3; from++) {
          expect(isConsistent({ ...claim, from })).toBe(from === claim.from);
        }
        for (let other = 0; other < to * 2 + 3; other++) {
          if (!isConsistent({ ...claim, to: other })) continue;
          expect(model.proof(claim.from, leavesOf(other))).toHaveLength(claim.proof.length);
        }
      }),
      { numRuns: 25 },
    );
  });

  it('when history was rewritten, then no proof of the new tree leads back to the old root', () => {
    fc.assert(
      fc.property(sizeAndIndex, fc.nat(), ([to, index], seed) => {
        const from = index + 1;
        const rewritten = leavesOf(to);
        const changed = seed % from;
        rewritten[changed] = flipped(rewritten[changed]!, seed);
        const tree = merkleTree(rewritten);
        const fromRoot = rootOf(merkleTree(leavesOf(from)));
        const proof = consistencyProof(tree, from);
        expect(isConsistent({ from, to, fromRoot, toRoot: rootOf(tree), proof })).toBe(false);
      }),
    );
  });

  it('when numbers are none that count leaves, then there is neither proof nor belief', () => {
    const tree = merkleTree(leavesOf(5));
    const claim = inclusionClaim(5, 2);
    for (const odd of [-1, 0.5, NaN, Infinity, 2 ** 53]) {
      expect(() => inclusionPath(tree, odd)).toThrow(RangeError);
      expect(() => consistencyProof(tree, odd)).toThrow(RangeError);
      expect(isIncluded({ ...claim, leafIndex: odd })).toBe(false);
      expect(isIncluded({ ...claim, treeSize: odd })).toBe(false);
      expect(isConsistent({ ...consistencyClaim(3, 5), from: odd })).toBe(false);
      expect(isConsistent({ ...consistencyClaim(3, 5), to: odd })).toBe(false);
    }
    expect(() => inclusionPath(tree, 5)).toThrow('5 leaves have no 5');
    expect(() => consistencyProof(tree, 6)).toThrow('5 leaves were never 6');
    expect(() => consistencyProof(tree, 0)).toThrow('5 leaves were never 0');
    expect(() => merkleTree([Buffer.alloc(31)])).toThrow('a leaf has 32 bytes');
  });

  function inclusionClaim(treeSize: number, leafIndex: number) {
    const leaves = leavesOf(treeSize);
    const tree = merkleTree(leaves);
    return { leaf: leaves[leafIndex]!, leafIndex, treeSize, path: inclusionPath(tree, leafIndex), root: rootOf(tree) };
  }

  function consistencyClaim(from: number, to: number) {
    const tree = merkleTree(leavesOf(to));
    const fromRoot = rootOf(merkleTree(leavesOf(from)));
    return { from, to, fromRoot, toRoot: rootOf(tree), proof: consistencyProof(tree, from) };
  }
});

describe('how fast', () => {
  const COUNT = 100_000;
  const milliseconds = (work: () => void): number => {
    const start = performance.now();
    work();
    return performance.now() - start;
  };
  const fastest = (work: () => void): number => Math.min(...[1, 2, 3].map(() => milliseconds(work)));

  it(`when ${COUNT} leaves come together, then that costs a few times as many bare SHA-256 at most`, () => {
    const leaves = leavesOf(COUNT);
    const node = Buffer.alloc(65, 1);
    const bare = fastest(() => {
      for (let count = 1; count < COUNT; count++) hash('sha256', node, 'hex');
    });
    const tree = fastest(() => rootOf(merkleTree(leaves)));
    const figures = `${tree.toFixed(0)} ms, bare SHA-256 ${bare.toFixed(0)} ms, ratio ${(tree / bare).toFixed(2)}`;
    process.stdout.write(`tree of ${COUNT} leaves: ${figures}\n`);
    expect(tree / bare).toBeLessThan(10);
  });
});
