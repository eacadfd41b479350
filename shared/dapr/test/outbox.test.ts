import { randomUUID } from 'node:crypto';
import type { CloudEvent } from '../../contracts/events';
import { unavailable } from '../../errors';
import { createMetrics } from '../../http/metrics';
import { withContext } from '../../logging/context';
import { recordingLogger } from '../../testing/recording-logger';
import { bundlesOf } from '../bundles';
import { newEvent, outboxRows, outboxSchema, startRelay, type Relay } from '../outbox';
import type { Sidecar } from '../sidecar';

const now = '2026-11-23T09:30:00.000Z';
const base = {
  allocation_id: randomUUID(),
  resource_pool_id: randomUUID(),
  service_id: randomUUID(),
  capacity: 1,
  created_at: now,
  created_by: randomUUID(),
  task_id: null,
};

const created = (): CloudEvent =>
  newEvent('allocation.created', { id: randomUUID(), source: 'allocation', time: now, data: base });
const released = (): CloudEvent =>
  newEvent('allocation.released', {
    id: randomUUID(),
    source: 'allocation',
    time: now,
    data: { ...base, released_at: now, duration: 'PT0S', end_reason: 'released', released_by: 'system' },
  });

/** A database and a broker that fail when they are told to. */
class World {
  readonly rows = new Map<string, CloudEvent[]>();
  readonly broker: CloudEvent[] = [];
  readonly bundles: CloudEvent[][] = [];
  brokerDown = new Set<string>();
  refuse = new Set<string>();
  /** How many bundles the broker takes from now on. */
  takesBundles = Infinity;
  databaseDown = false;
  failRemovals = 0;
  queries = 0;
  readonly looks: string[] = [];

  write(...events: CloudEvent[]): void {
    for (const event of events) this.commit(event);
  }

  /** As one transaction. */
  commit(...events: CloudEvent[]): void {
    for (const row of outboxRows(events)) {
      if (!('upsert' in row)) throw new Error('an outbox row is an upsert');
      this.rows.set(row.upsert, row.value as CloudEvent[]);
    }
  }

  readonly sidecar = {
    query: async (sql: string) => {
      this.queries += 1;
      this.looks.push(sql.includes('2 seconds') ? 'left behind' : 'all');
      if (this.databaseDown) throw unavailable('database.unavailable', 'away');
      return [...this.rows.values()].slice(0, 500);
    },
    publish: async (topic: string, events: readonly CloudEvent[]) => {
      if (this.brokerDown.has(topic)) throw unavailable('event_broker.unavailable', 'away');
      const taken = events.filter(({ id }) => !this.refuse.has(id));
      this.broker.push(...taken);
      return new Set(taken.map(({ id }) => id));
    },
    publishBundle: async (topic: string, events: readonly CloudEvent[]) => {
      expect(topic).toBe('usage.ended');
      if (this.takesBundles === 0) throw unavailable('event_broker.unavailable', 'away');
      this.takesBundles -= 1;
      this.bundles.push([...events]);
    },
    transact: async (operations: Parameters<Sidecar['transact']>[0]) => {
      if (this.failRemovals > 0) {
        this.failRemovals -= 1;
        throw unavailable('state_store.unavailable', 'away');
      }
      for (const operation of operations) {
        if ('remove' in operation) this.rows.delete(operation.remove);
        else this.rows.set(operation.upsert, operation.value as CloudEvent[]);
      }
    },
  } as unknown as Sidecar;
}

let relay: Relay | undefined;
afterEach(() => relay?.stop());

function start(world: World, everyMs = 15) {
  const logger = recordingLogger();
  const metrics = createMetrics();
  relay = startRelay({ appId: 'allocation', sidecar: world.sidecar, logger, metrics, everyMs });
  const value = async (metric: 'relayed' | 'outboxWaiting') => (await metrics[metric].get()).values[0]!.value;
  return { relay, logger, value };
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 4_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('it did not come to be within 4 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const ids = (events: Iterable<CloudEvent>) => [...events].map(({ id }) => id);

test('what a crash left behind goes out at the start, under its own id, and is removed', async () => {
  const world = new World();
  const events = [created(), released(), created()];
  world.write(...events);
  const { value } = start(world);
  await until(() => world.rows.size === 0);
  expect(ids(world.broker).sort()).toEqual(ids(events).sort());
  await relay!.stop();
  expect(await value('relayed')).toBe(3);
  expect(await value('outboxWaiting')).toBe(0);
});

test('woken after a commit it sends at once, also when it is woken while it is at work', async () => {
  const world = new World();
  start(world, 60_000);
  await until(() => world.queries === 1);
  for (let round = 0; round < 20; round += 1) {
    world.write(created());
    relay!.wake();
    await new Promise((resolve) => setTimeout(resolve, round % 3));
  }
  await until(() => world.rows.size === 0);
  expect(new Set(ids(world.broker)).size).toBe(20);
});

test('what is handed over goes out without a look at the database, one row a transaction whatever its topics', async () => {
  const world = new World();
  start(world, 60_000);
  await until(() => world.queries === 1);
  const events = [created(), released(), created()];
  world.commit(...events);
  expect(world.rows.size).toBe(1);
  relay!.wake(events);
  await until(() => world.rows.size === 0);
  expect(ids(world.broker).sort()).toEqual(ids(events).sort());
  expect(world.queries).toBe(1);
});

test('the transactions of a moment go out together, and their rows are removed in one transaction', async () => {
  const world = new World();
  start(world, 60_000);
  await until(() => world.queries === 1);
  const [publish, transact] = [jest.spyOn(world.sidecar, 'publish'), jest.spyOn(world.sidecar, 'transact')];
  for (let transaction = 0; transaction < 5; transaction += 1) {
    const events = [created(), released()];
    world.commit(...events);
    relay!.wake(events);
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
  start(world);
  await until(() => world.queries > 0);
  world.brokerDown.add('allocation.created');
  const event = created();
  world.commit(event);
  relay!.wake([event]);
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
  const { logger, value } = start(world);
  const before = world.queries;
  await until(() => world.queries > before + 3);
  expect(world.rows.size).toBe(2);
  expect(await value('outboxWaiting')).toBe(2);
  expect(logger.lines.map(({ level, result }) => [level, result])).toEqual([['warn', 'waiting']]);
  world.brokerDown.clear();
  await until(() => world.rows.size === 0);
  await relay!.stop();
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

describe('events that end a use', () => {
  test('go out by themselves and in one bundle, in their order; the others go out by themselves only', async () => {
    const world = new World();
    const events = [released(), created(), released(), released()];
    world.commit(...events.slice(0, 3));
    world.commit(events[3]!);
    const { value } = start(world);
    await until(() => world.rows.size === 0);
    expect(ids(world.broker).sort()).toEqual(ids(events).sort());
    expect(world.bundles.map(ids)).toEqual([ids([events[0]!, events[2]!, events[3]!])]);
    await relay!.stop();
    expect(await value('relayed')).toBe(4);
  });

  test.each([
    ['neither', 0, true, 2],
    ['the bundle only', 1, true, 2],
    ['the single event only', 0, false, 2],
    ['both', 1, false, 0],
  ])('when the broker takes %s, then the row stays until it has both', async (_, takesBundles, refused, left) => {
    const world = new World();
    const [first, second] = [released(), released()];
    world.takesBundles = takesBundles;
    if (refused) world.brokerDown.add('allocation.released');
    world.commit(first, second);
    const { relay } = start(world, 60_000);
    await until(() => world.queries > 0);
    await relay.stop();
    expect([...world.rows.values()].flat()).toHaveLength(left);
    expect([world.bundles.length, world.broker.length]).toEqual([takesBundles, refused ? 0 : 2]);
    world.takesBundles = Infinity;
    world.brokerDown.clear();
    start(world);
    await until(() => world.rows.size === 0);
    expect(new Set(ids(world.bundles.flat()))).toEqual(new Set(ids([first, second])));
    expect(new Set(ids(world.broker))).toEqual(new Set(ids([first, second])));
  });

  test('when one of a bundle was not taken by itself, then only that one comes in a bundle again', async () => {
    const world = new World();
    const [first, second] = [released(), released()];
    world.refuse.add(second.id);
    world.commit(first, second);
    start(world);
    await until(() => world.bundles.length === 2);
    world.refuse.clear();
    await until(() => world.rows.size === 0);
    expect(world.bundles.slice(0, 2).map(ids)).toEqual([ids([first, second]), [second.id]]);
  });

  test('that are 1,200 go out in three bundles; when the second is not taken, the third waits for it', async () => {
    const world = new World();
    const events = Array.from({ length: 1_200 }, released);
    start(world);
    await until(() => world.queries > 0);
    world.takesBundles = 1;
    world.commit(...events);
    relay!.wake(events);
    await until(() => [...world.rows.values()].flat().length === 700);
    expect(world.bundles.map(ids)).toEqual([ids(events.slice(0, 500))]);
    world.takesBundles = Infinity;
    await until(() => world.rows.size === 0);
    expect(world.bundles.map(({ length }) => length)).toEqual([500, 500, 200]);
    expect(ids(world.bundles.flat())).toEqual(ids(events));
  });

  test('that are large are divided by size, counted in bytes; one beyond the size goes alone', () => {
    const large = (letter: string, length: number) => ({ ...released(), source: letter.repeat(length) });
    const events = [
      ...Array.from({ length: 6 }, () => large('é', 100_000)),
      large('x', 600_000),
      ...Array.from({ length: 2 }, released),
    ];
    const bundles = bundlesOf(events);
    expect(bundles.map(({ length }) => length)).toEqual([2, 2, 2, 1, 2]);
    expect(ids(bundles.flat())).toEqual(ids(events));
    const sizes = bundles.map((bundle) => Buffer.byteLength(JSON.stringify(bundle)));
    expect(sizes.map((size) => size <= 512 * 1024)).toEqual([true, true, true, false, true]);
  });

  test('that fill a bundle to the byte stay in it', () => {
    const filling = { ...released(), source: '' };
    const fill = 512 * 1024 - Buffer.byteLength(JSON.stringify([filling, filling]));
    const full = { ...filling, source: 'x'.repeat(fill) };
    expect(bundlesOf([filling, full])).toHaveLength(1);
    expect(bundlesOf([filling, { ...full, source: `${full.source}x` }])).toHaveLength(2);
  });
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
  start(world);
  await until(() => world.queries > 0);
  await relay!.stop();
  const { queries } = world;
  world.write(created());
  relay!.wake();
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
