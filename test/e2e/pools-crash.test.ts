// Slow: services are killed while they work, and start again.
import { randomUUID } from 'node:crypto';
import type { EventType } from '../../shared/contracts/events';
import { eventsOf } from './support/event-stream';
import { as, createPool, faultsInTheBooks, idOf, poolInput, replicas, SERVICE } from './support/pools';
import { allReady, eventually, kill, type Answer } from './support/system';

/** Issue 3, D13 and B7 under kill -9: no event is lost or invented, and catalogue and inventories agree in the end. */

jest.setTimeout(180_000);

/** Sends until there is an answer: a killed service gives none, one without its sidecar says 503. */
async function insist(send: () => Promise<Answer>): Promise<Answer> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const answer = await send().catch(() => undefined);
    if (answer && answer.status < 500) return answer;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error('no answer in 20 s');
}

/** The ids that events of a type tell of in this pool; an event that is told twice is in it twice. */
async function toldOf(type: EventType & `allocation.${string}`, poolId: string): Promise<string[]> {
  const events = await eventsOf(type);
  return events.filter(({ data }) => data.resource_pool_id === poolId).map(({ data }) => data.allocation_id);
}

afterEach(() => eventually('all are ready again', allReady, 60_000));

test('allocation is killed with -9 while it grants and releases: one event for each, and none for what never was', async () => {
  const id = await createPool(1_000);
  const path = `${replicas()[0]}/resource_pools/${id}/allocations`;
  const held: string[] = [];
  const workers = Array.from({ length: 8 }, async () => {
    for (let index = 0; index < 25; index += 1) {
      // the same key until there is an answer: an answer that was lost is no second allocation
      const key = { 'Idempotency-Key': randomUUID() };
      const answer = await insist(() => as('service', 'POST', path, { service_id: SERVICE, capacity: 1 }, key));
      expect(answer.status).toBe(201);
      held.push(idOf(answer));
    }
  });
  for (const share of [50, 120]) {
    await eventually(`${share} are granted`, () => held.length >= share);
    kill('allocation');
  }
  await Promise.all(workers);

  await eventually(
    'every grant is told of',
    async () => (await toldOf('allocation.created', id)).length >= 200,
    30_000,
  );
  expect((await toldOf('allocation.created', id)).sort()).toEqual([...held].sort());
  const pool = await as('user', 'GET', `resource-pool/resource_pools/${id}`);
  expect(pool.body).toMatchObject({ available_capacity: 800 });

  let released = 0;
  const releasing = [0, 1, 2, 3].map(async (worker) => {
    for (const one of held.filter((_, index) => index % 4 === worker)) {
      // 404: the answer of the first try was lost
      const answer = await insist(() => as('service', 'DELETE', `${path}/${one}`));
      expect([204, 404]).toContain(answer.status);
      released += 1;
    }
  });
  await eventually('half are released', () => released >= 100);
  kill('allocation');
  await Promise.all(releasing);
  await eventually(
    'every release is told of',
    async () => (await toldOf('allocation.released', id)).length >= 200,
    30_000,
  );
  expect((await toldOf('allocation.released', id)).sort()).toEqual([...held].sort());
  expect(await faultsInTheBooks()).toEqual([]);
});

test('resource-pool and allocation are killed while pools are created, changed and deleted: both agree in the end', async () => {
  const quietly = (work: Promise<Answer>) => work.catch(() => undefined);
  const workers = Array.from({ length: 4 }, async (_, worker) => {
    for (let index = 0; index < 6; index += 1) {
      const created = await quietly(as('owner', 'POST', 'resource-pool/resource_pools', poolInput({ name: 'crash' })));
      if (created?.status !== 201) {
        await new Promise((resolve) => setTimeout(resolve, 200));
        continue;
      }
      const to = `resource-pool/resource_pools/${idOf(created)}`;
      await quietly(as('owner', 'PUT', to, poolInput({ name: 'crash', total_capacity: 50 + worker })));
      await quietly(
        as('service', 'POST', `${replicas()[1]}/resource_pools/${idOf(created)}/allocations`, {
          service_id: SERVICE,
          capacity: 1,
        }),
      );
      await quietly(as('owner', 'DELETE', to));
    }
  });
  for (const part of ['resource-pool', 'allocation', 'resource-pool']) {
    await new Promise((resolve) => setTimeout(resolve, 700));
    kill(part);
  }
  await Promise.all(workers);
  // what was left pending is carried on after 15 s, at a look every 10 s
  await eventually('catalogue and inventories agree', async () => (await faultsInTheBooks()).length === 0, 60_000);
});
