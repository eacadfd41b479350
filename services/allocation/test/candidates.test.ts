import { candidatesOf, isOfKind } from '../domain/placement';
import { buildInventory } from './support/builders';

/** Which pools are of a kind, and in which order they are taken. */

const pool = (poolId: string, total: number, more: object = {}) =>
  buildInventory({
    poolId,
    total,
    resourceType: 'gpu',
    location: 'here',
    labels: { tier: 'spot', os: 'linux' },
    ...more,
  });

test.each([
  ['its type alone', { labels: [] }, {}, true],
  ['another type', { labels: [] }, { resourceType: 'cpu' }, false],
  ['its place', { location: 'here', labels: [] }, {}, true],
  ['another place', { location: 'there', labels: [] }, {}, false],
  ['all of its labels', { labels: [['tier', 'spot'] as const, ['os', 'linux'] as const] }, {}, true],
  [
    'one label that it has, and one that it has not',
    { labels: [['tier', 'spot'] as const, ['os', 'bsd'] as const] },
    {},
    false,
  ],
  ['its type, but it is closed', { labels: [] }, { state: 'closed' }, false],
])('a pool is of a kind by %s', (_, kind, more, expected) => {
  expect(isOfKind(pool('a', 1, more), { resourceType: 'gpu', ...kind })).toBe(expected);
});

test('the best fit comes first, of equal ones the first by id; what takes nothing is counted by its reason', () => {
  const pools = [pool('d', 9), pool('c', 5), pool('b', 3, { maxUnit: 1 }), pool('a', 5), pool('e', 4), pool('f', 1)];
  const { takers, rejected } = candidatesOf([...pools, pool('g', 2)], 4);
  expect(takers.map(({ poolId }) => poolId)).toEqual(['e', 'a', 'c', 'd']);
  expect(rejected).toEqual({ 'allocation.above_max_unit': 1, 'allocation.insufficient_capacity': 2 });
});
