import { randomUUID } from 'node:crypto';
import type request from 'supertest';
import { unavailable } from '../../../shared/errors';
import { startAllocation, type AllocationServer } from './support/server';

/** What was released stays listed, and all of a service is released at once. */

const serviceId = randomUUID();
let server: AllocationServer;
let poolId: string;
let allocations: string;
let history: string;

beforeEach(async () => {
  server = await startAllocation();
  poolId = await server.openPool(2_000);
  allocations = `/resource_pools/${poolId}/allocations`;
  history = `/resource_pools/${poolId}/allocation_history`;
});

async function allocate(capacity = 1, service = serviceId): Promise<string> {
  const answer = await server.as('service', 'post', allocations).send({ service_id: service, capacity });
  return (answer.body as { id: string }).id;
}
async function allocateForTask(): Promise<string> {
  const id = randomUUID();
  const task = { task_id: randomUUID(), created_by: randomUUID() };
  const body = { id, resource_pool_id: poolId, service_id: serviceId, capacity: 5, ...task };
  await server.invokedBy('task-runner', 'post', '/internal/allocations').send(body).expect(201);
  return id;
}
const release = (id: string) => server.as('service', 'delete', `${allocations}/${id}`).expect(204);
const idsOf = ({ body }: request.Response) => (body as { id: string }[]).map(({ id }) => id);

describe('GET /resource_pools/{pool_id}/allocation_history', () => {
  test('tells of a release: when, how long, why and by whom; the allocation itself is 404', async () => {
    const id = await allocate(3);
    expect((await server.as('service', 'get', history)).body).toEqual([]);
    await release(id);
    const answer = await server.as('resource-pool-owner', 'get', history);
    expect([answer.status, answer.body]).toEqual([
      200,
      [
        {
          id,
          resource_pool_id: poolId,
          service_id: serviceId,
          allocated_capacity: 3,
          created_at: expect.stringMatching(/Z$/) as string,
          created_by: server.sub,
          task_id: null,
          released_at: expect.stringMatching(/Z$/) as string,
          duration: 'PT1S',
          end_reason: 'released',
          released_by: server.sub,
        },
      ],
    ]);
    await server.as('service', 'get', `${allocations}/${id}`).expect(404);
  });

  test('is paged by Link, the latest first, and filtered by service, reason and time', async () => {
    const ids: string[] = [];
    for (let index = 0; index < 5; index += 1) {
      ids.push(await allocate(1, index % 2 ? randomUUID() : serviceId));
      await release(ids[index]!);
    }
    const [a, b, c, d, e] = ids;
    const first = await server.as('service', 'get', `${history}?limit=3`);
    expect(idsOf(first)).toEqual([e, d, c]);
    const next = /^<(.*)>; rel="next"$/.exec(first.headers['link'] as string)?.[1] as string;
    const second = await server.as('service', 'get', next);
    expect([idsOf(second), second.headers['link']]).toEqual([[b, a], undefined]);
    const found = async (query: string) => idsOf(await server.as('service', 'get', `${history}?${query}`).expect(200));
    expect(await found(`service_id=${serviceId}`)).toEqual([e, c, a]);
    expect(await found('end_reason=released')).toHaveLength(5);
    expect(await found('end_reason=expired')).toEqual([]);
    const at = (first.body as { released_at: string }[])[2]!.released_at;
    expect(await found(`from=${at}`)).toEqual([e, d, c]);
    // the same instant, written without its milliseconds
    expect(await found(`to=${at.replace('.000Z', 'Z')}`)).toEqual([b, a]);
  });

  test('stays when the pool is deleted; of a pool that never was it is 404', async () => {
    const id = await allocate();
    await release(id);
    await server.invokedBy('resource-pool', 'delete', `/internal/inventories/${poolId}?revision=2`).expect(204);
    expect(idsOf(await server.as('service', 'get', history).expect(200))).toEqual([id]);
    expect(idsOf(await server.as('service', 'get', `${history}?end_reason=expired`).expect(200))).toEqual([]);
    const unknown = await server.as('service', 'get', `/resource_pools/${randomUUID()}/allocation_history`);
    expect([unknown.status, unknown.body.code]).toEqual([404, 'pool.not_found']);
  });

  test.each([
    ['limit=0', 'query.limit'],
    ['cursor=nonsense', 'query.cursor'],
    ['service_id=x', 'query.service_id'],
    ['end_reason=', 'query.end_reason'],
    ['from=yesterday', 'query.from'],
    ['to=2026-13-01T00:00:00Z', 'query.to'],
    ['sort=size', 'query.sort'],
  ])('?%s: 400 that names it', async (query, field) => {
    const answer = await server.as('service', 'get', `${history}?${query}`);
    expect([answer.status, answer.body.errors[0].field]).toEqual([400, field]);
  });

  test('a user may not see it: 403', async () => {
    await server.as('user', 'get', history).expect(403);
  });
});

describe('DELETE /resource_pools/{pool_id}/allocations?service_id=', () => {
  const releaseAll = (service: string = serviceId, role = 'service') =>
    server.as(role, 'delete', `${allocations}?service_id=${service}`);

  test('releases all that the service holds, one event each, and nothing of others; again, it is none', async () => {
    for (let index = 0; index < 3; index += 1) await allocate(2);
    await allocate(7, randomUUID());
    const answer = await releaseAll();
    expect([answer.status, answer.body]).toEqual([200, { released: 3 }]);
    expect(await server.allocated(poolId)).toBe(7);
    expect(server.store.events.filter(({ type }) => type === 'allocation.released')).toHaveLength(3);
    expect(idsOf(await server.as('service', 'get', history))).toHaveLength(3);
    expect((await releaseAll(serviceId, 'resource-pool-owner')).body).toEqual({ released: 0 });
  });

  test('goes beyond one page', async () => {
    const request = { poolId, serviceId, capacity: 1, createdBy: server.sub };
    await Promise.all(Array.from({ length: 1_001 }, () => server.allocations.allocate(request)));
    expect((await releaseAll()).body).toEqual({ released: 1_001 });
    expect(await server.allocated(poolId)).toBe(0);
  });

  test('leaves what tasks hold, and says how many', async () => {
    await allocateForTask();
    await allocate();
    expect((await releaseAll()).body).toEqual({ released: 1, held_by_tasks: 1 });
    expect(await server.allocated(poolId)).toBe(5);
  });

  test('what somebody else releases meanwhile is not counted', async () => {
    const [one] = [await allocate(), await allocate()];
    const list = server.store.listAllocations.bind(server.store);
    jest.spyOn(server.store, 'listAllocations').mockImplementationOnce(async (filter) => {
      const page = await list(filter);
      await release(one);
      return page;
    });
    expect((await releaseAll()).body).toEqual({ released: 1 });
  });

  test('when the store is away: 503, and the same request again goes on', async () => {
    await allocate();
    const away = unavailable('state.unavailable', 'The state store does not answer now.');
    server.store.fail.push(away, away);
    await releaseAll().expect(503);
    expect((await releaseAll()).body).toEqual({ released: 1 });
  });

  test('without a service, with one that is none, in no pool, by a user: nothing is released', async () => {
    await allocate();
    const without = await server.as('admin', 'delete', allocations);
    expect([without.status, without.body.errors[0].field]).toEqual([400, 'query.service_id']);
    expect((await releaseAll('x')).status).toBe(400);
    const unknown = await server.as(
      'admin',
      'delete',
      `/resource_pools/${randomUUID()}/allocations?service_id=${serviceId}`,
    );
    expect([unknown.status, unknown.body.code]).toEqual([404, 'pool.not_found']);
    expect((await releaseAll(serviceId, 'user')).status).toBe(403);
    expect(await server.allocated(poolId)).toBe(1);
  });
});
