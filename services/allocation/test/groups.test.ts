import { randomUUID } from 'node:crypto';
import { unavailable } from '../../../shared/errors';
import { startAllocation, type AllocationServer } from './support/server';

describe('allocation groups', () => {
  let server: AllocationServer;
  let large: string;
  let small: string;

  beforeEach(async () => {
    server = await startAllocation();
    large = await server.openPool(10);
    small = await server.openPool(2);
  });

  const create = (claims: unknown, key?: string) => {
    const sent = server.as('service', 'post', '/allocation_groups');
    return (key === undefined ? sent : sent.set('Idempotency-Key', key)).send({ service_id: server.sub, claims });
  };
  const claim = (resource_pool_id: string, capacity: number) => ({ resource_pool_id, capacity });
  const held = () => Promise.all([large, small].map((id) => server.allocated(id)));
  const group = (method: 'get' | 'delete', id: string) => server.as('service', method, `/allocation_groups/${id}`);

  test('when all claims fit, then all are held, shown together, and released together', async () => {
    const { body, headers } = await create([claim(large, 4), claim(small, 2), claim(large, 1)]).expect(201);
    expect(headers['location']).toBe(`/allocation_groups/${body.id}`);
    expect(await held()).toEqual([5, 2]);
    const shown = (await group('get', body.id).expect(200)).body;
    expect(shown).toMatchObject({ id: body.id, service_id: server.sub });
    const units = shown.allocations.map((one: { allocated_capacity: number }) => one.allocated_capacity);
    expect(units.sort()).toEqual([1, 2, 4]);
    expect(shown.allocations[0].allocation_group_id).toBe(body.id);
    await group('delete', body.id).expect(204);
    expect(await held()).toEqual([0, 0]);
    expect((await group('get', body.id).expect(404)).body.code).toBe('group.not_found');
    expect((await group('delete', body.id).expect(404)).body.code).toBe('group.not_found');
    expect(server.store.events.filter(({ type }) => type === 'allocation.released')).toHaveLength(3);
  });

  test.each([
    ['the last does not fit', () => [claim(large, 4), claim(small, 3)], 'allocation.insufficient_capacity'],
    [
      'together they do not fit',
      () => [claim(small, 1), claim(small, 1), claim(small, 1)],
      'allocation.insufficient_capacity',
    ],
    ['a pool is unknown', () => [claim(large, 4), claim(randomUUID(), 1)], 'pool.not_found'],
  ])('when %s, then nothing is held and nothing is told', async (_story, claims, code) => {
    const told = server.store.events.length;
    const answer = await create(claims());
    expect([answer.status, answer.body.code]).toEqual([code === 'pool.not_found' ? 404 : 409, code]);
    expect(await held()).toEqual([0, 0]);
    expect(server.store.events).toHaveLength(told);
  });

  test('the same key again is the same group; with other claims it is refused', async () => {
    const first = (await create([claim(large, 1), claim(small, 1)], 'k').expect(201)).body;
    expect((await create([claim(large, 1), claim(small, 1)], 'k').expect(201)).body).toEqual(first);
    await create([claim(large, 2)], 'k').expect(422);
    expect(await held()).toEqual([1, 1]);
  });

  test.each(['created', 'released'])(
    'when the store loses its answer while a group is %s, it is so once',
    async (what) => {
      const lose = () => server.store.fail.push({ writtenButLost: unavailable('state.unavailable', 'no answer') });
      if (what === 'created') lose();
      const { id } = (await create([claim(large, 4), claim(small, 2)]).expect(201)).body;
      expect(await held()).toEqual([4, 2]);
      if (what === 'released') lose();
      await group('delete', id).expect(204);
      expect(await held()).toEqual([0, 0]);
      expect(server.store.events).toHaveLength(4);
    },
  );

  test('two that name the same pools in opposite order never wait for each other', async () => {
    const orders = Array.from({ length: 20 }, (_, index) =>
      create(index % 2 ? [claim(large, 1), claim(small, 1)] : [claim(small, 1), claim(large, 1)]),
    );
    const statuses = (await Promise.all(orders)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 201)).toHaveLength(2);
    expect(statuses.filter((status) => status === 409)).toHaveLength(18);
    expect(await held()).toEqual([2, 2]);
  });

  test('a member that was released by itself is no longer shown, and the rest is released with the group', async () => {
    const { id } = (await create([claim(large, 4), claim(small, 2)]).expect(201)).body;
    const [member] = (await group('get', id)).body.allocations;
    const path = `/resource_pools/${member.resource_pool_id}/allocations/${member.id}`;
    await server.as('service', 'delete', path).expect(204);
    expect((await group('get', id).expect(200)).body.allocations).toHaveLength(1);
    await group('delete', id).expect(204);
    expect(await held()).toEqual([0, 0]);
  });

  test.each([
    ['no claims', []],
    ['33 claims', Array.from({ length: 33 }, () => claim(randomUUID(), 1))],
    ['a claim of nothing', [claim(randomUUID(), 0)]],
    ['a field that is not known', [{ ...claim(randomUUID(), 1), lease_seconds: 5 }]],
    ['no list', 'all'],
  ])('%s: 400 by the field', async (_story, claims) => {
    const { body } = await create(claims).expect(400);
    expect(body.code).toBe('request.invalid');
    expect(body.errors[0].field).toMatch(/^body\.claims/);
  });
});
