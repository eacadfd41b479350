import { bundlesOf } from '../bundles';
import { ids, released, created, start, until, World } from './outbox-world';

test('events that end a use go out by themselves and in one bundle, in their order; the others by themselves only', async () => {
  const world = new World();
  const events = [released(), created(), released(), released()];
  world.commit(...events.slice(0, 3));
  world.commit(events[3]!);
  const { relay, value } = start(world);
  await until(() => world.rows.size === 0);
  expect(ids(world.broker).sort()).toEqual(ids(events).sort());
  expect(world.bundles.map(ids)).toEqual([ids([events[0]!, events[2]!, events[3]!])]);
  await relay.stop();
  expect(await value('relayed')).toBe(4);
});

test.each([
  ['neither', 0, true, 2],
  ['the bundle only', 1, true, 2],
  ['the single event only', 0, false, 2],
  ['both', 1, false, 0],
])(
  'when the broker takes of two ends of uses %s, then the row stays until it has both',
  async (_, takesBundles, refused, left) => {
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
  },
);

test('when one event of a bundle was not taken by itself, then only that one comes in a bundle again', async () => {
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

test('1,200 ends of uses go out in three bundles; when the second is not taken, the third waits for it', async () => {
  const world = new World();
  const events = Array.from({ length: 1_200 }, released);
  const { relay } = start(world);
  await until(() => world.queries > 0);
  world.takesBundles = 1;
  world.commit(...events);
  relay.wake(events);
  await until(() => [...world.rows.values()].flat().length === 700);
  expect(world.bundles.map(ids)).toEqual([ids(events.slice(0, 500))]);
  world.takesBundles = Infinity;
  await until(() => world.rows.size === 0);
  expect(world.bundles.map(({ length }) => length)).toEqual([500, 500, 200]);
  expect(ids(world.bundles.flat())).toEqual(ids(events));
});

test('large events are divided by size, counted in bytes; one beyond the size goes alone', () => {
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

test('events that fill a bundle to the byte stay in it', () => {
  const filling = { ...released(), source: '' };
  const fill = 512 * 1024 - Buffer.byteLength(JSON.stringify([filling, filling]));
  const full = { ...filling, source: 'x'.repeat(fill) };
  expect(bundlesOf([filling, full])).toHaveLength(1);
  expect(bundlesOf([filling, { ...full, source: `${full.source}x` }])).toHaveLength(2);
});
