import {
  as,
  codeOf,
  createPool,
  faultsInTheBooks,
  idOf,
  invoke,
  poolInput,
  replicas,
  SERVICE,
  tally,
} from './support/pools';
import { sql } from './support/database';

/** Issue 4, point 3: reserve, overcommitment, portions, labels, states and resizes, on the running system. */

jest.setTimeout(60_000);

const POOLS = 'resource-pool/resource_pools';
const put = (id: string, body: Record<string, unknown>, query = '') =>
  invoke('owner', 'PUT', `${POOLS}/${id}${query}`, poolInput(body));
const show = async (id: string) => (await as('user', 'GET', `${POOLS}/${id}`)).body;
const allocate = (id: string, capacity: number, replica = 0) =>
  as('service', 'POST', `${replicas()[replica]}/resource_pools/${id}/allocations`, { service_id: SERVICE, capacity });
const release = (id: string, allocationId: string) =>
  as('service', 'DELETE', `allocation/resource_pools/${id}/allocations/${allocationId}`);

afterAll(async () => expect(await faultsInTheBooks()).toEqual([]));

test('a pool with all of its terms: what they allow, what they refuse, and what it shows', async () => {
  const terms = { reserved: 20, allocation_ratio: 1.5, min_unit: 2, max_unit: 60, step_size: 2 };
  const created = await as('owner', 'POST', POOLS, poolInput({ ...terms, labels: { team: 'vision' } }));
  const id = idOf(created);
  expect(codeOf(await allocate(id, 1))).toBe('409 allocation.below_min_unit');
  expect(codeOf(await allocate(id, 62))).toBe('409 allocation.above_max_unit');
  const odd = await allocate(id, 7);
  expect(odd.body).toMatchObject({ code: 'allocation.not_a_step', requested: 7, step_size: 2, pool_id: id });
  expect((await allocate(id, 60)).status).toBe(201);
  expect((await allocate(id, 60, 1)).status).toBe(201);
  expect((await allocate(id, 2)).body).toMatchObject({ code: 'allocation.insufficient_capacity', available: 0 });
  expect(await show(id)).toMatchObject({ ...terms, capacity: 120, allocated_capacity: 120, available_capacity: 0 });
});

test('cordoned: nothing new on either replica, what is held goes back; opened again, it takes', async () => {
  const id = await createPool(10);
  const held = idOf(await allocate(id, 4));
  expect((await put(id, { total_capacity: 10, state: 'cordoned' })).body).toMatchObject({
    state: 'cordoned',
    drain: null,
  });
  const answers = await Promise.all([0, 1].map((replica) => allocate(id, 1, replica)));
  expect(tally(answers)).toEqual({ '409 pool.cordoned': 2 });
  // a caller that knows nothing of states leaves it as it is
  expect((await put(id, { total_capacity: 12 })).body).toMatchObject({ state: 'cordoned', total_capacity: 12 });
  expect((await release(id, held)).status).toBe(204);
  await put(id, { total_capacity: 12, state: 'open' });
  expect((await allocate(id, 12)).status).toBe(201);
});

test('draining: says when the last allocation has gone', async () => {
  const id = await createPool(10);
  const held = idOf(await allocate(id, 4));
  const draining = await put(id, { total_capacity: 10, state: 'draining' });
  expect(draining.body).toMatchObject({ drain: { status: 'draining', down_to: 0, drained_at: null } });
  expect(codeOf(await allocate(id, 1))).toBe('409 pool.draining');
  await release(id, held);
  expect(await show(id)).toMatchObject({
    drain: { status: 'drained', drained_at: expect.stringMatching(/Z$/) as string },
  });
});

test('a resize below what is allocated: refused, allowed, or drained', async () => {
  const id = await createPool(10);
  const held = [idOf(await allocate(id, 4)), idOf(await allocate(id, 4))];
  const refused = await put(id, { total_capacity: 10, reserved: 4 });
  expect(refused.body).toMatchObject({ code: 'pool.capacity_below_allocated', requested: 6, allocated: 8 });
  expect((await put(id, { total_capacity: 6 }, '?resize=allow')).body).toMatchObject({
    total_capacity: 6,
    allocated_capacity: 8,
    available_capacity: 0,
    drain: null,
  });
  expect(codeOf(await allocate(id, 1))).toBe('409 allocation.insufficient_capacity');
  expect((await put(id, { total_capacity: 6 }, '?resize=drain')).body).toMatchObject({
    drain: { status: 'draining', down_to: 6 },
  });
  expect(await faultsInTheBooks()).toEqual([]);
  await release(id, held[0]!);
  expect(await show(id)).toMatchObject({ available_capacity: 2, drain: { status: 'drained' } });
  expect((await allocate(id, 2)).status).toBe(201);
});

test('pools are found by state and labels', async () => {
  const run = `run-${Date.now()}`;
  const make = (labels: object, state = 'open') => as('owner', 'POST', POOLS, poolInput({ labels, state })).then(idOf);
  const one = await make({ run, tier: 'spot' });
  const two = await make({ run }, 'cordoned');
  const found = async (query: string) =>
    ((await as('user', 'GET', `${POOLS}?${query}`)).body as { id: string }[]).map(({ id }) => id);
  expect(await found(`label=run:${run}`)).toEqual([one, two]);
  expect(await found(`label=run:${run}&label=tier:spot`)).toEqual([one]);
  expect(await found(`label=run:${run}&state=cordoned`)).toEqual([two]);
});

test('rows from before there were terms are pools with the usual ones', async () => {
  const id = await createPool(10);
  // as the version before wrote them
  for (const [key, names] of [
    [`resource-pool||pool:${id}`, ['labels', 'resize_mode']],
    [`allocation||inventory:${id}`, ['over_allowed', 'drain']],
  ] as const) {
    const all = ['reserved', 'allocation_ratio', 'min_unit', 'max_unit', 'step_size', ...names];
    await sql(`UPDATE state SET value = convert_to((state_json(value) - $2::text[])::text, 'UTF8') WHERE key = $1`, [
      key,
      all,
    ]);
  }
  expect(await show(id)).toMatchObject({ reserved: 0, allocation_ratio: 1, max_unit: null, state: 'open', labels: {} });
  expect((await allocate(id, 10)).status).toBe(201);
  expect((await put(id, { total_capacity: 20, labels: { a: 'b' } })).body).toMatchObject({ available_capacity: 10 });
});
