import { randomUUID } from 'node:crypto';
import { expireLeases } from '../application/expire-leases';
import { taskRequest } from './support/builders';
import { startAllocation, type AllocationServer } from './support/server';

/** Behind every wait of these tests. */
const LATER = '2031-01-01T00:00:00.000Z';

describe('a task that waits for capacity', () => {
  let server: AllocationServer;
  let poolId: string;
  let holder: string;

  const body = (overrides: object = {}) => ({
    ...taskRequest(poolId),
    lease_seconds: 300,
    wait_seconds: 3_600,
    ...overrides,
  });
  type Asked = ReturnType<typeof body>;
  const ask = (asked: Asked) => server.invokedBy('task-runner', 'post', '/internal/allocations').send(asked);
  const giveBack = (id: string) => server.invokedBy('task-runner', 'delete', `/internal/allocations/${id}`);
  const show = (id: string) => server.as('admin', 'get', `/allocation_requests/${id}`);
  const created = (id: string) =>
    server.store.events.filter(
      ({ type, data }) => type === 'allocation.created' && 'allocation_id' in data && data.allocation_id === id,
    );

  beforeEach(async () => {
    server = await startAllocation();
    poolId = await server.openPool(10);
    holder = randomUUID();
    await ask(body({ id: holder, capacity: 10, lease_seconds: undefined })).expect(201);
  });

  test('when there is not enough, then 202 with its place, and the same request again is in the same place', async () => {
    const [one, two] = [body(), body()];
    const first = await ask(one).expect(202);
    expect(first.body).toMatchObject({
      id: one.id,
      status: 'waiting',
      position: 1,
      reason: 'allocation.insufficient_capacity',
    });
    await ask(two).expect(202);
    expect((await ask(one).expect(202)).body).toEqual(first.body);
    // how much longer it may wait only the first says
    expect((await ask({ ...one, wait_seconds: 1 }).expect(202)).body.expires_at).toBe(first.body.expires_at);
    expect((await ask(two).expect(202)).body.position).toBe(2);
    expect((await ask({ ...one, capacity: 3 })).body.code).toBe('request.idempotency_key_reused');
  });

  test('when room is made, then it is granted under its id, for the task, with a lease from then on', async () => {
    const one = body();
    const { created_at: askedAt } = (await ask(one).expect(202)).body;
    await giveBack(holder).expect(204);
    for (let twice = 0; twice < 2; twice += 1) expect((await ask(one).expect(201)).body).toEqual({ id: one.id });
    const allocation = await server.store.allocation(one.id);
    expect(allocation).toMatchObject({ taskId: one.task_id, capacity: 4, lease: { seconds: 300 } });
    expect(Date.parse(allocation!.lease!.expiresAt)).toBe(Date.parse(allocation!.createdAt) + 300_000);
    expect(allocation!.createdAt > askedAt).toBe(true);
    expect(created(one.id).map(({ data }) => data)).toEqual([expect.objectContaining({ task_id: one.task_id })]);
    expect(await server.allocated(poolId)).toBe(4);
    await giveBack(one.id).expect(204);
    expect((await ask(one)).body.code).toBe('allocation.given_back');
    expect(await server.allocated(poolId)).toBe(0);
  });

  test('when its time is over, then the refusal with what is free, for ever', async () => {
    const one = body();
    await ask(one).expect(202);
    server.pass(3_600);
    const over = await ask(one);
    expect([over.status, over.body.code, over.body.requested, over.body.available]).toEqual([
      409,
      'allocation.insufficient_capacity',
      4,
      0,
    ]);
    expect((await show(one.id)).body.status).toBe('expired');
    await giveBack(holder).expect(204);
    const again = await ask(one);
    expect([again.status, again.body.code, again.body.available]).toEqual([
      409,
      'allocation.insufficient_capacity',
      10,
    ]);
    expect(await server.allocated(poolId)).toBe(0);
  });

  test('when it is given back while it waits, then it leaves the line, and comes too late ever after', async () => {
    const [one, two] = [body(), body()];
    await ask(one).expect(202);
    await ask(two).expect(202);
    for (let twice = 0; twice < 2; twice += 1) await giveBack(one.id).expect(204);
    expect((await show(one.id)).body.status).toBe('cancelled');
    expect((await ask(one)).body.code).toBe('allocation.given_back');
    expect((await ask(two)).body.position).toBe(1);
    await giveBack(holder).expect(204);
    expect(await server.allocated(poolId)).toBe(4);
    expect(created(one.id)).toEqual([]);
  });

  test('when it is granted just as it is given back, then nothing is held', async () => {
    const one = body();
    await ask(one).expect(202);
    const requests = server.store.requests.bind(server.store);
    jest.spyOn(server.store, 'requests').mockImplementationOnce(async (ids) => {
      const seen = await requests(ids);
      await giveBack(holder).expect(204);
      return seen;
    });
    await giveBack(one.id).expect(204);
    expect(created(one.id)).toHaveLength(1);
    expect(await server.allocated(poolId)).toBe(0);
  });

  test('when somebody else takes its request back, then 409, whether it waits or was granted', async () => {
    const one = body();
    await ask(one).expect(202);
    const cancel = () => server.as('admin', 'delete', `/allocation_requests/${one.id}`);
    const refused = await cancel();
    expect([refused.status, refused.body.code, refused.body.task_id]).toEqual([
      409,
      'allocation.held_by_task',
      one.task_id,
    ]);
    await giveBack(holder).expect(204);
    expect((await cancel()).body.code).toBe('allocation.held_by_task');
    expect(await server.allocated(poolId)).toBe(4);
  });

  test('when its lease ended before it was heard of, then the capacity is back and it comes too late', async () => {
    const one = body({ lease_seconds: 1 });
    await ask(one).expect(202);
    await giveBack(holder).expect(204);
    expect(await server.allocated(poolId)).toBe(4);
    await expireLeases(server.store, server.writer, LATER);
    expect(await server.allocated(poolId)).toBe(0);
    expect((await ask(one)).body.code).toBe('allocation.given_back');
  });

  test('when its pool is deleted, then it hears that there is none', async () => {
    const one = body({ wait_seconds: 3_600 });
    await giveBack(holder).expect(204);
    await server
      .invokedBy('resource-pool', 'put', `/internal/inventories/${poolId}/terms`)
      .send({ total: 10, state: 'cordoned', revision: 2 })
      .expect(204);
    expect((await ask(one).expect(202)).body.reason).toBe('pool.cordoned');
    await server.invokedBy('resource-pool', 'delete', `/internal/inventories/${poolId}?revision=3`).expect(204);
    expect((await ask(one)).body.code).toBe('pool.not_found');
  });

  test('what the pool can never give is refused at once; without wait_seconds nothing waits', async () => {
    expect((await ask(body({ capacity: 11 }))).body.code).toBe('allocation.insufficient_capacity');
    expect((await ask(body({ wait_seconds: 0 }))).body.code).toBe('allocation.insufficient_capacity');
    expect((await server.as('admin', 'get', `/resource_pools/${poolId}/allocation_requests`)).body).toEqual([]);
  });

  test('the larger priority goes first', async () => {
    const [one, urgent] = [body(), body({ priority: 7, capacity: 10 })];
    await ask(one).expect(202);
    expect((await ask(urgent).expect(202)).body.position).toBe(1);
    await giveBack(holder).expect(204);
    await ask(urgent).expect(201);
    await ask(one).expect(202);
  });
});
