import type { Inventory } from '../domain/inventory';
import { type Kind, place, type WantedClaim } from '../domain/placement';
import { buildInventory } from './support/builders';

/** Which pools several claims come to lie in. */

const GPU: Kind = { resourceType: 'GPU', labels: [] };
const gpus = (...free: number[]) =>
  free.map((total, index) => buildInventory({ poolId: `p${index}`, resourceType: 'GPU', total }));
const any = (capacity: number, kind: Partial<Kind> = {}): WantedClaim => ({ capacity, kind: { ...GPU, ...kind } });
const placed = (claims: WantedClaim[], pools: Inventory[]) => {
  const placement = place(claims, pools);
  return 'poolIds' in placement ? placement.poolIds : [placement.refusal.code, placement.refusal.facts];
};

test.each([
  ['the pool with the least left afterwards', [any(3)], [9, 3, 5], ['p1']],
  ['of equal ones the first by id', [any(3)], [5, 4, 4], ['p1']],
  ['a named pool before anything else may lie in it', [any(3), { capacity: 2, poolId: 'p0' }], [4, 9], ['p1', 'p0']],
  ['the largest first, whatever their order', [any(1), any(5), any(4)], [5, 5], ['p1', 'p0', 'p1']],
  ['several in one pool', [any(2), any(2)], [4, 1], ['p0', 'p0']],
  [
    'not what fits best at first, where that leads nowhere',
    [any(5), any(4), any(3), any(3)],
    [7, 8],
    ['p1', 'p0', 'p0', 'p1'],
  ],
])('chosen is %s', (_story, claims, free, expected) => {
  expect(placed(claims, gpus(...free))).toEqual(expected);
});

test('chosen is what fits best beside the claims before it', () => {
  const inventory = { resourceType: 'GPU', location: 'here' };
  const pools = [...gpus(10), buildInventory({ ...inventory, poolId: 'p1', total: 12 })];
  expect(placed([any(7, { location: 'here' }), any(3)], pools)).toEqual(['p1', 'p1']);
});

describe('why there is no placement', () => {
  const asked = { resource_type: 'GPU' };
  const here = (overrides: Partial<Inventory>) => buildInventory({ resourceType: 'GPU', ...overrides });
  const short = 'allocation.insufficient_capacity';

  test.each<[string, WantedClaim[], Inventory[], unknown]>([
    [
      'one claim is too large: it, and the most that a pool has',
      [any(1), any(8)],
      gpus(5, 7),
      [short, { ...asked, requested: 8, available: 7, rejected: { [short]: 2 } }],
    ],
    [
      'all of them fit, but not together: what is left beside the others',
      [any(4), any(4), any(4)],
      gpus(5, 7),
      [short, { ...asked, requested: 4, available: 3, rejected: { [short]: 2 } }],
    ],
    [
      'the first that fits nowhere is told, in the order of the claims',
      [any(9), any(1, { location: 'there', labels: [['a', 'b']] })],
      gpus(5),
      [short, { ...asked, requested: 9, available: 5, rejected: { [short]: 1 } }],
    ],
    [
      'the kind is unknown in that place, with those labels',
      [any(1), any(1, { location: 'there', labels: [['a', 'b']] })],
      gpus(5),
      ['allocation.no_such_kind', { ...asked, location: 'there', labels: { a: 'b' } }],
    ],
    [
      'no pool lacks capacity: what one of them says',
      [any(1)],
      [here({ poolId: 'p0', state: 'cordoned' }), here({ poolId: 'p1', minUnit: 2 })],
      ['pool.cordoned', { ...asked, pool_id: 'p0', rejected: { 'pool.cordoned': 1, 'allocation.below_min_unit': 1 } }],
    ],
    [
      'a pool that would have enough is cordoned: it does not count as available',
      [any(3)],
      [here({ poolId: 'p0', state: 'cordoned' }), here({ poolId: 'p1', total: 2 })],
      [short, { ...asked, requested: 3, available: 2, rejected: { 'pool.cordoned': 1, [short]: 1 } }],
    ],
    [
      'a named pool has too little',
      [any(1), { capacity: 6, poolId: 'p0' }],
      gpus(5, 9),
      [short, { requested: 6, available: 5, pool_id: 'p0' }],
    ],
    [
      'a named pool is unknown',
      [any(1), { capacity: 6, poolId: 'p9' }],
      gpus(5),
      ['pool.not_found', { pool_id: 'p9' }],
    ],
  ])('%s', (_story, claims, pools, expected) => {
    expect(placed(claims, pools)).toEqual(expected);
  });
});

test.each([
  ['a kind that there is not', 'not_found', any(1, { location: 'there' })],
  ['too little of a kind', 'conflict', any(9)],
])('%s is refused as %s', (_what, kind, claim) => {
  expect(place([claim], gpus(5))).toMatchObject({ refusal: { kind } });
});

test('a search that would take for ever is given up', () => {
  // 16 pairs of large ones, of which no two go into one of the 15 pools
  const claims = Array.from({ length: 32 }, (_, index) => any(index < 16 ? 20 : 2));
  const pools = gpus(...Array.from({ length: 300 }, (_, index) => (index < 15 ? 39 : 1)));
  const began = performance.now();
  expect(placed(claims, pools)[0]).toBe('allocation.insufficient_capacity');
  expect(performance.now() - began).toBeLessThan(1_000);
});
