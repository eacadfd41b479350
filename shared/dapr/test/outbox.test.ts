import type { CloudEvent } from '../../contracts/events';
import { withContext } from '../../logging/context';
import { outboxSchema } from '../outbox';
import { created, ids, released, start, until, World } from './outbox-world';

test('what a crash left behind goes out at the start, under its own id, and is removed', async () => {
  const world = new World();
  const events = [created(), released(), created()];
  world.write(...events);
  const { relay, value } = start(world);
  await until(() => world.rows.size === 0);
  expect(ids(world.broker).sort()).toEqual(ids(events).sort());
  await relay.stop();
  expect(await value('relayed')).toBe(3);
  expect(await value('outboxWaiting')).toBe(0);
});

test('woken after a commit it sends at once, also when it is woken while it is at work', async () => {
  const world = new World();
  const { relay } = start(world, 60_000);
  await until(() => world.queries === 1);
  for (let round = 0; round < 20; round += 1) {
    world.write(created());
    relay.wake();
    await new Promise((resolve) => setTimeout(resolve, round % 3));
  }
  await until(() => world.rows.size === 0);
  expect(new Set(ids(world.broker)).size).toBe(20);
});

test('what is handed over goes out without a look at the database, one row a transaction whatever its topics', async () => {
  const world = new World();
  const { relay } = start(world, 60_000);
  await until(() => world.queries === 1);
  const events = [created(), released(), created()];
  world.commit(...events);
  expect(world.rows.size).toBe(1);
  relay.wake(events);
  await until(() => world.rows.size === 0);
  expect(ids(world.broker).sort()).toEqual(ids(events).sort());
  expect(world.queries).toBe(1);
});

test('the transactions of a moment go out together, and their rows are removed in one transaction', async () => {
  const world = new World();
  const { relay } = start(world, 60_000);
  await until(() => world.queries === 1);
  const [publish, transact] = [jest.spyOn(world.sidecar, 'publish'), jest.spyOn(world.sidecar, 'transact')];
  for (let transaction = 0; transaction < 5; transaction += 1) {
    const events = [created(), released()];
    world.commit(...events);
    relay.wake(events);
  }
  await until(() => world.rows.size === 0);
  expect(publish.mock.calls.map(([topic, events]) => [topic, events.length])).toEqual([
    ['allocation.created', 5],
    ['allocation.released', 5],
  ]);
  expect(transact).toHaveBeenCalledTimes(1);
});

test('what is handed over while the broker is away is found in the database when it is back', async () => {
  const world = new World();
  const { relay } = start(world);
  await until(() => world.queries > 0);
  world.brokerDown.add('allocation.created');
  const event = created();
  world.commit(event);
  relay.wake([event]);
  await until(() => world.looks.filter((look) => look === 'all').length > 2);
  expect(world.rows.size).toBe(1);
  world.brokerDown.clear();
  await until(() => world.rows.size === 0);
  expect(ids(world.broker)).toEqual([event.id]);
});

test('when nothing is amiss, only what was left behind is looked for, not what others are about to send', async () => {
  const world = new World();
  start(world);
  await until(() => world.queries > 3);
  expect(world.looks.slice(0, 4)).toEqual(['all', 'left behind', 'left behind', 'left behind']);
});

test('a row of the version before, with a single event, goes out too', async () => {
  const world = new World();
  const event = created();
  world.rows.set(`outbox:${event.id}`, event as unknown as CloudEvent[]);
  start(world);
  await until(() => world.rows.size === 0);
  expect(ids(world.broker)).toEqual([event.id]);
});

test('more than a batch goes out without waiting', async () => {
  const world = new World();
  world.write(...Array.from({ length: 1_200 }, created));
  start(world, 60_000);
  await until(() => world.rows.size === 0);
  expect(world.broker).toHaveLength(1_200);
});

test('a crash between publishing and removing: it is published again under the same id, never lost', async () => {
  const world = new World();
  world.failRemovals = 1;
  const event = created();
  world.write(event);
  start(world);
  await until(() => world.rows.size === 0);
  expect(ids(world.broker)).toEqual([event.id, event.id]);
});

test('the broker is away: events wait, one warning, and they follow once it is back', async () => {
  const world = new World();
  world.brokerDown.add('allocation.created');
  world.write(created(), created());
  const { relay, logger, value } = start(world);
  const before = world.queries;
  await until(() => world.queries > before + 3);
  expect(world.rows.size).toBe(2);
  expect(await value('outboxWaiting')).toBe(2);
  expect(logger.lines.map(({ level, result }) => [level, result])).toEqual([['warn', 'waiting']]);
  world.brokerDown.clear();
  await until(() => world.rows.size === 0);
  await relay.stop();
  expect(logger.lines.at(-1)).toMatchObject({ level: 'info', result: 'ok' });
});

test('a topic that the broker refuses does not hold up another topic', async () => {
  const world = new World();
  world.brokerDown.add('allocation.created');
  world.write(created(), released());
  start(world);
  await until(() => world.broker.length > 0);
  expect(world.broker.map(({ type }) => type)).toEqual(['allocation.released']);
  await until(() => world.rows.size === 1);
});

test('the broker takes only some: those are removed, the others stay and go later', async () => {
  const world = new World();
  const [first, second] = [created(), created()];
  world.refuse.add(second.id);
  world.write(first, second);
  start(world);
  await until(() => world.rows.size === 1);
  expect(ids([...world.rows.values()].flat())).toEqual([second.id]);
  world.refuse.clear();
  await until(() => world.rows.size === 0);
  expect(ids(world.broker)).toEqual([first.id, second.id]);
});

test('of a transaction whose events go out in part, the rest stays and is all that goes out later', async () => {
  const world = new World();
  world.brokerDown.add('allocation.created');
  const first = [created(), released(), created()];
  const second = [released(), created()];
  world.commit(...first);
  world.commit(...second);
  start(world);
  await until(() => [...world.rows.values()].flat().length === 3);
  expect(world.rows.size).toBe(2);
  world.brokerDown.clear();
  await until(() => world.rows.size === 0);
  expect(ids(world.broker).sort()).toEqual(ids([...first, ...second]).sort());
});

test('the database is away: it goes on by itself when it is back', async () => {
  const world = new World();
  world.databaseDown = true;
  world.write(created());
  start(world);
  await until(() => world.queries > 2);
  world.databaseDown = false;
  await until(() => world.rows.size === 0);
});

test('after stop nothing is sent any more', async () => {
  const world = new World();
  const { relay } = start(world);
  await until(() => world.queries > 0);
  await relay.stop();
  const { queries } = world;
  world.write(created());
  relay.wake();
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect([world.queries, world.broker.length]).toEqual([queries, 0]);
});

test('an event carries the trace of the request that caused it', () => {
  const traceId = 'a'.repeat(32);
  const event = withContext({ requestId: 'r', traceparent: `00-${traceId}-${'b'.repeat(16)}-01` }, created);
  expect(event.traceparent).toMatch(new RegExp(`^00-${traceId}-`));
  expect(created()).not.toHaveProperty('traceparent');
});

test('the index is named and filtered by app', () => {
  expect(outboxSchema('task-runner')).toContain(
    `state_outbox_task_runner ON state (created_at) WHERE key LIKE 'task-runner||outbox:%'`,
  );
});
