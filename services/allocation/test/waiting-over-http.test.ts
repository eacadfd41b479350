import { randomUUID } from 'node:crypto';
import type { Response } from 'supertest';
import { unavailable } from '../../../shared/errors';
import { expireLeases } from '../application/expire-leases';
import { startAllocation, type AllocationServer } from './support/server';

/** Behind every wait of these tests. */
const LATER = '2031-01-01T00:00:00.000Z';

describe('waiting for capacity', () => {
  let server: AllocationServer;
  let poolId: string;
  let holder: string;

  beforeEach(async () => {
    server = await startAllocation();
    poolId = await server.openPool(10);
    holder = String((await create({ capacity: 10 }).expect(201)).body.id);
  });

  const path = (id = '') => `/resource_pools/${poolId}/allocations${id && `/${id}`}`;
  const create = (body: object = {}) =>
    server.as('service', 'post', path()).send({ service_id: randomUUID(), capacity: 4, ...body });
  const wait = (body: object = {}) => create({ wait_seconds: 3_600, ...body });
  const show = (id: string, query = '') => server.as('service', 'get', `/allocation_requests/${id}${query}`);
  const give = (id: string) => server.as('service', 'delete', path(id));
  const events = (id: string) =>
    server.store.events.filter(({ data }) => 'allocation_id' in data && data.allocation_id === id);

  test('what is not there at once: 202 with its Location, where it waits, and why', async () => {
    const serviceId = randomUUID();
    const answer = await wait({ service_id: serviceId, priority: 3, lease_seconds: 60 }).expect(202);
    const { id } = answer.body;
    expect(answer.headers['location']).toBe(`/allocation_requests/${id}`);
    const shown = await show(id).expect(200);
    expect(shown.body).toEqual(answer.body);
    expect(shown.body).toMatchObject({
      resource_pool_id: poolId,
      service_id: serviceId,
      capacity: 4,
      priority: 3,
      lease_seconds: 60,
      status: 'waiting',
      position: 1,
      reason: 'allocation.insufficient_capacity',
    });
    expect(Date.parse(shown.body.expires_at) - Date.parse(shown.body.created_at)).toBe(3_600_000);
    await server.as('service', 'get', path(id)).expect(404);
    expect(events(id)).toEqual([]);
  });

  test('what is there at once is 201, as ever', async () => {
    await give(holder).expect(204);
    const answer = await wait().expect(201);
    expect(answer.headers['location']).toBe(path(answer.body.id));
    expect(await server.allocated(poolId)).toBe(4);
  });

  test('granted in the transaction of the release: the allocation has its id, and a lease until somebody says otherwise', async () => {
    const { id } = (await wait().expect(202)).body;
    await give(holder).expect(204);
    const { body } = await show(id).expect(200);
    expect(body).toMatchObject({ status: 'granted', allocation: { id, allocated_capacity: 4, lease_seconds: 60 } });
    expect(Object.keys(body)).not.toEqual(expect.arrayContaining(['position']));
    expect(events(id).map(({ type }) => type)).toEqual(['allocation.created']);
    await server
      .as('service', 'post', `${path(id)}/renew`)
      .send({ lease_seconds: null })
      .expect(200);
    expect((await show(id)).body.allocation.expires_at).toBeUndefined();
    await give(id).expect(204);
    expect((await show(id).expect(200)).body).toMatchObject({ status: 'granted' });
    expect((await show(id)).body.allocation).toBeUndefined();
  });

  test('granted, and nobody there any more: the lease ends, and nothing has leaked', async () => {
    const { id } = (await wait({ lease_seconds: 1 }).expect(202)).body;
    await give(holder).expect(204);
    await server.as('service', 'get', path(id)).expect(200);
    for (let round = 0; round < 3; round += 1) await expireLeases(server.store, server.writer, LATER);
    expect(await server.allocated(poolId)).toBe(0);
    expect(events(id).map(({ type }) => type)).toEqual(['allocation.created', 'allocation.released']);
  });

  test('?wait holds the answer until something changes: a better place, the grant', async () => {
    const first = (await wait().expect(202)).body.id;
    const second = (await wait().expect(202)).body.id;
    const better = show(second, '?wait=20').then((answer) => answer.body);
    const granted = show(first, '?wait=20').then((answer) => answer.body);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const began = Date.now();
    await give(holder).expect(204);
    expect(await granted).toMatchObject({ status: 'granted' });
    expect(await better).toMatchObject({ status: 'granted' });
    expect(Date.now() - began).toBeLessThan(1_000);
    // what has ended is answered at once
    expect((await show(first, '?wait=20')).body.status).toBe('granted');
  });

  test('?wait with If-None-Match: at once when it has changed since; 304 when nothing does', async () => {
    const id = (await wait().expect(202)).body.id;
    const first = await show(id).expect(200);
    const etag = String(first.headers['etag']);
    await show(id).set('If-None-Match', etag).expect(304);
    // every look at the test's clock is a second
    const same = await show(id, '?wait=3').set('If-None-Match', etag).expect(304);
    expect([same.text, same.headers['etag']]).toEqual(['', etag]);
    await wait({ priority: 1 }).expect(202);
    const changed = await show(id, '?wait=20').set('If-None-Match', etag).expect(200);
    expect(changed.body).toMatchObject({ status: 'waiting', position: 2 });
    expect(changed.headers['etag']).not.toBe(etag);
  });

  test('who is held waiting when the service ends, or the store goes away, has an answer', async () => {
    const id = (await wait().expect(202)).body.id;
    const held = show(id, '?wait=60').then(({ status }) => status);
    await new Promise((resolve) => setTimeout(resolve, 60));
    const read = jest
      .spyOn(server.store, 'read')
      .mockRejectedValueOnce(unavailable('state.unavailable', 'away for a moment'));
    expect(await held).toBe(503);
    read.mockRestore();
    const again = show(id, '?wait=60').then(({ body }) => body.status);
    await new Promise((resolve) => setTimeout(resolve, 60));
    server.stopping.abort();
    expect(await again).toBe('waiting');
  });

  test('DELETE takes it back while it waits, and gives back what it was granted; 204 however often', async () => {
    const [first, second] = [(await wait().expect(202)).body.id, (await wait({ capacity: 9 }).expect(202)).body.id];
    await server.as('service', 'delete', `/allocation_requests/${second}`).expect(204);
    expect((await show(second)).body).toMatchObject({ status: 'cancelled', reason: 'allocation_request.cancelled' });
    await give(holder).expect(204);
    for (let round = 0; round < 2; round += 1) {
      await server.as('service', 'delete', `/allocation_requests/${first}`).expect(204);
      expect(await server.allocated(poolId)).toBe(0);
    }
    expect(events(first).map(({ type }) => type)).toEqual(['allocation.created', 'allocation.released']);
    expect(events(second)).toEqual([]);
  });

  test('whose time is over: expired, and those behind go on', async () => {
    await give(holder).expect(204);
    await create({ capacity: 5 }).expect(201);
    // every look at the test's clock is a second
    const big = (await wait({ capacity: 8, wait_seconds: 3 }).expect(202)).body.id;
    const small = (await wait({ capacity: 1 }).expect(202)).body.id;
    for (let second = 0; second < 3; second += 1) server.now();
    expect((await show(small)).body).toMatchObject({ status: 'waiting', position: 2 });
    await expireLeases(server.store, server.writer, LATER);
    expect((await show(big)).body).toMatchObject({ status: 'expired' });
    expect((await show(small)).body).toMatchObject({ status: 'granted' });
  });

  test('an Idempotency-Key: the request waits once, and the answer is 202 with the same Location also when it was granted', async () => {
    const body = { service_id: randomUUID(), capacity: 4, wait_seconds: 60 };
    const post = () => server.as('service', 'post', path()).set('Idempotency-Key', 'once').send(body);
    const answers: Response[] = await Promise.all([post(), post()]);
    await give(holder).expect(204);
    answers.push(await post());
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 202]);
    expect(new Set(answers.map(({ headers }) => headers['location'])).size).toBe(1);
    expect(answers[2]?.body.status).toBe('granted');
    expect(await server.allocated(poolId)).toBe(4);
    const other = server.as('service', 'post', path()).set('Idempotency-Key', 'once');
    expect((await other.send({ ...body, priority: 1 }).expect(422)).body.code).toBe('request.idempotency_key_reused');
  });

  test('others wait: who does not wait, a group and a task are told so, and hold nothing', async () => {
    await give(holder).expect(204);
    await create({ capacity: 8 }).expect(201);
    await wait({ capacity: 5 }).expect(202);
    const plain = await create({ capacity: 1 }).expect(409);
    expect(plain.body).toMatchObject({ code: 'allocation.others_wait', available: 2, requested: 1, waiting: 1 });
    const group = { service_id: randomUUID(), claims: [{ resource_pool_id: poolId, capacity: 1 }] };
    const refused = await server.as('service', 'post', '/allocation_groups').send(group).expect(409);
    expect(refused.body.code).toBe('allocation.others_wait');
    const task = { id: randomUUID(), resource_pool_id: poolId, service_id: randomUUID(), capacity: 1 };
    const ofTask = { ...task, task_id: randomUUID(), created_by: randomUUID() };
    await server.invokedBy('task-runner', 'post', '/internal/allocations').send(ofTask).expect(409);
    expect(await server.allocated(poolId)).toBe(8);
  });

  test('who waits for a pool, next one first', async () => {
    const [low, high] = [(await wait().expect(202)).body.id, (await wait({ priority: 2 }).expect(202)).body.id];
    const list = `/resource_pools/${poolId}/allocation_requests`;
    const { body } = await server.as('resource-pool-owner', 'get', list).expect(200);
    expect(body.map((one: { id: string; position: number }) => [one.id, one.position])).toEqual([
      [high, 1],
      [low, 2],
    ]);
    const lookup = server.invokedBy('resource-pool', 'post', '/internal/inventories/lookup');
    expect((await lookup.send({ pool_ids: [poolId] }).expect(200)).body).toMatchObject([{ waiting: 2 }]);
    await server.as('user', 'get', list).expect(403);
    const unknown = await server.as('service', 'get', `/resource_pools/${randomUUID()}/allocation_requests`);
    expect([unknown.status, unknown.body.code]).toEqual([404, 'pool.not_found']);
  });

  test('a request that there is not: 404 with its code', async () => {
    for (const method of ['get', 'delete'] as const) {
      const answer = await server.as('service', method, `/allocation_requests/${randomUUID()}`).expect(404);
      expect(answer.body.code).toBe('allocation_request.not_found');
    }
    await server.as('service', 'get', '/allocation_requests/none').expect(400);
  });

  test.each([
    [{ wait_seconds: -1 }, 'body.wait_seconds'],
    [{ wait_seconds: 1.5 }, 'body.wait_seconds'],
    [{ wait_seconds: 86_401 }, 'body.wait_seconds'],
    [{ wait_seconds: '5' }, 'body.wait_seconds'],
    [{ priority: 1_001 }, 'body.priority'],
    [{ priority: 0.5 }, 'body.priority'],
    [{ priority: null }, 'body.priority'],
  ])('%j: 400 request.invalid, nothing waits', async (body, field) => {
    const answer = await create(body).expect(400);
    expect(answer.body).toMatchObject({ code: 'request.invalid', errors: [{ field }] });
    const list = `/resource_pools/${poolId}/allocation_requests`;
    expect((await server.as('service', 'get', list)).body).toEqual([]);
  });

  test.each(['?wait=61', '?wait=-1', '?wait=a', '?weight=1'])('GET with %s: 400', async (query) => {
    const id = (await wait().expect(202)).body.id;
    expect((await show(id, query).expect(400)).body.code).toBe('request.invalid');
  });
});
