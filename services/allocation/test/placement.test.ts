import fc from 'fast-check';
import { AppError } from '../../../shared/errors';
import { type Inventory, isOpen, take } from '../domain/inventory';
import { isOfKind, type Kind, place, type WantedClaim } from '../domain/placement';
import { buildInventory, NOW } from './support/builders';

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

test('a search that would take for ever is given up', () => {
  // 16 pairs of large ones, of which no two go into one of the 15 pools
  const claims = Array.from({ length: 32 }, (_, index) => any(index < 16 ? 20 : 2));
  const pools = gpus(...Array.from({ length: 300 }, (_, index) => (index < 15 ? 39 : 1)));
  const began = performance.now();
  expect(placed(claims, pools)[0]).toBe('allocation.insufficient_capacity');
  expect(performance.now() - began).toBeLessThan(1_000);
});

describe('against every possibility tried', () => {
  const spot = fc.constantFrom('here', 'there');
  const type = fc.constantFrom('GPU', 'GPU', 'GPU', 'CPU');
  const labels = fc.constantFrom({}, { a: '1' }, { a: '1', b: '2' });
  const wantedLabels = fc.constantFrom({}, {}, {}, { a: '1' }, { b: '2' });
  const pool = fc.record({
    resourceType: type,
    location: spot,
    labels,
    total: fc.integer({ min: 3, max: 9 }),
    allocated: fc.nat(3),
    stepSize: fc.constantFrom(1, 1, 2),
    minUnit: fc.constantFrom(1, 1, 2),
    maxUnit: fc.constantFrom(null, null, 3),
    state: fc.constantFrom('open' as const, 'open' as const, 'open' as const, 'cordoned' as const, 'closed' as const),
  });
  const kind = fc.record({
    resourceType: type,
    location: fc.constantFrom(undefined, undefined, 'here'),
    labels: wantedLabels.map((pairs) => Object.entries(pairs)),
  });
  const capacity = fc.integer({ min: 1, max: 5 });
  const claim: fc.Arbitrary<WantedClaim> = fc.oneof(
    { weight: 8, arbitrary: fc.record({ kind, capacity }) },
    { weight: 1, arbitrary: fc.record({ poolId: fc.constantFrom('p0', 'p0', 'p1', 'p4'), capacity }) },
  );

  /** As the transaction will take them: in the order of the claims. */
  function granted(claims: readonly WantedClaim[], pools: readonly Inventory[], poolIds: readonly string[]): boolean {
    const now = new Map(pools.map((each) => [each.poolId, each]));
    return claims.every((wanted, index) => {
      const chosen = now.get(poolIds[index]!);
      if (!isOpen(chosen) || ('kind' in wanted ? !isOfKind(chosen, wanted.kind) : wanted.poolId !== chosen.poolId)) {
        return false;
      }
      try {
        now.set(chosen.poolId, take(chosen, wanted.capacity, NOW));
        return true;
      } catch (error) {
        expect(error).toBeInstanceOf(AppError);
        return false;
      }
    });
  }

  function everyWay(length: number, pools: readonly Inventory[]): string[][] {
    if (length === 0) return [[]];
    return everyWay(length - 1, pools).flatMap((way) => pools.map(({ poolId }) => [...way, poolId]));
  }

  test('it finds a placement exactly when there is one, and the transaction grants it', () => {
    const scene = fc.record({
      pools: fc.array(pool, { minLength: 1, maxLength: 4 }),
      claims: fc.array(claim, { minLength: 1, maxLength: 4 }),
    });
    const seen = { placed: 0, refused: 0 };
    fc.assert(
      fc.property(scene, ({ pools, claims }) => {
        const inventories = pools.map((terms, index) => buildInventory({ ...terms, poolId: `p${index}` }));
        const placement = place(claims, inventories);
        if ('poolIds' in placement) {
          seen.placed += 1;
          expect(granted(claims, inventories, placement.poolIds)).toBe(true);
        } else {
          seen.refused += 1;
          expect(everyWay(claims.length, inventories).filter((way) => granted(claims, inventories, way))).toEqual([]);
        }
      }),
      { numRuns: 1_500 },
    );
    expect(Math.min(seen.placed, seen.refused)).toBeGreaterThan((seen.placed + seen.refused) / 15);
  });
});
