import { randomUUID } from 'node:crypto';
import { eventsOf } from './support/event-stream';
import { as, createPool, faultsInTheBooks, idOf, poolInput, replicas, SERVICE } from './support/pools';
import { allReady, eventually, kill } from './support/system';

/** Issue 4, point 7: waiting instead of polling, on two real replicas. */

jest.setTimeout(120_000);

afterAll(async () => expect(await faultsInTheBooks()).toEqual([]));

interface Shown {
  id: string;
  status: string;
  position?: number;
  ended_at?: string;
  allocation?: { id: string; created_at: string };
}

const paths = (poolId: string, replica = 0) => `${replicas()[replica]}/resource_pools/${poolId}/allocations`;
const requestOn = (replica: number, id: string, query = '') =>
  as('service', 'GET', `${replicas()[replica]}/allocation_requests/${id}${query}`);

async function hold(poolId: string, capacity: number): Promise<string> {
  const answer = await as('service', 'POST', paths(poolId), { service_id: SERVICE, capacity });
  expect(answer.status).toBe(201);
  return idOf(answer);
}

async function wait(poolId: string, body: object = {}, replica = 0): Promise<string> {
  const whole = { service_id: SERVICE, capacity: 1, wait_seconds: 60, ...body };
  const answer = await as('service', 'POST', paths(poolId, replica), whole);
  expect([answer.status, answer.headers.get('location')]).toEqual([202, `/allocation_requests/${idOf(answer)}`]);
  return idOf(answer);
}

async function give(poolId: string, id: string, replica = 0): Promise<void> {
  expect((await as('service', 'DELETE', `${paths(poolId, replica)}/${id}`)).status).toBe(204);
}

async function toldOf(allocationId: string): Promise<string[]> {
  const both = [...(await eventsOf('allocation.created')), ...(await eventsOf('allocation.released'))];
  return both.filter(({ data }) => data.allocation_id === allocationId).map(({ type }) => type);
}

test('a release grants the next in its own transaction, and who waits on either replica hears of it soon', async () => {
  const poolId = await createPool(1);
  let holder = await hold(poolId, 1);
  const heard: number[][] = [[], []];
  for (let round = 0; round < 12; round += 1) {
    const listening = round % 2;
    const next = await wait(poolId, {}, listening);
    const news = requestOn(listening, next, '?wait=20').then(({ body }) => ({ body: body as Shown, at: Date.now() }));
    await new Promise((resolve) => setTimeout(resolve, 30));
    await give(poolId, holder);
    const released = Date.now();
    const { body, at } = await news;
    expect(body).toMatchObject({ id: next, status: 'granted', allocation: { id: next } });
    const history = await as('service', 'GET', `${replicas()[0]}/resource_pools/${poolId}/allocation_history?limit=1`);
    const [last] = history.body as { id: string; released_at: string }[];
    // the same instant: one transaction
    expect(last).toMatchObject({ id: holder, released_at: body.ended_at });
    expect(body.allocation?.created_at).toBe(body.ended_at);
    heard[listening]!.push(at - released);
    holder = next;
  }
  const median = (times: number[]): number => [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)]!;
  // 50 ms is the promise; the machine of a test is shared, so one quick round of six must keep it, and the median three times it
  for (const times of heard) {
    expect(Math.min(...times)).toBeLessThanOrEqual(50);
    expect(median(times)).toBeLessThanOrEqual(150);
  }
  await give(poolId, holder);
});

test('by priority, then first come, whichever replica they asked; a big one at the head is not overtaken', async () => {
  const poolId = await createPool(4);
  const holder = await hold(poolId, 3);
  const big = await wait(poolId, { capacity: 4, priority: 1 });
  const priorities = [0, 1, 0, 1, 0, 1];
  const small: string[] = [];
  for (const [index, priority] of priorities.entries()) small.push(await wait(poolId, { priority }, index % 2));
  const order = [big, small[1], small[3], small[5], small[0], small[2], small[4]];
  const listed = await as('service', 'GET', `${replicas()[1]}/resource_pools/${poolId}/allocation_requests`);
  expect((listed.body as Shown[]).map(({ id }) => id)).toEqual(order);
  const refused = await as('service', 'POST', paths(poolId, 1), { service_id: SERVICE, capacity: 1 });
  expect([refused.status, (refused.body as { code: string }).code]).toEqual([409, 'allocation.others_wait']);
  await give(poolId, holder, 1);
  expect((await requestOn(0, big)).body).toMatchObject({ status: 'granted' });
  await give(poolId, big);
  const now = await Promise.all(order.slice(1).map(async (id) => ((await requestOn(1, id!)).body as Shown).status));
  expect(now).toEqual(['granted', 'granted', 'granted', 'granted', 'waiting', 'waiting']);
  for (const id of order.slice(1)) {
    expect((await as('service', 'DELETE', `${replicas()[0]}/allocation_requests/${id}`)).status).toBe(204);
  }
  const pool = await as('user', 'GET', `resource-pool/resource_pools/${poolId}`);
  expect(pool.body).toMatchObject({ available_capacity: 4, waiting_requests: 0 });
});

test('best_effort is a pool’s own choice, and takes effect at once', async () => {
  const poolId = await createPool(4);
  const holder = await hold(poolId, 2);
  const big = await wait(poolId, { capacity: 3 });
  const small = await wait(poolId, { capacity: 2 });
  const change = { ...poolInput({ total_capacity: 4 }), queue_policy: 'best_effort' };
  const changed = await as('owner', 'PUT', `resource-pool/resource_pools/${poolId}`, change);
  expect([changed.status, changed.body]).toMatchObject([200, { queue_policy: 'best_effort', waiting_requests: 1 }]);
  expect((await requestOn(1, small)).body).toMatchObject({ status: 'granted' });
  expect((await requestOn(1, big)).body).toMatchObject({ status: 'waiting', position: 1 });
  for (const id of [holder, small]) await give(poolId, id);
  expect((await requestOn(0, big)).body).toMatchObject({ status: 'granted' });
  await give(poolId, big);
});

test('whose time is over goes within 2 s, and who was granted and is gone leaks nothing', async () => {
  const poolId = await createPool(2);
  const holder = await hold(poolId, 2);
  const brief = await wait(poolId, { capacity: 2, wait_seconds: 2 });
  const gone = await wait(poolId, { capacity: 1, lease_seconds: 2 }, 1);
  const expired = (await requestOn(1, brief, '?wait=20')).body as Shown & { expires_at: string };
  expect(expired.status).toBe('expired');
  expect(Date.parse(expired.ended_at!) - Date.parse(expired.expires_at)).toBeLessThan(2_000);
  await give(poolId, holder);
  expect((await requestOn(0, gone)).body).toMatchObject({ status: 'granted' });
  await eventually('the lease of nobody has ended', async () => {
    const pool = await as('user', 'GET', `resource-pool/resource_pools/${poolId}`);
    return (pool.body as { available_capacity: number }).available_capacity === 2;
  });
  await eventually('it is told', async () => (await toldOf(gone)).length === 2);
  expect(await toldOf(gone)).toEqual(['allocation.created', 'allocation.released']);
  expect(await toldOf(brief)).toEqual([]);
});

test('who waits is still in line after both replicas, their sidecars and the database were killed with -9', async () => {
  const poolId = await createPool(3);
  const holder = await hold(poolId, 3);
  const key = { 'Idempotency-Key': randomUUID() };
  const body = { service_id: SERVICE, capacity: 1, wait_seconds: 600 };
  const first = await as('service', 'POST', paths(poolId), body, key);
  const others = [await wait(poolId, { wait_seconds: 600 }, 1), await wait(poolId, { wait_seconds: 600 })];
  for (const part of ['allocation', 'daprd-allocation', 'allocation-2', 'daprd-allocation-2', 'postgres']) kill(part);
  await eventually('all are ready again', allReady, 60_000);
  const again = await as('service', 'POST', paths(poolId, 1), body, key);
  expect([again.status, idOf(again)]).toEqual([202, idOf(first)]);
  const line = [idOf(first), ...others];
  const seen = await Promise.all(line.map(async (id) => ((await requestOn(0, id)).body as Shown).position));
  expect(seen).toEqual([1, 2, 3]);
  await give(poolId, holder);
  for (const id of line) {
    expect((await requestOn(1, id)).body).toMatchObject({ status: 'granted', allocation: { id } });
    await eventually('it is told', async () => (await toldOf(id)).length > 0);
    expect(await toldOf(id)).toEqual(['allocation.created']);
    await give(poolId, id);
  }
});
