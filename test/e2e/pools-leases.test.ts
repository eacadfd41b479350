import { randomUUID } from 'node:crypto';
import { eventsOf } from './support/event-stream';
import { as, createPool, faultsInTheBooks, idOf, replicas, SERVICE } from './support/pools';
import { allReady, eventually, kill } from './support/system';

/** Issue 4, points 4 and 5: leases end by themselves, once, and groups are all or nothing, on two replicas. */

jest.setTimeout(90_000);

afterAll(async () => expect(await faultsInTheBooks()).toEqual([]));

async function endsOf(allocationId: string): Promise<string[]> {
  const events = await eventsOf('allocation.released');
  return events.filter(({ data }) => data.allocation_id === allocationId).map(({ data }) => data.end_reason);
}

test('a lease that is not renewed ends within 2 s, once; one renewed on the other replica in time stays', async () => {
  const poolId = await createPool(10);
  const path = (replica = 0) => `${replicas()[replica]}/resource_pools/${poolId}/allocations`;
  const lease = { service_id: SERVICE, capacity: 1, lease_seconds: 3 };
  const [gone, kept] = [await as('service', 'POST', path(), lease), await as('service', 'POST', path(), lease)].map(
    idOf,
  );
  const renewing = setInterval(() => void as('service', 'POST', `${path(1)}/${kept}/renew`, {}), 1_000);
  try {
    const shown = (await as('service', 'GET', `${path()}/${gone}`)).body as { expires_at: string };
    const end = Date.parse(shown.expires_at);
    await eventually(
      'it is gone',
      async () => (await as('service', 'GET', `${path()}/${gone}`)).status === 404,
      15_000,
    );
    expect(Date.now()).toBeGreaterThanOrEqual(end);
    expect(Date.now() - end).toBeLessThan(2_000);
    await eventually('its end is told', async () => (await endsOf(gone!)).length > 0);
    // twice as long as the lease: the other one lives by its renewals alone
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect((await as('service', 'GET', `${path()}/${kept}`)).status).toBe(200);
    expect(await endsOf(gone!)).toEqual(['expired']);
    // nothing that ends by itself later, in the middle of another test
    clearInterval(renewing);
    expect((await as('service', 'DELETE', `${path()}/${kept}`)).status).toBe(204);
  } finally {
    clearInterval(renewing);
  }
});

test('leases that end while allocation is killed with -9 again and again end once each', async () => {
  const poolId = await createPool(100);
  const path = `${replicas()[1]}/resource_pools/${poolId}/allocations`;
  const body = { service_id: SERVICE, capacity: 1, lease_seconds: 2 };
  const held = await Promise.all(Array.from({ length: 60 }, async () => idOf(await as('service', 'POST', path, body))));
  for (let round = 0; round < 3; round += 1) {
    await new Promise((resolve) => setTimeout(resolve, 900));
    kill('allocation');
  }
  await eventually('all are ready again', allReady, 60_000);
  const pool = () => as('user', 'GET', `resource-pool/resource_pools/${poolId}`);
  const free = async () => ((await pool()).body as { available_capacity: number }).available_capacity;
  await eventually('all of it is free', async () => (await free()) === 100, 15_000);
  await eventually('each end is told', async () => (await endsOf(held[59]!)).length > 0);
  const told = (await eventsOf('allocation.released')).filter(({ data }) => data.resource_pool_id === poolId);
  await eventually('all are told', async () => {
    const now = await eventsOf('allocation.released');
    return now.filter(({ data }) => data.resource_pool_id === poolId).length >= 60;
  });
  expect(new Set(told.map(({ data }) => data.end_reason))).toEqual(new Set(['expired']));
  const ids = (await eventsOf('allocation.released')).flatMap(({ data }) =>
    data.resource_pool_id === poolId ? [data.allocation_id] : [],
  );
  expect(ids.sort()).toEqual([...held].sort());
});

test('groups that name the same pools in opposite order, on two replicas: whole ones only, and nothing stays behind', async () => {
  const [one, two] = [await createPool(5), await createPool(5)];
  const claims = [one, two].map((resource_pool_id) => ({ resource_pool_id, capacity: 1 }));
  const answers = await Promise.all(
    Array.from({ length: 24 }, (_, index) =>
      as('service', 'POST', `${replicas()[index % 2]}/allocation_groups`, {
        service_id: randomUUID(),
        claims: index % 4 < 2 ? claims : [...claims].reverse(),
      }),
    ),
  );
  const made = answers.filter(({ status }) => status === 201);
  expect(made).toHaveLength(5);
  expect(answers.filter(({ status }) => status === 409)).toHaveLength(19);
  for (const group of made) {
    const path = `allocation/allocation_groups/${idOf(group)}`;
    const shown = (await as('service', 'GET', path)).body as { allocations: unknown[] };
    expect(shown.allocations).toHaveLength(2);
    expect((await as('service', 'DELETE', path)).status).toBe(204);
  }
  for (const poolId of [one, two]) {
    expect((await as('user', 'GET', `resource-pool/resource_pools/${poolId}`)).body).toMatchObject({
      available_capacity: 5,
    });
  }
});
