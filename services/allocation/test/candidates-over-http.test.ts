import type { Terms } from '../../../shared/contracts/inventory';
import { startAllocation, type AllocationServer } from './support/server';

describe('GET /allocation_candidates', () => {
  let server: AllocationServer;
  beforeEach(async () => {
    server = await startAllocation();
  });

  const gpus = (total: number, terms: Partial<Terms> = {}) =>
    server.openPool(total, { resourceType: 'GPU', location: 'here', ...terms });
  const take = (poolId: string, capacity: number) =>
    server
      .as('service', 'post', `/resource_pools/${poolId}/allocations`)
      .send({ service_id: server.sub, capacity })
      .expect(201);
  const ask = (query: string) => server.as('service', 'get', `/allocation_candidates?${query}`);
  const found = async (query: string) =>
    (await ask(query).expect(200)).body.candidates.map((one: { resource_pool_id: string }) => one.resource_pool_id);

  test('pools of the kind that take it, the best fit first, as they are; nothing is reserved', async () => {
    const large = await gpus(10, { labels: { team: 'vision' }, allocationRatio: 2 });
    const small = await gpus(6, { reserved: 1 });
    await server.openPool(5, { resourceType: 'CPU' });
    await server.openPool(5);
    await take(large, 3);
    const { body } = await ask('resource_type=GPU&capacity=5').expect(200);
    expect(body).toEqual({
      candidates: [
        { resource_pool_id: small, capacity: 5, available_capacity: 5, location: 'here', labels: {} },
        {
          resource_pool_id: large,
          capacity: 20,
          available_capacity: 17,
          location: 'here',
          labels: { team: 'vision' },
        },
      ],
      rejected: {},
    });
    expect(await found('resource_type=GPU&capacity=5')).toEqual([small, large]);
    expect([await server.allocated(large), await server.allocated(small)]).toEqual([3, 0]);
  });

  test('pools that do not take it now are counted by the code that they would answer with', async () => {
    const full = await gpus(4);
    await take(full, 4);
    await gpus(2);
    await gpus(9, { state: 'cordoned' });
    await gpus(9, { state: 'draining' });
    await gpus(9, { minUnit: 4 });
    await gpus(9, { maxUnit: 2 });
    await gpus(9, { stepSize: 2 });
    const closed = await gpus(9);
    await server.writer.execute(closed, { kind: 'close', revision: 2 });
    const fits = await gpus(3);
    const { body } = await ask('resource_type=GPU&capacity=3').expect(200);
    expect(body.candidates).toMatchObject([{ resource_pool_id: fits }]);
    expect(body.rejected).toEqual({
      'allocation.insufficient_capacity': 2,
      'pool.cordoned': 1,
      'pool.draining': 1,
      'allocation.below_min_unit': 1,
      'allocation.above_max_unit': 1,
      'allocation.not_a_step': 1,
    });
  });

  test('by place and labels; of a kind that nobody has there are none', async () => {
    const both = await gpus(9, { labels: { team: 'vision', tier: 'spot' } });
    const one = await gpus(8, { labels: { team: 'vision' }, location: 'there' });
    expect(await found('resource_type=GPU&capacity=1&label=team:vision')).toEqual([one, both]);
    expect(await found('resource_type=GPU&capacity=1&label=team:vision&label=tier:spot')).toEqual([both]);
    expect(await found('resource_type=GPU&capacity=1&location=there')).toEqual([one]);
    for (const kind of ['TPU&capacity=1', 'GPU&capacity=1&label=team:audio', 'GPU&capacity=1&location=nowhere']) {
      expect((await ask(`resource_type=${kind}`).expect(200)).body).toEqual({ candidates: [], rejected: {} });
    }
  });

  test('limit: the first so many, and of equal ones always the same', async () => {
    const pools = [await gpus(5), await gpus(5), await gpus(5), await gpus(5)].sort();
    expect(await found('resource_type=GPU&capacity=1')).toEqual(pools);
    expect(await found('resource_type=GPU&capacity=1&limit=2')).toEqual(pools.slice(0, 2));
  });

  test.each([
    ['capacity=1', 'query.resource_type'],
    ['resource_type=&capacity=1', 'query.resource_type'],
    ['resource_type=GPU', 'query.capacity'],
    ...['', '0', '-1', '1.5', 'many', '9007199254740992', '1&capacity=2'].map((bad) => [
      `resource_type=GPU&capacity=${bad}`,
      'query.capacity',
    ]),
    ['resource_type=GPU&capacity=1&location=', 'query.location'],
    ['resource_type=GPU&capacity=1&label=team', 'query.label.0'],
    ['resource_type=GPU&capacity=1&label=a:b&label=:', 'query.label.1'],
    ['resource_type=GPU&capacity=1&limit=0', 'query.limit'],
    ['resource_type=GPU&capacity=1&limit=1001', 'query.limit'],
    ['resource_type=GPU&capacity=1&cursor=x', 'query.cursor'],
  ])('%s: 400 by the field %s', async (query, field) => {
    const { body } = await ask(query).expect(400);
    expect(body.code).toBe('request.invalid');
    expect([...new Set(body.errors.map((fault: { field: string }) => fault.field))]).toEqual([field]);
  });

  test('services, owners of pools and administrators may ask; users may not', async () => {
    const status = async (role: string) =>
      (await server.as(role, 'get', '/allocation_candidates?resource_type=GPU&capacity=1')).status;
    const roles = ['service', 'resource-pool-owner', 'admin', 'user'];
    expect(await Promise.all(roles.map(status))).toEqual([200, 200, 200, 403]);
  });
});
