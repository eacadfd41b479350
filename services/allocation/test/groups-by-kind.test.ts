import { randomUUID } from 'node:crypto';
import type { Terms } from '../../../shared/contracts/inventory';
import { AppError, unavailable } from '../../../shared/errors';
import { Groups } from '../application/groups';
import { PoolWriter } from '../application/pool-writer';
import { MemoryPoolStore } from '../adapters/memory-pool-store';
import { buildInventory, NOW } from './support/builders';
import { startAllocation, type AllocationServer } from './support/server';

const SHORT = 'allocation.insufficient_capacity';
const any = (capacity: number, kind: object = {}) => ({ resource_type: 'GPU', ...kind, capacity });

describe('claims by kind', () => {
  let server: AllocationServer;
  beforeEach(async () => {
    server = await startAllocation();
  });
  afterEach(() => jest.restoreAllMocks());

  const gpus = (total: number, terms: Partial<Terms> = {}) =>
    server.openPool(total, { resourceType: 'GPU', location: 'here', ...terms });
  const create = (claims: unknown, key?: string) => {
    const sent = server.as('service', 'post', '/allocation_groups');
    return (key === undefined ? sent : sent.set('Idempotency-Key', key)).send({ service_id: server.sub, claims });
  };
  const held = (...pools: string[]) => Promise.all(pools.map((id) => server.allocated(id)));

  test('each goes into one pool that takes it, the best fit beside the others; named pools and kinds go together', async () => {
    const [large, small, far] = [await gpus(10), await gpus(4), await gpus(4, { location: 'far', labels: { a: 'b' } })];
    const cpu = await server.openPool(4, { resourceType: 'CPU' });
    const claims = [
      any(3, { location: 'here' }),
      { resource_pool_id: cpu, capacity: 1 },
      any(1, { labels: { a: 'b' } }),
      any(7),
    ];
    const { body } = await create(claims).expect(201);
    expect(await held(large, small, far, cpu)).toEqual([10, 0, 1, 1]);
    const shown = (await server.as('service', 'get', `/allocation_groups/${body.id}`).expect(200)).body;
    expect(shown.allocations).toHaveLength(4);
    await server.as('service', 'delete', `/allocation_groups/${body.id}`).expect(204);
    expect(await held(large, small, far, cpu)).toEqual([0, 0, 0, 0]);
  });

  test.each([
    [
      'one does not fit',
      [any(4), any(6)],
      409,
      { code: SHORT, requested: 6, available: 5, resource_type: 'GPU', rejected: { [SHORT]: 2 } },
    ],
    ['not all of them fit', [any(3), any(3), any(3)], 409, { code: SHORT, requested: 3, available: 2 }],
    [
      'nobody has such a kind there',
      [any(1), any(1, { location: 'far' })],
      404,
      { code: 'allocation.no_such_kind', resource_type: 'GPU', location: 'far' },
    ],
    [
      'a named pool is unknown',
      [any(1), { resource_pool_id: randomUUID(), capacity: 1 }],
      404,
      { code: 'pool.not_found' },
    ],
  ])('when %s, then nothing is held and nothing is told', async (_story, claims, status, problem) => {
    const pools = [await gpus(5), await gpus(3)];
    expect((await create(claims).expect(status)).body).toMatchObject(problem);
    expect(await held(...pools)).toEqual([0, 0]);
    expect(server.store.events).toEqual([]);
  });

  test('when the chosen pool was taken meanwhile, then another is; nobody hears of it', async () => {
    const [small, large] = [await gpus(4), await gpus(9)];
    const before = await server.store.inventoriesOfKind({ resourceType: 'GPU', labels: [] });
    await create([any(2), any(2)]).expect(201);
    jest.spyOn(server.store, 'inventoriesOfKind').mockResolvedValueOnce(before);
    await create([any(2), any(2)]).expect(201);
    expect(await held(small, large)).toEqual([4, 4]);
  });

  test('when it is taken again and again, then 503 after so many attempts, and nothing is held', async () => {
    const small = await gpus(4);
    const before = await server.store.inventoriesOfKind({ resourceType: 'GPU', labels: [] });
    await create([any(4)]).expect(201);
    const looks = jest.spyOn(server.store, 'inventoriesOfKind').mockResolvedValue(before);
    const answer = await create([any(1)]).expect(503);
    expect([answer.body.code, answer.headers['retry-after']]).toEqual(['allocation.contended', '2']);
    expect(looks).toHaveBeenCalledTimes(20);
    expect(await held(small)).toEqual([4]);
  });

  test('60 at once, half of them in the opposite order: as many as fit, each whole, though all prefer the same pools', async () => {
    const pools = await Promise.all(Array.from({ length: 24 }, () => gpus(1)));
    const cpus = await Promise.all(Array.from({ length: 24 }, () => server.openPool(1, { resourceType: 'CPU' })));
    const claims = [any(1), any(1, { resource_type: 'CPU' })];
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, index) => create(index % 2 ? claims : [...claims].reverse())),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(24);
    expect(answers.filter(({ body }) => body.code === SHORT)).toHaveLength(36);
    expect(await held(...pools, ...cpus)).toEqual(Array(48).fill(1));
  });

  test('a key that was answered has that answer for ever, whether there would be a placement now or not', async () => {
    const pool = await gpus(4);
    const claims = [any(4)];
    const { id } = (await create(claims, 'k').expect(201)).body;
    expect((await create(claims, 'k').expect(201)).body).toEqual({ id });
    expect((await create([any(3)], 'k').expect(422)).body.code).toBe('request.idempotency_key_reused');
    await server.as('service', 'delete', `/allocation_groups/${id}`).expect(204);
    expect((await create(claims, 'k').expect(201)).body).toEqual({ id });
    await server.writer.execute(pool, { kind: 'close', revision: 2 });
    expect((await create(claims, 'k').expect(201)).body).toEqual({ id });
    await create(claims, 'another').expect(404);
  });

  test('the same key many times at once, for the last that there is: one group, one answer', async () => {
    const pool = await gpus(4);
    const answers = await Promise.all(Array.from({ length: 10 }, () => create([any(4)], 'k').expect(201)));
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    expect(await held(pool)).toEqual([4]);
  });

  test('when the store loses its answer, the group is made once', async () => {
    const pool = await gpus(4);
    server.store.fail.push({ writtenButLost: unavailable('state.unavailable', 'no answer') });
    await create([any(2)]).expect(201);
    expect(await held(pool)).toEqual([2]);
    expect(server.store.events).toHaveLength(1);
  });

  const pool = { resource_pool_id: randomUUID() };
  test.each<[string, object, string]>([
    ['neither pool nor kind', { capacity: 1 }, 'body.claims.0'],
    ['pool and kind', { ...any(1), ...pool }, 'body.claims.0'],
    ['pool and place', { ...pool, location: 'here', capacity: 1 }, 'body.claims.0'],
    ['pool and labels', { ...pool, labels: {}, capacity: 1 }, 'body.claims.0'],
    ['place without kind', { location: 'here', capacity: 1 }, 'body.claims.0'],
    ['an empty kind', any(1, { resource_type: '' }), 'body.claims.0.resource_type'],
    ['a kind of 101 letters', any(1, { resource_type: 'x'.repeat(101) }), 'body.claims.0.resource_type'],
    ['a place that is no text', any(1, { location: 5 }), 'body.claims.0.location'],
    ['labels that are a list', any(1, { labels: ['a:b'] }), 'body.claims.0.labels'],
    ['a label without value', any(1, { labels: { a: '' } }), 'body.claims.0.labels.a'],
    ['a label whose key is none', any(1, { labels: { 'a:b': 'c' } }), 'body.claims.0.labels.a:b'],
    [
      '33 labels',
      any(1, { labels: Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`k${n}`, 'v'])) }),
      'body.claims.0.labels',
    ],
    ['half a unit', any(0.5), 'body.claims.0.capacity'],
    ['a field that is not known', any(1, { label: 'a:b' }), 'body.claims.0.label'],
  ])('%s: 400 by the field', async (_story, claim, field) => {
    const { body } = await create([claim]).expect(400);
    expect(body.code).toBe('request.invalid');
    expect(new Set(body.errors.map((fault: { field: string }) => fault.field))).toEqual(new Set([field]));
  });
});

describe('those who choose anew one after the other', () => {
  const taken = new AppError('conflict', SHORT, 'taken meanwhile');
  /** Refuses every group once; then answers, when `gone` does not say that its caller has hung up. */
  function beginGroups(gone: (groupId: string) => boolean) {
    const store = new MemoryPoolStore();
    const seen = new Set<string>();
    const submit = ((order: { groupId: string }) => {
      if (!seen.has(order.groupId)) {
        seen.add(order.groupId);
        return Promise.reject(taken);
      }
      return gone(order.groupId) ? new Promise(() => undefined) : Promise.resolve(order.groupId);
    }) as PoolWriter['submit'];
    let ids = 0;
    return { store, groups: new Groups(store, { submit } as PoolWriter, () => `id-${(ids += 1)}`) };
  }
  const request = (signal?: AbortSignal) => ({
    serviceId: randomUUID(),
    createdBy: randomUUID(),
    claims: [{ kind: { resourceType: 'GPU', labels: [] }, capacity: 1 }],
    ...(signal && { signal }),
  });
  const openOne = (store: MemoryPoolStore) =>
    jest
      .spyOn(store, 'inventoriesOfKind')
      .mockResolvedValue([{ ...buildInventory({ resourceType: 'GPU' }), state: 'open' }]);

  test('30 at the same moment for 25 pools that are all alike: each finds one until there is none', async () => {
    const store = new MemoryPoolStore();
    const writer = new PoolWriter(
      store,
      () => NOW,
      async () => undefined,
    );
    const pools = Array.from({ length: 25 }, () => randomUUID());
    for (const poolId of pools)
      await writer.execute(poolId, { kind: 'open', resourceType: 'GPU', total: 1, revision: 1 });
    const groups = new Groups(store, writer, randomUUID);
    const results = await Promise.allSettled(Array.from({ length: 30 }, () => groups.allocate(request())));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(25);
    const refused = results.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
    expect(refused).toMatchObject(Array(5).fill({ code: SHORT, facts: { available: 0, rejected: { [SHORT]: 25 } } }));
  });

  test('one whose caller hangs up in its turn does not hold up the next', async () => {
    const { store, groups } = beginGroups((groupId) => groupId === 'id-1');
    openOne(store);
    const hangUp = new AbortController();
    const [first, second] = [groups.allocate(request(hangUp.signal)), groups.allocate(request())];
    const ended = expect(first).rejects.toMatchObject({ code: 'allocation.contended' });
    setTimeout(() => hangUp.abort(), 20);
    await ended;
    expect(await second).toBe('id-3');
  });

  test('beyond 500 they are told to come later', async () => {
    const { store, groups } = beginGroups(() => true);
    openOne(store);
    const refused: unknown[] = [];
    for (let index = 0; index < 503; index += 1) groups.allocate(request()).catch((error) => refused.push(error));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(refused).toMatchObject(Array(3).fill({ code: 'allocation.contended', retryAfter: 2 }));
  });
});
