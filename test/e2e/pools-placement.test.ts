import { randomUUID } from 'node:crypto';
import { sql } from './support/database';
import { as, codeOf, faultsInTheBooks, idOf, poolInput, replicas, tally } from './support/pools';
import type { Answer } from './support/system';

/** Issue 4, points 5 and 6: claims by kind of resource on two replicas, and where something would fit. */

jest.setTimeout(60_000);

/** Kinds that no other test has. */
const [KIND, OTHER] = [`kind-${randomUUID()}`, `other-${randomUUID()}`];

afterAll(async () => expect(await faultsInTheBooks()).toEqual([]));

async function create(total: number, more: object = {}): Promise<string> {
  const body = poolInput({ resource_type: KIND, total_capacity: total, ...more });
  const answer = await as('owner', 'POST', 'resource-pool/resource_pools', body);
  expect(answer.status).toBe(201);
  return idOf(answer);
}
const group = (replica: number, claims: object[], headers = {}) =>
  as('service', 'POST', `${replicas()[replica % 2]}/allocation_groups`, { service_id: randomUUID(), claims }, headers);
const release = async (made: Answer) =>
  expect((await as('service', 'DELETE', `allocation/allocation_groups/${idOf(made)}`)).status).toBe(204);
const any = (capacity: number, more: object = {}) => ({ resource_type: KIND, capacity, ...more });
async function candidates(query: string) {
  const path = `allocation/allocation_candidates?resource_type=${KIND}&${query}`;
  const { body } = (await as('service', 'GET', path)) as {
    body: { candidates: { resource_pool_id: string }[]; rejected: object };
  };
  return { ids: body.candidates.map((one) => one.resource_pool_id), rejected: body.rejected };
}
const allocated = (poolIds: string[]) =>
  sql<{ n: number }>('SELECT sum(allocated)::int AS n FROM inventories WHERE pool_id = ANY($1)', [poolIds]);

test('groups by kind in opposite orders on both replicas: exactly as many as fit, none in part', async () => {
  const pools = await Promise.all([3, 1, 2, 1].map((total) => create(total)));
  const others = await Promise.all([4, 4].map((total) => create(total, { resource_type: OTHER })));
  const claims = [any(1), any(1, { resource_type: OTHER })];
  const answers = await Promise.all(
    Array.from({ length: 32 }, (_, index) => group(index, index % 4 < 2 ? claims : [...claims].reverse())),
  );
  expect(tally(answers)).toEqual({ '201': 7, '409 allocation.insufficient_capacity': 25 });
  expect([await allocated(pools), await allocated(others)]).toEqual([[{ n: 7 }], [{ n: 7 }]]);
  const refused = answers.find(({ status }) => status === 409);
  expect(refused?.body).toMatchObject({ resource_type: KIND, requested: 1, available: 0 });
  const made = answers.filter(({ status }) => status === 201);
  for (const one of made) {
    const { body } = await as('service', 'GET', `allocation/allocation_groups/${idOf(one)}`);
    expect((body as { allocations: unknown[] }).allocations).toHaveLength(2);
    await release(one);
  }
  expect([await allocated(pools), await allocated(others)]).toEqual([[{ n: 0 }], [{ n: 0 }]]);
});

test('the same key on both replicas at once, for the last that there is: one group', async () => {
  const location = 'the last';
  const pool = await create(4, { location });
  const body = { service_id: randomUUID(), claims: [any(4, { location })] };
  const headers = { 'Idempotency-Key': randomUUID() };
  const send = (index: number) => as('service', 'POST', `${replicas()[index % 2]}/allocation_groups`, body, headers);
  const answers = await Promise.all(Array.from({ length: 12 }, (_, index) => send(index)));
  expect(tally(answers)).toEqual({ '201': 12 });
  expect(new Set(answers.map(idOf)).size).toBe(1);
  expect(await allocated([pool])).toEqual([{ n: 4 }]);
  await release(answers[0]!);
  // an answer is an answer: it is not made again
  expect(idOf(await send(1))).toBe(idOf(answers[0]!));
  expect(await allocated([pool])).toEqual([{ n: 0 }]);
});

test('candidates follow what is taken, and what resource-pool says of labels, place and state', async () => {
  const location = 'candidates';
  const labels = { team: 'vision' };
  const [small, large] = [await create(4, { location, labels }), await create(9, { location, labels })];
  const change = (id: string, body: object) =>
    as('owner', 'PUT', `resource-pool/resource_pools/${id}`, poolInput({ resource_type: KIND, location, ...body }));
  const asked = 'capacity=3&location=candidates&label=team:vision';
  expect(await candidates(asked)).toEqual({ ids: [small, large], rejected: {} });
  const made = await group(0, [any(2, { location }), any(3, { location, labels })]);
  expect(made.status).toBe(201);
  expect(await candidates(asked)).toEqual({ ids: [large], rejected: { 'allocation.insufficient_capacity': 1 } });
  expect((await change(large, { total_capacity: 9, state: 'cordoned' })).status).toBe(200);
  const rejected = { 'allocation.insufficient_capacity': 1, 'pool.cordoned': 1 };
  expect(await candidates(asked)).toEqual({ ids: [], rejected });
  expect((await group(1, [any(5, { location })])).body).toMatchObject({ requested: 5, available: 1, rejected });
  expect((await change(large, { total_capacity: 9, state: 'open', labels: { team: 'audio' } })).status).toBe(200);
  expect(await candidates(asked)).toEqual({ ids: [], rejected: { 'allocation.insufficient_capacity': 1 } });
  expect((await candidates('capacity=3&label=team:audio')).ids).toEqual([large]);
  expect(codeOf(await group(1, [any(1, { location, labels: { team: 'speech' } })]))).toBe(
    '404 allocation.no_such_kind',
  );
  await release(made);
  expect((await as('owner', 'DELETE', `resource-pool/resource_pools/${small}`)).status).toBe(204);
  expect(await candidates(asked)).toEqual({ ids: [], rejected: {} });
});
