import { randomUUID } from 'node:crypto';
import type { Batch, Chunk } from '../domain/batch';
import { newSinkState, type Delivery } from '../domain/delivery';
import { appended } from '../domain/ledger-tree';
import { merkleTree, rootOf } from '../domain/merkle';
import type { StoredUsage } from '../domain/usage-record';
import type { LedgerStore } from '../ports/ledger-store';
import type { SinkStore } from '../ports/sink-store';
import type { UsageStore } from '../ports/usage-store';
import { chunkOf, storedUsage } from './support/samples';

export interface Stores {
  usage: UsageStore;
  ledger: LedgerStore;
  sinks: SinkStore;
}

const EVERYTHING = { count: 100_000, bytes: 100_000_000 };

/**
 * What every store of the ledger keeps to: ports/ledger-store.ts and ports/sink-store.ts. A running system may use the
 * same store meanwhile, and close the batches of these tests: so they look for what came about, not for who did it.
 */
export function describeLedgerStores(name: string, current: () => Stores): void {
  const usages = async (count: number) => Promise.all(Array.from({ length: count }, () => storedUsage()));

  async function insert(count: number): Promise<{ chunk: Chunk; usages: StoredUsage[] }> {
    const chunk = chunkOf(await usages(count));
    expect(await current().usage.insert(chunk.chunk, chunk.usages)).toBe(true);
    return chunk;
  }

  async function close(chunks: readonly Chunk[], version?: string | null): Promise<Batch | null> {
    const { ledger } = current();
    const { value: head, version: read } = await ledger.head();
    const leaves = chunks.flatMap(({ entries }) => entries.map(([, leaf]) => Buffer.from(leaf, 'base64url')));
    const batch = {
      batchId: head.batchId + 1,
      root: `0x${rootOf(merkleTree(leaves)).toString('hex')}`,
      firstSequence: head.nextSequence,
      count: leaves.length,
      previousRoot: head.root,
      closedAt: new Date().toISOString(),
    };
    const done = await ledger.close({ batch, chunks, ...(await appended(head, batch)) }, version ?? read);
    return done ? batch : null;
  }

  /** By this test, or by whoever was quicker. */
  async function batchOf({ chunk, usages: [first] }: { chunk: Chunk; usages: StoredUsage[] }): Promise<Batch> {
    const { usage, ledger } = current();
    for (;;) {
      const known = (await usage.get(first!.record.id))?.batch;
      if (known) return known;
      const { chunks } = await ledger.unbatched(EVERYTHING);
      if (chunks.some(({ id }) => id === chunk.id)) await close(chunks);
    }
  }

  describe(`${name} as a ledger store`, () => {
    it('when chunks are taken up, then their records are in the batch in their order, and the ledger goes on from it', async () => {
      const { usage, ledger } = current();
      const before = (await ledger.head()).value;
      const chunk = await insert(3);
      const batch = await batchOf(chunk);
      expect(batch.batchId).toBeGreaterThan(before.batchId);
      expect((await ledger.head()).value.batchId).toBeGreaterThanOrEqual(batch.batchId);
      const entries = await ledger.entries(batch.batchId);
      expect(entries).toHaveLength(batch.count);
      expect(entries.filter(([id]) => chunk.usages.some(({ record }) => record.id === id))).toEqual(
        chunk.chunk.entries,
      );
      const records = await ledger.records(batch.batchId);
      expect(records.map(({ record }) => record.id)).toEqual(entries.map(([id]) => id));
      expect(await ledger.batches([batch.batchId, 4_000_000])).toEqual([batch]);
      const { chunks } = await ledger.unbatched(EVERYTHING);
      expect(chunks.map(({ id }) => id)).not.toContain(chunk.chunk.id);
      for (const each of chunk.usages) expect((await usage.get(each.record.id))?.batch).toEqual(batch);
      const [listed] = await usage.list({ userId: chunk.usages[0]!.record.userId }, { limit: 1 });
      expect(listed).toHaveProperty('batch.batchId');
    });

    it('when the ledger went on since it was read, then no batch is closed on what was read', async () => {
      const chunk = await insert(1);
      await batchOf(chunk);
      const other = await insert(1);
      expect(await close([other.chunk], randomUUID())).toBeNull();
      expect((await batchOf(other)).batchId).toBeGreaterThan(0);
    });

    it('when full subtrees are asked for, then they come in the order asked', async () => {
      const { ledger } = current();
      const first = await batchOf(await insert(1));
      const second = await batchOf(await insert(1));
      const even = first.batchId % 2 === 0 ? first.batchId : second.batchId;
      const nodes = await ledger.nodes([
        { batchId: even, height: 1 },
        { batchId: even, height: 0 },
      ]);
      expect(nodes).toHaveLength(2);
      expect(await ledger.nodes([{ batchId: even, height: 0 }])).toEqual(nodes.slice(1));
    });

    it('when more waits than a batch may hold, then the oldest chunks come, as many as it holds', async () => {
      const { ledger } = current();
      await insert(2);
      await insert(2);
      const { chunks, more } = await ledger.unbatched({ count: 1, bytes: 1 });
      // a running system may have taken them
      expect(chunks.length).toBeLessThanOrEqual(1);
      expect(chunks.length > 0 || !more).toBe(true);
    });
  });

  describe(`${name} as a sink store`, () => {
    let sink: string;
    beforeEach(() => {
      sink = `sink-${randomUUID().slice(0, 8)}`;
    });
    const delivery = (batchId: number, stage: Delivery['stage'] = 'pending'): Delivery => ({
      sink,
      place: 'here',
      batchId,
      stage,
      since: '2026-11-23T10:00:00.000Z',
    });

    it('when a state is written, then only who read it last writes the next', async () => {
      const { sinks } = current();
      expect(await sinks.state(sink)).toEqual({ value: null, version: null });
      const state = newSinkState(sink, 'here');
      expect(await sinks.write(state, null)).toBe(true);
      expect(await sinks.write(state, null)).toBe(false);
      const { value, version } = await sinks.state(sink);
      expect(value).toEqual(state);
      expect(await sinks.write({ ...state, failures: 1 }, version)).toBe(true);
      expect(await sinks.write({ ...state, failures: 2 }, version)).toBe(false);
      expect((await sinks.state(sink)).value).toMatchObject({ failures: 1 });
    });

    it('when deliveries are written, then those not at their end are open, oldest batch first, with batch and progress', async () => {
      const { sinks } = current();
      const [first, second] = [await batchOf(await insert(1)), await batchOf(await insert(1))];
      const state = newSinkState(sink, 'here');
      const deliveries = [
        { delivery: delivery(second.batchId), progress: { nonce: 1 } },
        { delivery: delivery(first.batchId), progress: null },
      ];
      await sinks.write(state, null, { deliveries });
      expect(await sinks.open(sink, 'here', 10)).toEqual([
        { delivery: delivery(first.batchId), batch: first, progress: null },
        { delivery: delivery(second.batchId), batch: second, progress: { nonce: 1 } },
      ]);
      expect(await sinks.open(sink, 'here', 1)).toHaveLength(1);
      expect(await sinks.open(sink, 'elsewhere', 10)).toEqual([]);
      expect((await sinks.backlog())[sink]).toBe(2);
      const { version } = await sinks.state(sink);
      const later = [
        { delivery: delivery(first.batchId, 'delivered'), progress: { receipt: 'r' } },
        { delivery: delivery(second.batchId, 'mined'), progress: null },
      ];
      await sinks.write(state, version, { deliveries: later });
      expect(await sinks.open(sink, 'here', 10)).toEqual([
        { delivery: delivery(second.batchId, 'mined'), batch: second, progress: null },
      ]);
      expect(await sinks.delivery(sink, first.batchId)).toEqual({
        delivery: delivery(first.batchId, 'delivered'),
        progress: { receipt: 'r' },
      });
      expect(await sinks.delivery(sink, 4_000_000)).toBeNull();
    });

    it('when somebody else has the sink, then neither deliveries nor letters are written', async () => {
      const { sinks } = current();
      const batch = await batchOf(await insert(1));
      await sinks.write(newSinkState(sink, 'here'), null);
      const stale = [{ delivery: delivery(batch.batchId), progress: null }];
      expect(await sinks.write(newSinkState(sink, 'here'), randomUUID(), { deliveries: stale })).toBe(false);
      expect(await sinks.delivery(sink, batch.batchId)).toBeNull();
    });

    it('when a record is read, then the deliveries of its batch come with it', async () => {
      const { sinks, usage } = current();
      const chunk = await insert(1);
      const batch = await batchOf(chunk);
      await sinks.write(newSinkState(sink, 'here'), null, {
        deliveries: [{ delivery: delivery(batch.batchId), progress: null }],
      });
      const found = await usage.get(chunk.usages[0]!.record.id);
      expect(found?.deliveries.filter((each) => each.sink === sink)).toEqual([delivery(batch.batchId)]);
    });
  });
}
