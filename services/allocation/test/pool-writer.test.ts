import { ConflictError } from '../../../shared/dapr/sidecar-error';
import { unavailable } from '../../../shared/errors';
import { MemoryPoolStore } from '../adapters/memory-pool-store';
import { PoolWriter } from '../application/pool-writer';
import type { Order, PoolCommand } from '../domain/pool-commands';
import { allocate, NOW, POOL, release } from './support/builders';

const lost = unavailable('state.unavailable', 'no answer within 10000 ms');

async function withPool(total: number) {
  const store = new MemoryPoolStore();
  const commits = jest.spyOn(store, 'commit');
  const writer = new PoolWriter(
    store,
    () => NOW,
    async () => undefined,
  );
  await writer.execute(POOL, { kind: 'open', total, revision: 1 });
  commits.mockClear();
  const inventory = async () => (await store.inventories([POOL]))[0];
  return { store, writer, commits, inventory };
}

/** 'ok' or the error's code, in order. */
async function outcomes(promises: Promise<unknown>[]): Promise<string[]> {
  const settled = await Promise.allSettled(promises);
  return settled.map((result) =>
    result.status === 'fulfilled' ? 'ok' : String((result.reason as { code: unknown }).code),
  );
}

describe('many at once', () => {
  test('200 parallel allocations of 1 from 100: the first 100 get it, the others 409, in few transactions', async () => {
    const { writer, commits, inventory, store } = await withPool(100);
    const results = await outcomes(Array.from({ length: 200 }, () => writer.execute(POOL, allocate())));
    expect(results).toEqual([
      ...Array<string>(100).fill('ok'),
      ...Array<string>(100).fill('allocation.insufficient_capacity'),
    ]);
    expect(await inventory()).toMatchObject({ total: 100, allocated: 100 });
    expect(store.events).toHaveLength(100);
    expect(commits.mock.calls.length).toBeLessThanOrEqual(4);
  });

  test('first come first served: a large one at the front is granted before the small ones behind it', async () => {
    const { writer } = await withPool(10);
    const results = await outcomes([8, 1, 5, 1, 1].map((capacity) => writer.execute(POOL, allocate({ capacity }))));
    expect(results).toEqual(['ok', 'ok', 'allocation.insufficient_capacity', 'ok', 'allocation.insufficient_capacity']);
  });

  test('two pools do not wait for each other', async () => {
    const { writer, store } = await withPool(1);
    const other = 'ffffffff-4c0e-4f5e-9a39-5d2a1a6f3c11';
    await writer.execute(other, { kind: 'open', total: 1, revision: 1 });
    const stuck = jest.spyOn(store, 'read').mockImplementationOnce(() => new Promise(() => undefined));
    void writer.execute(POOL, allocate());
    await expect(writer.execute(other, allocate())).resolves.toBeDefined();
    stuck.mockRestore();
  });

  test('beside a transaction a few orders wait for company, and go together', async () => {
    const { store } = await withPool(10);
    const pools = Array.from({ length: 4 }, (_, index) => `ffffffff-4c0e-4f5e-9a39-5d2a1a6f3c${index + 10}`);
    let companyComes: () => void = () => undefined;
    const pause = jest.fn(() => new Promise<void>((resolve) => (companyComes = resolve)));
    const writer = new PoolWriter(store, () => NOW, pause);
    for (const poolId of pools) await writer.execute(poolId, { kind: 'open', total: 1, revision: 1 });
    const reads = jest.spyOn(store, 'read').mockImplementationOnce(() => new Promise(() => undefined));
    void writer.execute(POOL, allocate());
    const others = pools.map((poolId) => writer.execute(poolId, allocate()));
    expect(reads).toHaveBeenCalledTimes(1);
    companyComes();
    expect(await outcomes(others)).toEqual(['ok', 'ok', 'ok', 'ok']);
    expect(reads.mock.calls.map(([{ poolIds }]) => poolIds.length)).toEqual([1, 4]);
    expect(pause).toHaveBeenCalledTimes(1);
  });

  test('orders for many pools that arrive while transactions are under way share the next one', async () => {
    const { writer, commits, store } = await withPool(10);
    const pools = Array.from({ length: 20 }, (_, index) => `ffffffff-4c0e-4f5e-9a39-5d2a1a6f3c${index + 10}`);
    for (const poolId of pools) await writer.execute(poolId, { kind: 'open', total: 1, revision: 1 });
    commits.mockClear();
    await Promise.all(pools.map((poolId) => writer.execute(poolId, allocate())));
    expect(commits.mock.calls.length).toBeLessThanOrEqual(3);
    expect((await store.inventories(pools)).map(({ allocated }) => allocated)).toEqual(Array(20).fill(1));
  });

  test('an order that fails for a reason of its own does not fail those that share its transaction', async () => {
    const { writer, store } = await withPool(10);
    const read = store.read.bind(store);
    const broken = allocate();
    jest.spyOn(store, 'read').mockImplementation(async (wanted) => {
      if (wanted.allocationIds.includes(broken.allocation.id)) throw new Error('a row that cannot be read');
      return read(wanted);
    });
    const results = await Promise.allSettled([
      ...[allocate(), broken, allocate()].map((command) => writer.execute(POOL, command)),
    ]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });

  test('beyond 2,000 waiting, callers are told to come later, and the others are served', async () => {
    const { writer, store } = await withPool(5_000);
    let go: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const read = store.read.bind(store);
    jest.spyOn(store, 'read').mockImplementationOnce(async (...args) => {
      await gate;
      return read(...args);
    });
    const waiting = Array.from({ length: 2_001 }, () => writer.execute(POOL, allocate()));
    await expect(writer.execute(POOL, allocate())).rejects.toMatchObject({
      code: 'allocation.busy',
      kind: 'rate_limited',
      retryAfter: 1,
    });
    go();
    expect(new Set(await outcomes(waiting))).toEqual(new Set(['ok']));
  });

  test('who hangs up before its turn gets nothing; who hangs up during it has got it', async () => {
    const { writer, inventory } = await withPool(10);
    const [during, before] = [new AbortController(), new AbortController()];
    const first = writer.execute(POOL, allocate(), during.signal);
    during.abort();
    let answered = false;
    const answer = () => (answered = true);
    void writer.execute(POOL, allocate(), before.signal).then(answer, answer);
    before.abort();
    const last = writer.execute(POOL, allocate());
    await Promise.all([first, last]);
    expect([(await inventory())?.allocated, answered]).toEqual([2, false]);
  });
});

describe('when the store does not play along', () => {
  test('after a lost race the batch is decided anew on what the winner left', async () => {
    const { writer, store, inventory } = await withPool(3);
    const rival = new PoolWriter(store, () => NOW);
    const read = store.read.bind(store);
    jest.spyOn(store, 'read').mockImplementationOnce(async (...args) => {
      const snapshot = await read(...args);
      await rival.execute(POOL, allocate({ capacity: 2 }));
      return snapshot;
    });
    const results = await outcomes([writer.execute(POOL, allocate()), writer.execute(POOL, allocate())]);
    expect(results).toEqual(['ok', 'allocation.insufficient_capacity']);
    expect((await inventory())?.allocated).toBe(3);
  });

  test('20 conflicts in a row are not the caller’s business', async () => {
    const { writer, store } = await withPool(3);
    store.fail.push(...Array<'conflict'>(20).fill('conflict'));
    await expect(writer.execute(POOL, allocate())).resolves.toBeDefined();
  });

  test('a store that conflicts for ever is a 503 in the end', async () => {
    const { writer, store } = await withPool(3);
    jest.spyOn(store, 'commit').mockRejectedValue(new ConflictError('possible etag mismatch'));
    await expect(writer.execute(POOL, allocate())).rejects.toMatchObject({
      code: 'allocation.contended',
      kind: 'unavailable',
    });
  });

  const cases: [string, () => PoolCommand][] = [
    ['an allocation', () => allocate()],
    ['an allocation under a key', () => allocate({}, { id: 'key', fingerprint: 'a' })],
    ['a resize', () => ({ kind: 'resize', total: 9, revision: 2 })],
    ['a close', () => ({ kind: 'close', revision: 2 })],
  ];
  test.each(cases)(
    '%s whose answer was lost after it was written is done once, and answered',
    async (_name, command) => {
      const { writer, store } = await withPool(10);
      store.fail.push({ writtenButLost: lost });
      await writer.execute(POOL, command());
      const [inventory] = await store.inventories([POOL]);
      const held = await store.listAllocations({ poolId: POOL, limit: 10 });
      expect(held).toHaveLength(inventory!.allocated);
      expect(store.events).toHaveLength(held.length);
    },
  );

  test('a release whose answer was lost is a release', async () => {
    const { writer, store, inventory } = await withPool(10);
    const { madeId: id } = await writer.execute(POOL, allocate());
    store.fail.push({ writtenButLost: lost });
    await expect(writer.execute(POOL, release(id!))).resolves.toMatchObject({ madeId: id });
    expect((await inventory())?.allocated).toBe(0);
    expect(store.events.map(({ type }) => type)).toEqual(['allocation.created', 'allocation.released']);
    await expect(writer.execute(POOL, release(id!))).rejects.toMatchObject({ code: 'allocation.not_found' });
  });

  const group = { kind: 'allocate_group' as const, groupId: 'group', serviceId: 'service', createdBy: 'sub' };
  const ended: [string, Order, string][] = [
    ['under a key', { ...allocate({ id: 'one' }, { id: 'key', fingerprint: 'a' }), poolId: POOL }, 'one'],
    ['without a key', { ...allocate({ id: 'one' }), poolId: POOL }, 'one'],
    ['of a group', { ...group, claims: [{ allocationId: 'one', poolId: POOL, capacity: 1 }] }, 'group'],
  ];
  test.each(ended)(
    'an allocation %s that was written, lost its answer and has ended since is answered, and not made again',
    async (_name, order, answer) => {
      const { store, writer: rival, inventory } = await withPool(10);
      const endIt = async () => void (await rival.execute(POOL, release('one')));
      store.fail.push({ writtenButLost: lost });
      await expect(new PoolWriter(store, () => NOW, endIt).submit(order)).resolves.toMatchObject({ madeId: answer });
      expect((await inventory())?.allocated).toBe(0);
      expect(store.events.map(({ type }) => type)).toEqual(['allocation.created', 'allocation.released']);
    },
  );

  test('an answer that was lost and nothing written: done by the second try', async () => {
    const { writer, store, inventory } = await withPool(10);
    store.fail.push(lost);
    await expect(writer.execute(POOL, allocate())).resolves.toBeDefined();
    expect([(await inventory())?.allocated, store.events.length]).toEqual([1, 1]);
  });

  test('a store that is away fails the batch with 503; the next batch is served', async () => {
    const { writer, store } = await withPool(10);
    store.fail.push(lost, lost);
    // the first one goes alone; the second one is the next batch
    expect(await outcomes([writer.execute(POOL, allocate()), writer.execute(POOL, allocate())])).toEqual([
      'state.unavailable',
      'ok',
    ]);
  });

  test('what changes nothing is not written', async () => {
    const { writer, commits } = await withPool(10);
    await expect(writer.execute(POOL, allocate({ capacity: 11 }))).rejects.toMatchObject({
      code: 'allocation.insufficient_capacity',
    });
    await writer.execute(POOL, { kind: 'open', total: 10, revision: 1 });
    expect(commits).not.toHaveBeenCalled();
  });
});
