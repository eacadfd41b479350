import { randomUUID } from 'node:crypto';
import type { Express } from 'express';
import request, { type Test } from 'supertest';
import { bearer, sidecarHeaders, testApp } from '../../../shared/testing/api';
import { internalRoutes, publicRoutes } from '../http/routes';
import { away, buildRooms, type TestRooms } from './support/builders';

const good = { name: 'gpu-a100', resource_type: 'GPU', total_capacity: 8, location: 'eu-west-1' };
let rooms: TestRooms;
let app: Express;

beforeEach(async () => {
  rooms = buildRooms();
  app = await testApp([...publicRoutes(rooms), ...internalRoutes(rooms)], rooms.logger);
});

function as(role: string, method: 'get' | 'post' | 'put' | 'delete', path: string): Test {
  return request(app)[method](path).set('Authorization', bearer(role));
}

async function create(overrides: Partial<typeof good> = {}): Promise<string> {
  const answer = await as('resource-pool-owner', 'post', '/resource_pools').send({ ...good, ...overrides });
  expect(answer.status).toBe(201);
  return (answer.body as { id: string }).id;
}

/** The bad fields, each once. */
function fields({ body }: request.Response): string[] {
  return [...new Set((body as { errors: { field: string }[] }).errors.map(({ field }) => field))];
}

describe('POST /resource_pools', () => {
  test('makes a pool: 201 with id and Location, and it can be read at once', async () => {
    const answer = await as('resource-pool-owner', 'post', '/resource_pools').send(good);
    expect(answer.status).toBe(201);
    expect(answer.body).toEqual({ id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string });
    expect(answer.headers['location']).toBe(`/resource_pools/${answer.body.id}`);
    const pool = await as('user', 'get', answer.headers['location'] as string);
    expect([pool.status, pool.headers['etag']]).toEqual([200, '"1"']);
    expect(pool.body).toEqual({
      id: answer.body.id,
      ...good,
      labels: {},
      reserved: 0,
      allocation_ratio: 1,
      min_unit: 1,
      max_unit: null,
      step_size: 1,
      state: 'open',
      queue_policy: 'strict',
      capacity: 8,
      allocated_capacity: 0,
      available_capacity: 8,
      waiting_requests: 0,
      drain: null,
      created_at: '2026-11-23T00:00:01.000Z',
      updated_at: '2026-11-23T00:00:01.000Z',
    });
  });

  test('the same Idempotency-Key and body is one pool; another body 422; another caller another key', async () => {
    const token = bearer('resource-pool-owner');
    const send = (body: object, authorization = token) =>
      request(app).post('/resource_pools').set({ authorization, 'Idempotency-Key': 'k-1' }).send(body);
    const answers = await Promise.all(
      [1, 2, 3].map(() => send(good).then(({ status, body }) => `${status} ${body.id}`)),
    );
    expect(new Set(answers).size).toBe(1);
    const other = await send({ ...good, total_capacity: 9 });
    expect([other.status, other.body.code]).toEqual([422, 'request.idempotency_key_reused']);
    await send({ ...good, total_capacity: 9 }, bearer('resource-pool-owner')).expect(201);
    expect((await as('user', 'get', '/resource_pools')).body).toHaveLength(2);
  });

  test('when allocation is away, then 503 with Retry-After, and there is no pool', async () => {
    rooms.inventories.away.push({ error: away(), takesEffect: false });
    const answer = await as('resource-pool-owner', 'post', '/resource_pools').send(good);
    expect([answer.status, answer.headers['retry-after'], answer.body.code]).toEqual([
      503,
      '2',
      'allocation.unavailable',
    ]);
    expect((await as('user', 'get', '/resource_pools')).body).toEqual([]);
  });

  const bad: [string, object, string[]][] = [
    ['nothing', {}, ['body.name', 'body.resource_type', 'body.total_capacity', 'body.location']],
    ['a control character in the name', { ...good, name: 'a\u0000b' }, ['body.name']],
    ['a line break in the location', { ...good, location: 'a\nb' }, ['body.location']],
    ['a name of 10,000 characters', { ...good, name: 'a'.repeat(10_000) }, ['body.name']],
    ['an empty name', { ...good, name: '' }, ['body.name']],
    ['a resource type of blanks', { ...good, resource_type: '  ' }, ['body.resource_type']],
    ['a capacity of zero', { ...good, total_capacity: 0 }, ['body.total_capacity']],
    ['a capacity below zero', { ...good, total_capacity: -4 }, ['body.total_capacity']],
    ['half a unit', { ...good, total_capacity: 0.5 }, ['body.total_capacity']],
    ['more units than a number can count', { ...good, total_capacity: 2 ** 53 }, ['body.total_capacity']],
    ['a number for a name', { ...good, name: 5 }, ['body.name']],
    ['fields of the answer', { ...good, available_capacity: 8 }, ['body.available_capacity']],
  ];
  test.each(bad)('with %s: 400 that names each field, and nothing is written', async (_name, body, expected) => {
    const answer = await as('resource-pool-owner', 'post', '/resource_pools').send(body);
    expect([answer.status, answer.body.code, fields(answer)]).toEqual([400, 'request.invalid', expected]);
    expect(rooms.inventories.kept.size).toBe(0);
  });
});

describe('GET /resource_pools/{pool_id}', () => {
  test('shows what is free now', async () => {
    const id = await create();
    rooms.inventories.allocate(id, 5);
    const { body } = await as('user', 'get', `/resource_pools/${id}`);
    expect([body.total_capacity, body.available_capacity]).toEqual([8, 3]);
  });

  test('one that does not exist: 404; an id that is no UUID: 400', async () => {
    const unknown = await as('user', 'get', `/resource_pools/${randomUUID()}`);
    expect([unknown.status, unknown.body.code]).toEqual([404, 'pool.not_found']);
    const malformed = await as('admin', 'get', '/resource_pools/x');
    expect([malformed.status, fields(malformed)]).toEqual([400, ['params.pool_id']]);
  });
});

describe('GET /resource_pools', () => {
  async function pages(path: string): Promise<string[][]> {
    const found: string[][] = [];
    for (let next: string | undefined = path; next !== undefined;) {
      const answer: request.Response = await as('user', 'get', next).expect(200);
      found.push((answer.body as { name: string }[]).map(({ name }) => name));
      next = /^<(.*)>; rel="next"$/.exec(answer.headers['link'] ?? '')?.[1];
    }
    return found;
  }

  test('filters by name, type and location, and pages by Link to a last page without one', async () => {
    for (const [index, name] of ['a', 'b', 'c', 'd', 'e'].entries()) {
      await create({
        name,
        resource_type: index % 2 ? 'CPU' : 'GPU',
        location: name === 'e' ? 'here & there' : 'here',
      });
    }
    expect(await pages('/resource_pools')).toEqual([['a', 'b', 'c', 'd', 'e']]);
    expect(await pages('/resource_pools?limit=2')).toEqual([['a', 'b'], ['c', 'd'], ['e']]);
    expect(await pages('/resource_pools?limit=1&resource_type=GPU&location=here')).toEqual([['a'], ['c']]);
    expect(await pages(`/resource_pools?location=${encodeURIComponent('here & there')}`)).toEqual([['e']]);
    expect(await pages('/resource_pools?name=nobody')).toEqual([[]]);
  });

  test.each([
    ['limit=0', 'query.limit'],
    ['limit=1001', 'query.limit'],
    ['cursor=x', 'query.cursor'],
    ['name=', 'query.name'],
    ['colour=red', 'query.colour'],
    ['name=a&name=b', 'query.name'],
  ])('?%s: 400 that names it', async (query, field) => {
    const answer = await as('user', 'get', `/resource_pools?${query}`);
    expect([answer.status, fields(answer)]).toEqual([400, [field]]);
  });

  test('when allocation is away, then 503: numbers that are not known are not made up', async () => {
    await create();
    rooms.inventories.away.push({ error: away(), takesEffect: false });
    await as('user', 'get', '/resource_pools').expect(503);
  });
});

describe('PUT /resource_pools/{pool_id}', () => {
  test('changes all of it: 200 with the pool and its new ETag', async () => {
    const id = await create();
    const changed = { name: 'cpu', resource_type: 'CPU', total_capacity: 16, location: 'us' };
    const answer = await as('resource-pool-owner', 'put', `/resource_pools/${id}`).set('If-Match', '"1"').send(changed);
    expect([answer.status, answer.headers['etag']]).toEqual([200, '"2"']);
    expect(answer.body).toMatchObject({ id, ...changed, available_capacity: 16 });
    expect(answer.body.updated_at > answer.body.created_at).toBe(true);
  });

  test('with an If-Match that is no longer true: 412 with the present ETag, and nothing changes', async () => {
    const id = await create();
    await as('admin', 'put', `/resource_pools/${id}`)
      .send({ ...good, name: 'first' })
      .expect(200);
    const answer = await as('admin', 'put', `/resource_pools/${id}`)
      .set('If-Match', '"1"')
      .send({ ...good, name: 'second' });
    expect([answer.status, answer.body.code, answer.body.current_etag]).toEqual([
      412,
      'request.precondition_failed',
      '"2"',
    ]);
    expect((await as('user', 'get', `/resource_pools/${id}`)).body.name).toBe('first');
  });

  test('below what is allocated: 409 with both numbers, and name and ETag stay too', async () => {
    const id = await create();
    rooms.inventories.allocate(id, 5);
    const answer = await as('admin', 'put', `/resource_pools/${id}`).send({ ...good, name: 'new', total_capacity: 4 });
    expect([answer.status, answer.body.code, answer.body.allocated]).toEqual([409, 'pool.capacity_below_allocated', 5]);
    const pool = await as('user', 'get', `/resource_pools/${id}`);
    expect([pool.body.name, pool.body.total_capacity, pool.headers['etag']]).toEqual(['gpu-a100', 8, '"1"']);
  });

  test('a part of the body: 400 that names what is missing; an unknown pool: 404', async () => {
    const id = await create();
    const answer = await as('admin', 'put', `/resource_pools/${id}`).send({ name: 'new' });
    expect([answer.status, fields(answer)]).toEqual([
      400,
      ['body.resource_type', 'body.total_capacity', 'body.location'],
    ]);
    await as('admin', 'put', `/resource_pools/${randomUUID()}`).send(good).expect(404);
  });
});

describe('DELETE /resource_pools/{pool_id}', () => {
  test('204, and then it is gone from everywhere', async () => {
    const id = await create();
    await as('resource-pool-owner', 'delete', `/resource_pools/${id}`).set('If-Match', '"1"').expect(204, '');
    await as('user', 'get', `/resource_pools/${id}`).expect(404);
    await as('admin', 'delete', `/resource_pools/${id}`).expect(404);
    expect((await as('user', 'get', '/resource_pools')).body).toEqual([]);
  });

  test('in use: 409 with what is allocated; with an old ETag: 412; and it is still there', async () => {
    const id = await create();
    rooms.inventories.allocate(id, 5);
    const used = await as('admin', 'delete', `/resource_pools/${id}`);
    expect([used.status, used.body.code, used.body.allocated]).toEqual([409, 'pool.in_use', 5]);
    rooms.inventories.allocate(id, 0);
    await as('admin', 'delete', `/resource_pools/${id}`).set('If-Match', '"0"').expect(412);
    await as('user', 'get', `/resource_pools/${id}`).expect(200);
  });
});

describe('who may', () => {
  test.each([
    ['user', 'post', 403],
    ['service', 'post', 403],
    ['user', 'get', 200],
    ['service', 'get', 200],
    ['nobody', 'get', 403],
    ['admin', 'post', 201],
  ] as const)('%s, %s: %d', async (role, method, status) => {
    const call = as(role, method, '/resource_pools');
    expect((await (method === 'post' ? call.send(good) : call)).status).toBe(status);
  });
});

describe('GET /internal/resource_pools, for task-runner', () => {
  const find = (headers: Record<string, string>) =>
    request(app).get('/internal/resource_pools?name=local-cpu').set(headers);

  test('finds the pools of a name, oldest first', async () => {
    const [first, second] = [await create({ name: 'local-cpu' }), await create({ name: 'local-cpu' })];
    await create();
    const answer = await find(sidecarHeaders('task-runner'));
    expect(answer.body).toEqual([
      { id: first, name: 'local-cpu' },
      { id: second, name: 'local-cpu' },
    ]);
  });

  test('is closed to everybody else', async () => {
    expect((await find({ authorization: bearer('admin') })).status).toBe(401);
    expect((await find(sidecarHeaders('allocation'))).status).toBe(403);
    expect((await find(sidecarHeaders())).status).toBe(403);
  });
});
