import fc from 'fast-check';
import { AppError } from '../../../shared/errors';
import { type Inventory, isOpen, take } from '../domain/inventory';
import { isOfKind, place, type WantedClaim } from '../domain/placement';
import { buildInventory, NOW } from './support/builders';

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
