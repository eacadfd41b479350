import { randomUUID } from 'node:crypto';
import type request from 'supertest';
import { unavailable } from '../../../shared/errors';
import { bearer } from '../../../shared/testing/api';
import { startAllocation, type AllocationServer } from './support/server';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const serviceId = randomUUID();
let server: AllocationServer;
let poolId: string;
let allocations: string;

beforeEach(async () => {
  server = await startAllocation();
  poolId = await server.openPool();
  allocations = `/resource_pools/${poolId}/allocations`;
});

async function allocate(capacity = 1, headers: Record<string, string> = {}, service = serviceId) {
  return server.as('service', 'post', allocations).set(headers).send({ service_id: service, capacity });
}

describe('POST /resource_pools/{pool_id}/allocations', () => {
  test('takes the capacity: 201 with id and Location, and the event is written with it', async () => {
    const answer = await allocate(40);
    expect([answer.status, answer.body]).toEqual([201, { id: expect.stringMatching(UUID) as string }]);
    expect(answer.headers['location']).toBe(`${allocations}/${answer.body.id}`);
    expect(await server.allocated(poolId)).toBe(40);
    expect(server.store.events).toEqual([
      expect.objectContaining({
        type: 'allocation.created',
        source: '/allocation',
        data: {
          allocation_id: answer.body.id,
          resource_pool_id: poolId,
          service_id: serviceId,
          capacity: 40,
          created_at: expect.any(String) as string,
          created_by: server.sub,
          task_id: null,
        },
      }),
    ]);
  });

  test('the event carries the trace of its own request, however many share the transaction', async () => {
    const traces = Array.from({ length: 5 }, (_, index) => `00-${String(index + 1).repeat(32)}-${'a'.repeat(16)}-01`);
    await Promise.all(traces.map((traceparent) => allocate(1, { traceparent })));
    const told = server.store.events.map((event) => event.traceparent?.slice(3, 35));
    expect(told.sort()).toEqual(traces.map((trace) => trace.slice(3, 35)));
  });

  test('when the pool is full, then 409 with both numbers, and nothing is written', async () => {
    await allocate(99);
    const answer = await allocate(2);
    expect([answer.status, answer.type]).toEqual([409, 'application/problem+json']);
    expect(answer.body).toMatchObject({
      code: 'allocation.insufficient_capacity',
      requested: 2,
      available: 1,
      pool_id: poolId,
    });
    expect([await server.allocated(poolId), server.store.events.length]).toEqual([99, 1]);
  });

  test('in a pool that does not exist: 404', async () => {
    const answer = await server
      .as('service', 'post', `/resource_pools/${randomUUID()}/allocations`)
      .send({ service_id: serviceId, capacity: 1 });
    expect([answer.status, answer.body.code]).toEqual([404, 'pool.not_found']);
  });

  test('the same Idempotency-Key and body is one allocation, also in parallel and whatever the order of fields', async () => {
    const key = { 'Idempotency-Key': 'k-1' };
    const answers = await Promise.all(Array.from({ length: 10 }, () => allocate(5, key)));
    const reordered = await server
      .as('service', 'post', allocations)
      .set(key)
      .send({ capacity: 5, service_id: serviceId });
    expect(new Set([...answers, reordered].map(({ status, body }) => `${status} ${body.id}`)).size).toBe(1);
    expect(await server.allocated(poolId)).toBe(5);
  });

  test('the same Idempotency-Key with another body: 422, and nothing is written', async () => {
    const key = { 'Idempotency-Key': 'k-1' };
    await allocate(5, key);
    const answer = await allocate(6, key);
    expect([answer.status, answer.body.code]).toEqual([422, 'request.idempotency_key_reused']);
    expect(await server.allocated(poolId)).toBe(5);
  });

  test('the same Idempotency-Key of another caller, or for another pool, is another key', async () => {
    const key = { 'Idempotency-Key': 'k-1' };
    await allocate(5, key);
    const body = { service_id: serviceId, capacity: 6 };
    const otherPool = `/resource_pools/${await server.openPool()}/allocations`;
    await server.as('service', 'post', otherPool).set(key).send(body).expect(201);
    await server
      .as('service', 'post', allocations)
      .set(key)
      .set('Authorization', bearer('service'))
      .send(body)
      .expect(201);
    expect(await server.allocated(poolId)).toBe(11);
  });

  test('a key that is no visible ASCII: 400', async () => {
    const answer = await allocate(1, { 'Idempotency-Key': 'a b' });
    expect([answer.status, answer.body.errors[0].field]).toEqual([400, 'header.Idempotency-Key']);
  });

  const good = { service_id: serviceId, capacity: 1 };
  const bad: [string, unknown, string[]][] = [
    ['nothing', {}, ['body.service_id', 'body.capacity']],
    ['a service_id that is no UUID', { ...good, service_id: 'x' }, ['body.service_id']],
    ['zero', { ...good, capacity: 0 }, ['body.capacity']],
    ['less than zero', { ...good, capacity: -1 }, ['body.capacity']],
    ['a fraction', { ...good, capacity: 1.5 }, ['body.capacity']],
    ['a number in quotes', { ...good, capacity: '1' }, ['body.capacity']],
    ['more than 2^53', { ...good, capacity: 2 ** 53 }, ['body.capacity']],
    ['a field that nobody knows', { ...good, lease: 1 }, ['body.lease']],
    ['a list', [good], ['body']],
    ['null', null, ['body']],
  ];
  test.each(bad)('with %s: 400 that names each field, and nothing is written', async (_name, body, fields) => {
    const answer = await server
      .as('service', 'post', allocations)
      .set('Content-Type', 'application/json')
      .send(JSON.stringify(body));
    expect([answer.status, answer.body.code]).toEqual([400, 'request.invalid']);
    expect(answer.body.errors.map(({ field }: { field: string }) => field)).toEqual(fields);
    expect(server.store.events).toEqual([]);
  });

  test('a pool id that is no UUID: 400 that names it', async () => {
    const answer = await server.as('admin', 'post', '/resource_pools/x/allocations').send(good);
    expect([answer.status, answer.body.errors[0].field]).toEqual([400, 'params.pool_id']);
  });

  test('when the store is away, then 503 with Retry-After, and one line that says so', async () => {
    const away = unavailable('state.unavailable', 'The state store does not answer now.');
    jest.spyOn(server.store, 'read').mockRejectedValue(away);
    const answer = await allocate();
    expect([answer.status, answer.headers['retry-after'], answer.body.code]).toEqual([503, '2', 'state.unavailable']);
    expect(server.logger.lines).toContainEqual(expect.objectContaining({ level: 'warn', error: away }));
  });

  test('leaves one line that says who did what to which pool, with which result', async () => {
    await allocate(101);
    expect(server.logger.lines).toContainEqual(
      expect.objectContaining({
        level: 'info',
        activity: 'POST /resource_pools/{pool_id}/allocations',
        who: server.sub,
        resource: allocations,
        result: 'allocation.insufficient_capacity',
        status: 409,
      }),
    );
  });
});

describe('GET /resource_pools/{pool_id}/allocations/{allocation_id}', () => {
  test('shows the allocation', async () => {
    const { body: made } = await allocate(3);
    const answer = await server.as('service', 'get', `${allocations}/${made.id}`);
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      id: made.id,
      resource_pool_id: poolId,
      service_id: serviceId,
      allocated_capacity: 3,
      created_at: expect.stringMatching(/Z$/) as string,
      updated_at: answer.body.created_at,
    });
  });

  test('one that does not exist, was released, or is asked for under another pool: 404', async () => {
    const { body: made } = await allocate();
    const other = await server.openPool();
    for (const path of [`${allocations}/${randomUUID()}`, `/resource_pools/${other}/allocations/${made.id}`]) {
      const answer = await server.as('service', 'get', path);
      expect([answer.status, answer.body.code]).toEqual([404, 'allocation.not_found']);
    }
    await server.as('service', 'delete', `${allocations}/${made.id}`).expect(204);
    await server.as('service', 'get', `${allocations}/${made.id}`).expect(404);
  });
});

describe('DELETE /resource_pools/{pool_id}/allocations/{allocation_id}', () => {
  test('gives the capacity back: 204, and the event tells how long it was held and by whom it was released', async () => {
    const { body: made } = await allocate(3);
    const answer = await server.as('service', 'delete', `${allocations}/${made.id}`);
    expect([answer.status, answer.text]).toEqual([204, '']);
    expect(await server.allocated(poolId)).toBe(0);
    expect(server.store.events[1]).toMatchObject({
      type: 'allocation.released',
      data: { allocation_id: made.id, capacity: 3, duration: 'PT1S', end_reason: 'released', released_by: server.sub },
    });
  });

  test('twice in parallel: once 204, once 404, and the capacity comes back once', async () => {
    await allocate(10);
    const { body: made } = await allocate(3);
    const answers = await Promise.all(
      [1, 2].map(() => server.as('service', 'delete', `${allocations}/${made.id}`).then((a) => a)),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 404]);
    expect(await server.allocated(poolId)).toBe(10);
  });

  test('under another pool: 404, and nothing changes', async () => {
    const { body: made } = await allocate(3);
    const other = await server.openPool();
    await server.as('service', 'delete', `/resource_pools/${other}/allocations/${made.id}`).expect(404);
    expect(await server.allocated(poolId)).toBe(3);
  });
});

describe('GET /resource_pools/{pool_id}/allocations', () => {
  /** The ids on each page, following Link to the last one. */
  async function pages(path: string): Promise<string[][]> {
    const found: string[][] = [];
    for (let next: string | undefined = path; next !== undefined;) {
      const answer: request.Response = await server.as('service', 'get', next).expect(200);
      found.push((answer.body as { id: string }[]).map(({ id }) => id));
      next = /^<(.*)>; rel="next"$/.exec(answer.headers['link'] ?? '')?.[1];
    }
    return found;
  }

  test('pages oldest first by Link, to a last page without one, and keeps the filter', async () => {
    const other = randomUUID();
    const ids: string[] = [];
    for (let index = 0; index < 5; index += 1) {
      ids.push((await allocate()).body.id);
      await allocate(1, {}, other);
    }
    const [one, two, three, four, five] = ids;
    expect(await pages(`${allocations}?limit=2&service_id=${serviceId}`)).toEqual([[one, two], [three, four], [five]]);
    expect((await pages(`${allocations}?limit=5`)).map((page) => page.length)).toEqual([5, 5]);
    expect((await pages(allocations)).map((page) => page.length)).toEqual([10]);
  });

  test('of a pool without allocations is empty, of one that does not exist 404', async () => {
    const answer = await server.as('service', 'get', allocations);
    expect([answer.status, answer.body, answer.headers['link']]).toEqual([200, [], undefined]);
    const unknown = await server.as('service', 'get', `/resource_pools/${randomUUID()}/allocations`);
    expect([unknown.status, unknown.body.code]).toEqual([404, 'pool.not_found']);
  });

  test.each([
    ['limit=0', 'query.limit'],
    ['limit=1001', 'query.limit'],
    ['limit=x', 'query.limit'],
    ['cursor=nonsense', 'query.cursor'],
    ['service_id=x', 'query.service_id'],
    ['sort=size', 'query.sort'],
  ])('?%s: 400 that names it', async (query, field) => {
    const answer = await server.as('service', 'get', `${allocations}?${query}`);
    expect([answer.status, answer.body.errors[0].field]).toEqual([400, field]);
  });
});

describe('who may', () => {
  test.each([
    ['user', 'post', 403],
    ['resource-pool-owner', 'post', 403],
    ['user', 'get', 403],
    ['resource-pool-owner', 'get', 200],
    ['service', 'get', 200],
    ['admin', 'post', 201],
  ] as const)('%s, %s: %d', async (role, method, status) => {
    const call = server.as(role, method, allocations);
    const answer = await (method === 'post' ? call.send({ service_id: serviceId, capacity: 1 }) : call);
    expect(answer.status).toBe(status);
  });
});
