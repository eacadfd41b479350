import { randomUUID } from 'node:crypto';
import { as, codeOf, createPool, faultsInTheBooks, idOf, invoke, replicas, SERVICE, tally } from './support/pools';

/** Issue 4, point 8: what was released stays listed, and all that a service holds is released at once. */

jest.setTimeout(60_000);

const pathOf = (poolId: string) => `allocation/resource_pools/${poolId}`;
const allocate = (poolId: string, service = SERVICE) =>
  as('service', 'POST', `${pathOf(poolId)}/allocations`, { service_id: service, capacity: 1 });

afterAll(async () => expect(await faultsInTheBooks()).toEqual([]));

test('released by one replica, listed by the other, paged and filtered; it stays when the pool is deleted', async () => {
  const poolId = await createPool(10);
  const held = [await allocate(poolId), await allocate(poolId, randomUUID()), await allocate(poolId)].map(idOf);
  for (const id of held) {
    expect((await as('service', 'DELETE', `${replicas()[1]}/resource_pools/${poolId}/allocations/${id}`)).status).toBe(
      204,
    );
  }
  const list = async (query = '') => {
    const answer = await invoke('owner', 'GET', `${pathOf(poolId)}/allocation_history${query}`);
    expect(answer.status).toBe(200);
    return answer;
  };
  const ids = ({ body }: { body: unknown }) => (body as { id: string }[]).map(({ id }) => id);
  const all = await list();
  expect(ids(all)).toEqual([...held].reverse());
  expect((all.body as unknown[])[0]).toMatchObject({
    resource_pool_id: poolId,
    service_id: SERVICE,
    allocated_capacity: 1,
    end_reason: 'released',
    duration: expect.stringMatching(/^PT/) as string,
  });
  const first = await list('?limit=2');
  const next = /\?[^>]*/.exec(first.headers.get('link') ?? '')?.[0] ?? '';
  expect([ids(first), ids(await list(next))]).toEqual([[held[2], held[1]], [held[0]]]);
  expect(ids(await list(`?service_id=${SERVICE}`))).toEqual([held[2], held[0]]);
  expect(codeOf(await as('service', 'GET', `${pathOf(poolId)}/allocations/${held[0]}`))).toBe(
    '404 allocation.not_found',
  );
  expect((await as('owner', 'DELETE', `resource-pool/resource_pools/${poolId}`)).status).toBe(204);
  expect(ids(await list())).toEqual([...held].reverse());
});

test('all of a service at once, by both replicas at the same time: each allocation is released by one of them', async () => {
  const poolId = await createPool(1_000);
  const made = await Promise.all(Array.from({ length: 150 }, () => allocate(poolId)));
  expect(tally(made)).toEqual({ '201': 150 });
  const other = await allocate(poolId, randomUUID());
  const answers = await Promise.all(
    replicas().map((base) =>
      as('service', 'DELETE', `${base}/resource_pools/${poolId}/allocations?service_id=${SERVICE}`),
    ),
  );
  expect(tally(answers)).toEqual({ '200': 2 });
  const counts = answers.map(({ body }) => (body as { released: number }).released);
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(150);
  const left = await as('admin', 'GET', `${pathOf(poolId)}/allocations`);
  expect((left.body as { id: string }[]).map(({ id }) => id)).toEqual([idOf(other)]);
  const history = await as('admin', 'GET', `${pathOf(poolId)}/allocation_history?limit=1000`);
  expect(history.body).toHaveLength(150);
});
