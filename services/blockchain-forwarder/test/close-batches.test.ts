import { MemoryLedger } from '../adapters/memory-ledger';
import { closeBatch } from '../application/close-batches';
import { dueChunks, ZERO_ROOT, type BatchLimits } from '../domain/batch';
import { merkleTree, rootOf } from '../domain/merkle';
import { chunkOf, storedUsage } from './support/samples';

const START = Date.parse('2026-11-25T10:00:00.000Z');
const LIMITS: BatchLimits = { count: 4, bytes: 10_000, ageMs: 5_000 };

/** A ledger with a clock that the test moves; each number is a chunk of so many records. */
async function ledgerWith(...chunks: number[]) {
  const store = new MemoryLedger();
  const clock = { seconds: 0 };
  const now = () => new Date(START + clock.seconds * 1_000);
  const added = [];
  for (const count of chunks) {
    const usages = await Promise.all(Array.from({ length: count }, () => storedUsage()));
    const chunk = chunkOf(usages, now());
    expect(await store.insert(chunk.chunk, chunk.usages)).toBe(true);
    added.push(chunk);
  }
  return { store, clock, added, close: () => closeBatch({ store, limits: LIMITS, now }) };
}

describe('closing a batch', () => {
  it('when less waits than a batch may hold, then it is closed when its oldest record has waited for the age', async () => {
    const { clock, close } = await ledgerWith(1, 2);
    expect(await close()).toBeNull();
    clock.seconds = 4.9;
    expect(await close()).toBeNull();
    clock.seconds = 5;
    expect(await close()).toMatchObject({ batchId: 1, count: 3, firstSequence: 1, previousRoot: ZERO_ROOT });
    expect(await close()).toBeNull();
  });

  it('when the count is reached, then it is closed at once, with whole chunks only', async () => {
    const { close } = await ledgerWith(3, 2, 2);
    expect(await close()).toMatchObject({ batchId: 1, count: 3 });
    expect(await close()).toMatchObject({ batchId: 2, count: 4, firstSequence: 4 });
    expect(await close()).toBeNull();
  });

  it('when a chunk alone is beyond the limits, then it is a batch of its own', async () => {
    const { close } = await ledgerWith(9, 1);
    expect(await close()).toMatchObject({ count: 9 });
    expect(await close()).toBeNull();
  });

  it('when it is closed, then its root is that of its leaves in their order, and it names the root before', async () => {
    const { added, close, store } = await ledgerWith(2, 2, 4);
    const [first, second] = [await close(), await close()];
    const leaves = added.flatMap(({ chunk }) => chunk.entries.map(([, leaf]) => Buffer.from(leaf, 'base64url')));
    const root = (from: number, to: number) => `0x${rootOf(merkleTree(leaves.slice(from, to))).toString('hex')}`;
    expect(first).toMatchObject({ root: root(0, 4) });
    expect(second).toMatchObject({ root: root(4, 8), previousRoot: root(0, 4) });
    expect((await store.head()).value).toMatchObject({ batchId: 2, nextSequence: 9, root: root(4, 8) });
  });

  it('when another closes one at the same time, then one of the two succeeds and the other looks again', async () => {
    const { store, close } = await ledgerWith(4, 4);
    const results = await Promise.all([close(), close()]);
    expect(results.filter((result) => result === 'again')).toHaveLength(1);
    expect(await close()).toMatchObject({ batchId: 2 });
    expect((await store.head()).value.nextSequence).toBe(9);
  });
});

describe('what the next batch takes', () => {
  const chunk = (bytes: number) => ({
    id: 'c',
    receivedAt: new Date(START).toISOString(),
    bytes,
    entries: [['r', 'l']] as const,
  });

  it('when the bytes are reached, then it takes what fits, but always the first', () => {
    const take = (...bytes: number[]) => dueChunks(bytes.map(chunk), false, LIMITS, new Date(START)).length;
    expect(take(9_999)).toBe(0);
    expect(take(10_000)).toBe(1);
    expect(take(6_000, 4_000)).toBe(2);
    expect(take(6_000, 4_001)).toBe(1);
    expect(take(20_000, 1)).toBe(1);
  });

  it('when the count is reached, then it takes what fits, but always the first', () => {
    const ofRecords = (count: number) => ({
      ...chunk(1),
      entries: Array.from({ length: count }, () => ['r', 'l'] as const),
    });
    const take = (...counts: number[]) => dueChunks(counts.map(ofRecords), false, LIMITS, new Date(START)).length;
    const most = LIMITS.count;
    expect([take(most - 1), take(most), take(most - 1, 1), take(most - 1, 2), take(most + 1, 1)]).toEqual([
      0, 1, 2, 1, 1,
    ]);
  });

  it('when more waits than was read, then it is due whatever its age', () => {
    expect(dueChunks([chunk(1)], true, LIMITS, new Date(START))).toHaveLength(1);
    expect(dueChunks([], true, LIMITS, new Date(START))).toHaveLength(0);
  });
});
