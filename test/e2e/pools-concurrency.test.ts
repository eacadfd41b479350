import { randomUUID } from 'node:crypto';
import { as, codeOf, createPool, faultsInTheBooks, idOf, poolInput, replicas, SERVICE, tally } from './support/pools';
import { eventually, type Answer } from './support/system';

/** Issue 3, B6 and B7: many at once, on one replica of `allocation` and on two. */

jest.setTimeout(120_000);

const available = async (id: string) =>
  ((await as('user', 'GET', `resource-pool/resource_pools/${id}`)).body as { available_capacity: number })
    .available_capacity;

function allocate(base: string, poolId: string, capacity = 1): Promise<Answer> {
  return as('service', 'POST', `${base}/resource_pools/${poolId}/allocations`, { service_id: SERVICE, capacity });
}

afterAll(async () => {
  await eventually('the books are in order', async () => (await faultsInTheBooks()).length === 0, 40_000);
});

test.each([1, 2])('200 parallel allocations of 1 from a pool of 100, on %d replicas', async (count) => {
  const bases = replicas().slice(0, count);
  const id = await createPool(100);
  const base = (index: number) => bases[index % count]!;
  const answers = await Promise.all(Array.from({ length: 200 }, (_, index) => allocate(base(index), id)));
  expect(tally(answers)).toEqual({ '201': 100, '409 allocation.insufficient_capacity': 100 });
  expect(await available(id)).toBe(0);
  const granted = answers.filter(({ status }) => status === 201).map(idOf);
  // released by whichever replica, not only the one that granted it
  const releases = await Promise.all(
    granted.map((allocationId, index) =>
      as('service', 'DELETE', `${base(index)}/resource_pools/${id}/allocations/${allocationId}`),
    ),
  );
  expect(tally(releases)).toEqual({ '204': 100 });
  expect(await available(id)).toBe(100);
});

test('an allocation released on both replicas at once is released once', async () => {
  const id = await createPool(100);
  await allocate(replicas()[0]!, id, 50);
  const held = await Promise.all(Array.from({ length: 10 }, () => allocate(replicas()[0]!, id).then(idOf)));
  const answers = await Promise.all(
    held.flatMap((one) =>
      replicas().map((base) => as('service', 'DELETE', `${base}/resource_pools/${id}/allocations/${one}`)),
    ),
  );
  expect(tally(answers)).toEqual({ '204': 10, '404 allocation.not_found': 10 });
  expect(await available(id)).toBe(50);
});

test('pools are created, resized and deleted while allocations arrive: no allocation without a pool, and the reverse', async () => {
  const rounds = Array.from({ length: 8 }, async () => {
    const id = await createPool(5);
    const put = (total: number) =>
      as('owner', 'PUT', `resource-pool/resource_pools/${id}`, poolInput({ total_capacity: total }));
    const remove = () => as('owner', 'DELETE', `resource-pool/resource_pools/${id}`);
    const arriving = Promise.all(Array.from({ length: 12 }, (_, index) => allocate(replicas()[index % 2]!, id)));
    const changing = Promise.all([put(3), remove(), put(9), remove(), put(1)]);
    const [allocations, changes] = await Promise.all([arriving, changing]);
    for (const { status, body } of [...allocations, ...changes]) {
      expect([200, 201, 204, 404, 409, body]).toContain(status);
    }
    // whoever was told 201 holds it, in a pool that is there, until it gives it back
    const granted = allocations.filter(({ status }) => status === 201).map(idOf);
    if (granted.length > 0) expect(codeOf(await remove())).toBe('409 pool.in_use');
    for (const [index, allocationId] of granted.entries()) {
      const to = `${replicas()[index % 2]}/resource_pools/${id}/allocations/${allocationId}`;
      expect(codeOf(await as('service', 'DELETE', to))).toBe('204');
    }
    expect(['204', '404 pool.not_found']).toContain(codeOf(await remove()));
    expect(codeOf(await allocate(replicas()[0]!, id))).toBe('404 pool.not_found');
    expect(codeOf(await as('user', 'GET', `resource-pool/resource_pools/${id}`))).toBe('404 pool.not_found');
  });
  await Promise.all(rounds);
  expect(await faultsInTheBooks()).toEqual([]);
});

test('resizing below what is allocated, and deleting in use: 409 with what is allocated, and nothing changes', async () => {
  const id = await createPool(10);
  await allocate(replicas()[1]!, id, 6);
  const before = await as('user', 'GET', `resource-pool/resource_pools/${id}`);
  const shrunk = await as(
    'owner',
    'PUT',
    `resource-pool/resource_pools/${id}`,
    poolInput({ name: 'new', total_capacity: 5 }),
  );
  expect([shrunk.status, shrunk.body]).toMatchObject([
    409,
    { code: 'pool.capacity_below_allocated', requested: 5, allocated: 6 },
  ]);
  const deleted = await as('owner', 'DELETE', `resource-pool/resource_pools/${id}`);
  expect([deleted.status, deleted.body]).toMatchObject([409, { code: 'pool.in_use', allocated: 6 }]);
  const after = await as('user', 'GET', `resource-pool/resource_pools/${id}`);
  expect([after.body, after.headers.get('etag')]).toEqual([before.body, before.headers.get('etag')]);
  expect(codeOf(await as('owner', 'DELETE', `resource-pool/resource_pools/${randomUUID()}`))).toBe(
    '404 pool.not_found',
  );
});
