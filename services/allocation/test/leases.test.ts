import { randomUUID } from 'node:crypto';
import { expireLeases } from '../application/expire-leases';
import { startAllocation, type AllocationServer } from './support/server';

/** Far behind every lease of these tests. */
const LATER = '2031-01-01T00:00:00.000Z';

describe('leases', () => {
  let server: AllocationServer;
  let poolId: string;

  beforeEach(async () => {
    server = await startAllocation();
    poolId = await server.openPool(10);
  });

  const path = (id = '', action = '') => `/resource_pools/${poolId}/allocations${id && `/${id}`}${action}`;
  const create = (body: object = {}) =>
    server.as('service', 'post', path()).send({ service_id: randomUUID(), capacity: 3, ...body });
  const made = async (body: object = {}): Promise<string> => String((await create(body).expect(201)).body.id);
  const renew = (id: string, body: object = {}) => server.as('service', 'post', path(id, '/renew')).send(body);
  const show = (id: string) => server.as('service', 'get', path(id));

  test('when a lease is asked for, then the allocation says when it ends; without, it says nothing', async () => {
    const leased = (await show(await made({ lease_seconds: 60 })).expect(200)).body;
    expect(Date.parse(leased.expires_at) - Date.parse(leased.created_at)).toBe(60_000);
    expect(leased.lease_seconds).toBe(60);
    const free = (await show(await made()).expect(200)).body;
    expect(Object.keys(free)).not.toEqual(expect.arrayContaining(['expires_at']));
  });

  test('when a lease has ended, then the capacity comes back once, told as expired by the system', async () => {
    const id = await made({ lease_seconds: 1 });
    const kept = await made();
    await Promise.all([LATER, LATER].map((now) => expireLeases(server.store, server.writer, now)));
    // the store says that it has ended, and the decision looks at its own clock
    for (let round = 0; round < 3; round += 1) await expireLeases(server.store, server.writer, LATER);
    await show(id).expect(404);
    await show(kept).expect(200);
    expect(await server.allocated(poolId)).toBe(3);
    const ends = server.store.events.filter(({ type }) => type === 'allocation.released');
    expect(ends).toHaveLength(1);
    expect(ends[0]?.data).toMatchObject({ allocation_id: id, end_reason: 'expired', released_by: 'system' });
    const history = await server.as('admin', 'get', `/resource_pools/${poolId}/allocation_history`).expect(200);
    expect(history.body).toMatchObject([{ id, end_reason: 'expired' }]);
  });

  test('when it is renewed between the look and the decision, then it stays', async () => {
    const id = await made({ lease_seconds: 1 });
    const [found] = await server.store.expiredLeases(LATER, 10);
    await renew(id, { lease_seconds: 3_600 }).expect(200);
    await server.writer.execute(found!.poolId, { kind: 'expire', allocationId: found!.id });
    await show(id).expect(200);
    expect(await server.allocated(poolId)).toBe(3);
  });

  test('a renewal holds it as long again, as long as it says, or until it is released', async () => {
    const id = await made({ lease_seconds: 60 });
    const again = (await renew(id).expect(200)).body;
    expect(again.lease_seconds).toBe(60);
    expect(Date.parse(again.expires_at) - Date.parse(again.updated_at)).toBe(60_000);
    expect((await renew(id, { lease_seconds: 600 }).expect(200)).body.lease_seconds).toBe(600);
    expect((await renew(id, { lease_seconds: null }).expect(200)).body.expires_at).toBeUndefined();
    await expireLeases(server.store, server.writer, LATER);
    await show(id).expect(200);
  });

  test('what has no lease cannot be renewed without saying for how long', async () => {
    const id = await made();
    expect((await renew(id).expect(409)).body.code).toBe('allocation.not_leased');
    expect((await renew(id, { lease_seconds: 5 }).expect(200)).body.lease_seconds).toBe(5);
  });

  test('what is gone, belongs to another pool, or to a task cannot be renewed', async () => {
    const id = await made({ lease_seconds: 60 });
    const other = await server.openPool();
    const wrong = server.as('service', 'post', `/resource_pools/${other}/allocations/${id}/renew`).send({});
    expect((await wrong.expect(404)).body.code).toBe('allocation.not_found');
    await server.as('service', 'delete', path(id)).expect(204);
    expect((await renew(id).expect(404)).body.code).toBe('allocation.not_found');
    const ofTask = { allocationId: randomUUID(), poolId, serviceId: randomUUID(), capacity: 1 };
    await server.allocations.allocateForTask({
      ...ofTask,
      createdBy: server.sub,
      taskId: randomUUID(),
      leaseSeconds: 60,
    });
    expect((await renew(ofTask.allocationId).expect(409)).body.code).toBe('allocation.held_by_task');
  });

  test.each([0, -1, 1.5, 2_592_001, '60', null, true])(
    'lease_seconds %j on create is refused by name',
    async (value) => {
      const { body } = await create({ lease_seconds: value }).expect(400);
      expect(body.errors).toMatchObject([{ field: 'body.lease_seconds' }]);
      expect(await server.allocated(poolId)).toBe(0);
    },
  );

  test('task-runner renews what its tasks hold, and hears what is lost', async () => {
    const [held, gone] = [randomUUID(), randomUUID()];
    await server
      .invokedBy('task-runner', 'post', '/internal/allocations')
      .send({
        id: held,
        resource_pool_id: poolId,
        service_id: randomUUID(),
        capacity: 2,
        task_id: randomUUID(),
        created_by: server.sub,
        lease_seconds: 30,
      })
      .expect(201);
    const allocations = [held, gone].map((id) => ({ resource_pool_id: poolId, id }));
    const renewals = (caller: string) =>
      server.invokedBy(caller, 'post', '/internal/allocation_renewals').send({ lease_seconds: 90, allocations });
    expect((await renewals('task-runner').expect(200)).body).toEqual({ lost: [gone] });
    expect((await server.store.allocation(held))?.lease?.seconds).toBe(90);
    await renewals('resource-pool').expect(403);
  });
});
