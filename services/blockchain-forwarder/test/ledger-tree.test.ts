import { createHash } from 'node:crypto';
import type { Batch } from '../domain/batch';
import { appended, consistency, EMPTY_LEDGER, ledgerRoot, type LedgerHead } from '../domain/ledger-tree';
import { merkleTree, rootOf } from '../domain/merkle';
import { isConsistent } from '../domain/merkle-proof';

const bytes = (hex: string): Buffer => Buffer.from(hex.slice(2), 'hex');
const hash = (text: string): string => `0x${createHash('sha256').update(text).digest('hex')}`;

/** What anybody computes from the contract's events. */
function leafByHand({ batchId, root, firstSequence, count, previousRoot }: Batch): Buffer {
  const json = `{"batchId":${batchId},"count":${count},"firstSequence":${firstSequence},"previousRoot":"${previousRoot}","root":"${root}"}`;
  return createHash('sha256')
    .update(Buffer.from(`\0${json}`))
    .digest();
}

/** @param third what the third batch holds */
async function ledgerOf(size: number, third = 'batch 3') {
  let head: LedgerHead = EMPTY_LEDGER;
  const states = [head];
  const batches: Batch[] = [];
  const nodes: string[][] = [[]];
  for (let batchId = 1; batchId <= size; batchId += 1) {
    const batch = {
      batchId,
      root: hash(batchId === 3 ? third : `batch ${batchId}`),
      firstSequence: head.nextSequence,
      count: batchId,
      previousRoot: head.root,
      closedAt: '2026-11-25T00:00:00.000Z',
    };
    const next = await appended(head, batch);
    head = next.head;
    states.push(head);
    batches.push(batch);
    nodes.push(next.nodes);
  }
  const read = (asked: readonly { batchId: number; height: number }[]) =>
    Promise.resolve(asked.map(({ batchId, height }) => nodes[batchId]?.[height] ?? 'no such node'));
  return { states, batches, nodes, read };
}

describe('the tree over the batches', () => {
  it('when batches are appended, then each state has the root that RFC 9162 gives for all batches so far', async () => {
    const { states, batches } = await ledgerOf(70);
    const leaves = batches.map(leafByHand);
    states.forEach((state, size) => {
      expect(ledgerRoot(state)).toBe(`0x${rootOf(merkleTree(leaves.slice(0, size))).toString('hex')}`);
    });
  });

  it('when batches are appended, then all their nodes together are fewer than two a batch', async () => {
    const { nodes } = await ledgerOf(64);
    expect(nodes.flat()).toHaveLength(127);
  });

  it('when any two states are compared, then the proof shows that the later one extends the earlier', async () => {
    const { states, read } = await ledgerOf(33);
    for (let to = 1; to <= 33; to += 1) {
      for (let from = 1; from <= to; from += 1) {
        const found = await consistency(from, to, read);
        expect(found).toMatchObject({ from, to, fromRoot: ledgerRoot(states[from]!), toRoot: ledgerRoot(states[to]!) });
        const claim = { from, to, fromRoot: bytes(found.fromRoot), toRoot: bytes(found.toRoot) };
        expect(isConsistent({ ...claim, proof: found.proof.map(bytes) })).toBe(true);
      }
    }
  });

  it('when a batch of the past is another one, then nothing proves that the later state extends the earlier', async () => {
    const [honest, forged] = [await ledgerOf(20), await ledgerOf(20, 'forged')];
    for (let from = 3; from < 20; from += 1) {
      const { fromRoot } = await consistency(from, 20, honest.read);
      const { toRoot, proof } = await consistency(from, 20, forged.read);
      const claim = { from, to: 20, fromRoot: bytes(fromRoot), toRoot: bytes(toRoot) };
      expect(isConsistent({ ...claim, proof: proof.map(bytes) })).toBe(false);
    }
  });

  it.each([
    [0, 5],
    [6, 5],
    [1.5, 5],
  ])('when asked from %d to %d, then there never was such a state', async (from, to) => {
    const { read } = await ledgerOf(5);
    await expect(consistency(from, to, read)).rejects.toThrow(RangeError);
  });
});
