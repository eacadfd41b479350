import { MemoryLedger } from '../adapters/memory-ledger';
import { MemoryLedgerSink, MemoryPlace, type MemorySinkOptions } from '../adapters/sinks/memory';
import { advanceSink, releaseSink, type SinkParts } from '../application/advance-sink';
import { closeBatch } from '../application/close-batches';
import { retryDelay } from '../domain/delivery';
import { chunkOf, storedUsage } from './support/samples';

const START = Date.parse('2026-11-25T10:00:00.000Z');
const CHAIN = ['submitted', 'mined', 'finalized'] as const;

/** A ledger of so many batches with a record each, and a sink that processes take steps of. */
async function world(batches: number, options: MemorySinkOptions = {}) {
  const store = new MemoryLedger();
  const clock = { ms: 0 };
  const now = () => new Date(START + clock.ms);
  const ids: string[] = [];
  async function close(): Promise<void> {
    const { chunk, usages } = chunkOf([await storedUsage()], now());
    await store.insert(chunk, usages);
    await closeBatch({ store, limits: { count: 1, bytes: 1, ageMs: 1 }, now });
    ids.push(usages[0]!.record.id);
  }
  for (let batch = 0; batch < batches; batch += 1) await close();
  const place = new MemoryPlace();
  const parts = (holder: string, sink = new MemoryLedgerSink(place, options)): SinkParts => ({
    sink,
    store,
    ledger: store,
    holder,
    leaseMs: 30_000,
    idleMs: 500,
    backOff: { firstMs: 1_000, capMs: 8_000 },
    now,
    random: () => 0,
  });
  const stages = async () =>
    Promise.all(ids.map(async (_, index) => (await store.delivery('memory', index + 1))?.delivery.stage));
  return { store, clock, close, place, parts, ids, stages, step: (holder = 'one') => advanceSink(parts(holder)) };
}

describe('a step of a sink', () => {
  it('when nothing is closed, then nothing is written, and it looks again after a while', async () => {
    const { step, store } = await world(0);
    expect(await step()).toMatchObject({ nextMs: 500, advanced: [], error: null });
    expect(await store.state('memory')).toEqual({ value: null, version: null });
  });

  it('when batches wait, then it begins as many as fit its window, and goes on when they are done', async () => {
    const { step, place, stages } = await world(3, { window: 2 });
    expect(await step()).toMatchObject({ nextMs: 0, advanced: [{ batchId: 1 }, { batchId: 2 }] });
    expect(await stages()).toEqual(['delivered', 'delivered', undefined]);
    await step();
    expect(await stages()).toEqual(['delivered', 'delivered', 'delivered']);
    expect([...place.batches.keys()]).toEqual([1, 2, 3]);
    expect(await step()).toMatchObject({ nextMs: 500, advanced: [] });
  });

  it('when mined batches wait for their end, then they hold up no others', async () => {
    const { step, stages } = await world(3, { window: 1, stages: CHAIN });
    for (const expected of [
      ['submitted', undefined, undefined],
      ['mined', undefined, undefined],
      ['finalized', 'submitted', undefined],
    ]) {
      await step();
      expect(await stages()).toEqual(expected);
    }
  });

  it('when the sink is in trouble, then it backs off, longer each time, and says why', async () => {
    const { step, clock, place, stages } = await world(1);
    place.down = true;
    expect(await step()).toMatchObject({
      nextMs: 1_000,
      error: 'the place in memory is switched off',
      failedBefore: false,
    });
    expect(await step()).toMatchObject({ nextMs: 500, error: null, advanced: [] });
    clock.ms += 1_000;
    expect(await step()).toMatchObject({ nextMs: 2_000, failedBefore: true });
    clock.ms += 2_000;
    place.down = false;
    expect(await step()).toMatchObject({ error: null, failedBefore: true });
    expect(await stages()).toEqual(['delivered']);
  });

  it('when the sink asks for a longer pause than the back-off, then it gets it', async () => {
    const { step, place } = await world(1);
    Object.assign(place, { down: true, retryAfterMs: 60_000 });
    expect(await step()).toMatchObject({ nextMs: 60_000 });
  });

  it('when a record is refused, then it is a dead letter with the reason, and the batch goes on', async () => {
    const { step, place, store, ids, stages } = await world(1);
    place.refuses.add(ids[0]!);
    expect(await step()).toMatchObject({ refused: 1 });
    expect(await stages()).toEqual(['delivered']);
    expect(await store.listDeadLetters({}, { limit: 10 })).toMatchObject([
      { reason: 'sink.refused', eventId: ids[0], refusedBy: { sink: 'memory', batchId: 1 } },
    ]);
  });

  it('when the sink is at another place than before, then it begins with the first batch again, once nobody works for the old one', async () => {
    const { step, parts, store } = await world(2);
    await step();
    const elsewhere = new MemoryPlace();
    const moved = Object.assign(new MemoryLedgerSink(elsewhere), { place: 'elsewhere' });
    await advanceSink(parts('two', moved));
    expect(elsewhere.batches.size).toBe(0);
    await releaseSink(parts('one'));
    await advanceSink(parts('two', moved));
    expect([...elsewhere.batches.keys()]).toEqual([1, 2]);
    expect((await store.state('memory')).value).toMatchObject({ place: 'elsewhere', begun: 2 });
  });
});

describe('the lease of a sink', () => {
  it('when one process holds it, then another makes no step until it ends or is given up', async () => {
    const { step, place, close, clock, parts } = await world(1);
    await step('one');
    await close();
    expect(await step('two')).toMatchObject({ advanced: [], nextMs: 500 });
    expect(place.batches.size).toBe(1);
    await releaseSink(parts('two'));
    expect(await step('two')).toMatchObject({ advanced: [] });
    await releaseSink(parts('one'));
    expect(await step('two')).toMatchObject({ advanced: [{ batchId: 2 }] });
    await close();
    clock.ms += 30_001;
    expect(await step('one')).toMatchObject({ advanced: [{ batchId: 3 }] });
  });

  it('when a step outlives its lease and another took over, then what it came to is not written', async () => {
    const { step, parts, store, clock, stages } = await world(1, { stages: CHAIN });
    const slow = new MemoryLedgerSink(new MemoryPlace(), { stages: CHAIN });
    const stepOf = slow.step.bind(slow);
    slow.step = async (open, stepParts) => {
      const result = await stepOf(open, stepParts);
      clock.ms += 30_001;
      await step('two');
      await step('two');
      return result;
    };
    expect(await advanceSink(parts('one', slow))).toMatchObject({ advanced: [] });
    expect(await stages()).toEqual(['mined']);
    expect((await store.state('memory')).value?.lease?.holder).toBe('two');
  });

  it('when it is half over, then its holder renews it', async () => {
    const { step, close, clock, store } = await world(1, { stages: CHAIN });
    await step();
    const until = async () => (await store.state('memory')).value?.lease?.until;
    const first = await until();
    clock.ms += 10_000;
    await step();
    expect(await until()).toBe(first);
    await close();
    clock.ms += 6_000;
    await step();
    expect(await until()).not.toBe(first);
  });
});

describe('the pause after a failure', () => {
  it('doubles up to the cap, and the jitter takes off up to half', () => {
    const backOff = { firstMs: 1_000, capMs: 8_000 };
    expect([1, 2, 3, 4, 5, 60].map((failures) => retryDelay(failures, backOff, 0))).toEqual([
      1_000, 2_000, 4_000, 8_000, 8_000, 8_000,
    ]);
    expect(retryDelay(2, backOff, 0.999)).toBe(1_001);
  });
});
