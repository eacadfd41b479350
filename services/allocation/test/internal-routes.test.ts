import { randomUUID } from 'node:crypto';
import request from 'supertest';
import { bearer } from '../../../shared/testing/api';
import { unavailable } from '../../../shared/errors';
import { taskRequest } from './support/builders';
import { startAllocation, type AllocationServer } from './support/server';

let server: AllocationServer;
beforeEach(async () => {
  server = await startAllocation();
});

const catalogue = (method: 'put' | 'delete' | 'post', path: string) => server.invokedBy('resource-pool', method, path);
const tasks = (method: 'delete' | 'post', path: string) => server.invokedBy('task-runner', method, path);

describe('the inventories, for resource-pool', () => {
  test('open, resize, look up, close: each may be repeated', async () => {
    const poolId = randomUUID();
    for (let twice = 0; twice < 2; twice += 1) {
      await catalogue('put', `/internal/inventories/${poolId}`).send({ total: 10, revision: 1 }).expect(204);
    }
    for (let twice = 0; twice < 2; twice += 1) {
      await catalogue('put', `/internal/inventories/${poolId}/terms`).send({ total: 20, revision: 2 }).expect(204);
    }
    const lookup = await catalogue('post', '/internal/inventories/lookup').send({ pool_ids: [poolId, randomUUID()] });
    expect(lookup.body).toMatchObject([{ pool_id: poolId, total: 20, capacity: 20, allocated: 0, available: 20 }]);
    for (let twice = 0; twice < 2; twice += 1) {
      await catalogue('delete', `/internal/inventories/${poolId}?revision=3`).expect(204);
    }
    expect((await catalogue('post', '/internal/inventories/lookup').send({ pool_ids: [poolId] })).body).toEqual([]);
    const late = await catalogue('put', `/internal/inventories/${poolId}`).send({ total: 10, revision: 1 });
    expect([late.status, late.body.code]).toEqual([404, 'pool.not_found']);
  });

  test('a page of 1,000 and one more can be looked up', async () => {
    const answer = await catalogue('post', '/internal/inventories/lookup').send({
      pool_ids: Array.from({ length: 1001 }, () => randomUUID()),
    });
    expect([answer.status, answer.body]).toEqual([200, []]);
  });

  test('a pool in use is neither closed nor shrunk: 409 with what is allocated, and the same answer when repeated', async () => {
    const poolId = await server.openPool(10);
    const made = await server
      .as('service', 'post', `/resource_pools/${poolId}/allocations`)
      .send({ service_id: poolId, capacity: 6 });
    const resize = await catalogue('put', `/internal/inventories/${poolId}/terms`).send({ total: 5, revision: 2 });
    expect([resize.status, resize.body.code, resize.body.allocated]).toEqual([409, 'pool.capacity_below_allocated', 6]);
    const close = await catalogue('delete', `/internal/inventories/${poolId}?revision=3`);
    expect([close.status, close.body.code]).toEqual([409, 'pool.in_use']);
    await server.as('service', 'delete', made.headers['location'] as string).expect(204);
    expect((await catalogue('delete', `/internal/inventories/${poolId}?revision=3`)).body.code).toBe('pool.in_use');
    expect(
      (await catalogue('put', `/internal/inventories/${poolId}/terms`).send({ total: 5, revision: 2 })).body.code,
    ).toBe('pool.change_superseded');
    await catalogue('delete', `/internal/inventories/${poolId}?revision=4`).expect(204);
  });

  test.each(['', '?revision=0', '?revision=x'])('closing with "%s" for a revision: 400', async (query) => {
    const answer = await catalogue('delete', `/internal/inventories/${randomUUID()}${query}`);
    expect([answer.status, answer.body.errors[0].field]).toEqual([400, 'query.revision']);
  });
});

describe('the capacity of a task, for task-runner', () => {
  let poolId: string;
  const body = (overrides: Record<string, unknown> = {}) => ({ ...taskRequest(poolId), ...overrides });
  beforeEach(async () => {
    poolId = await server.openPool(10);
  });

  test('taking it twice under one id takes it once, and the event names the task', async () => {
    const request = body();
    for (let twice = 0; twice < 2; twice += 1) {
      const answer = await tasks('post', '/internal/allocations').send(request);
      expect([answer.status, answer.body]).toEqual([201, { id: request.id }]);
    }
    expect(await server.allocated(poolId)).toBe(4);
    expect(server.store.events.map(({ data }) => data)).toEqual([
      expect.objectContaining({ task_id: request.task_id }),
    ]);
  });

  test('giving it back twice gives it back once', async () => {
    const request = body();
    await tasks('post', '/internal/allocations').send(request).expect(201);
    for (let twice = 0; twice < 2; twice += 1) await tasks('delete', `/internal/allocations/${request.id}`).expect(204);
    expect(await server.allocated(poolId)).toBe(0);
    expect(server.store.events.at(-1)).toMatchObject({ type: 'allocation.released', data: { released_by: 'system' } });
  });

  test('a request that arrives after its capacity was given back takes nothing', async () => {
    const [never, before] = [body(), body()];
    await tasks('delete', `/internal/allocations/${never.id}`).expect(204);
    const late = await tasks('post', '/internal/allocations').send(never);
    expect([late.status, late.body.code]).toEqual([422, 'request.idempotency_key_reused']);
    await tasks('post', '/internal/allocations').send(before).expect(201);
    await tasks('delete', `/internal/allocations/${before.id}`).expect(204);
    const repeated = await tasks('post', '/internal/allocations').send(before);
    expect([repeated.status, repeated.body.code]).toEqual([409, 'allocation.given_back']);
    expect(await server.allocated(poolId)).toBe(0);
  });

  test('given back while it is being taken: whoever is first, nothing is held in the end', async () => {
    const request = body();
    const remember = server.store.remember.bind(server.store);
    jest.spyOn(server.store, 'remember').mockImplementationOnce(async (...args) => {
      await tasks('post', '/internal/allocations').send(request).expect(201);
      return remember(...args);
    });
    await tasks('delete', `/internal/allocations/${request.id}`).expect(204);
    expect(await server.allocated(poolId)).toBe(0);
  });

  test('the same id for something else: 422; a full pool: 409; no pool: 404', async () => {
    const request = body();
    await tasks('post', '/internal/allocations').send(request).expect(201);
    expect((await tasks('post', '/internal/allocations').send({ ...request, capacity: 5 })).status).toBe(422);
    expect((await tasks('post', '/internal/allocations').send(body({ capacity: 7 }))).body.code).toBe(
      'allocation.insufficient_capacity',
    );
    expect(
      (await tasks('post', '/internal/allocations').send(body({ resource_pool_id: randomUUID() }))).body.code,
    ).toBe('pool.not_found');
  });

  test('a task obeys the terms of the pool as everybody does', async () => {
    const terms = { total: 10, min_unit: 2, max_unit: 6, step_size: 2, revision: 2 };
    await catalogue('put', `/internal/inventories/${poolId}/terms`).send(terms).expect(204);
    const take = async (capacity: number) =>
      (await tasks('post', '/internal/allocations').send(body({ capacity }))).body.code as string | undefined;
    expect([await take(1), await take(8), await take(3), await take(4)]).toEqual([
      'allocation.below_min_unit',
      'allocation.above_max_unit',
      'allocation.not_a_step',
      undefined,
    ]);
    const cordon = { total: 10, state: 'cordoned', revision: 3 };
    await catalogue('put', `/internal/inventories/${poolId}/terms`).send(cordon).expect(204);
    expect([await take(2), await server.allocated(poolId)]).toEqual(['pool.cordoned', 4]);
  });

  test('what a task holds cannot be released from outside: 409 that names the task', async () => {
    const request = body();
    await tasks('post', '/internal/allocations').send(request).expect(201);
    const answer = await server.as('admin', 'delete', `/resource_pools/${poolId}/allocations/${request.id}`);
    expect([answer.status, answer.body.code, answer.body.task_id]).toEqual([
      409,
      'allocation.held_by_task',
      request.task_id,
    ]);
    expect(await server.allocated(poolId)).toBe(4);
  });

  test('when the store is away, then 503 with Retry-After', async () => {
    jest
      .spyOn(server.store, 'read')
      .mockRejectedValue(unavailable('state.unavailable', 'The state store does not answer now.'));
    const answer = await tasks('post', '/internal/allocations').send(body());
    expect([answer.status, answer.headers['retry-after'], answer.body.code]).toEqual([503, '2', 'state.unavailable']);
  });
});

describe('who may call them', () => {
  const path = `/internal/inventories/${randomUUID()}`;

  test('a token of an admin, but not of the sidecar: 401', async () => {
    const answer = await request(server.app)
      .put(path)
      .set('Authorization', bearer('admin'))
      .send({ total: 1, revision: 1 });
    expect([answer.status, answer.body.code]).toEqual([401, 'auth.sidecar_only']);
  });

  test.each(['task-runner', 'gateway', ''])('invoked by "%s": 403', async (caller) => {
    const answer = await server.invokedBy(caller, 'put', path).send({ total: 1, revision: 1 });
    expect([answer.status, answer.body.code]).toEqual([403, 'auth.caller_not_allowed']);
  });

  test('resource-pool may not take capacity for tasks', async () => {
    expect((await catalogue('post', '/internal/allocations').send({})).status).toBe(403);
  });
});
