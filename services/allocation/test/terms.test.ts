import fc from 'fast-check';
import { capacityOf, DEFAULT_TERMS, type Terms } from '../../../shared/contracts/inventory';
import { AppError } from '../../../shared/errors';
import { inventoryRow, toInventoryRow } from '../adapters/rows';
import { available, type OpenInventory, refusalAtHead } from '../domain/inventory';
import type { PoolCommand } from '../domain/pool-commands';
import {
  allocate,
  buildAllocation,
  buildInventory,
  buildState,
  NOW,
  POOL,
  release,
  decideInPool as decide,
} from './support/builders';

/** Inventory as operators need it: portions, reserves, overcommitment, states, and resizes below what is allocated. */

const LATER = '2026-11-23T10:00:00.000Z';

function refusalOf(terms: Partial<Terms>, capacity: number) {
  const [outcome] = decide(buildState({ inventory: buildInventory(terms) }), [allocate({ capacity })], NOW).outcomes;
  return outcome?.ok === false && outcome.error instanceof AppError ? [outcome.error.code, outcome.error.facts] : 'ok';
}

const applied = (overrides: Parameters<typeof buildInventory>[0], command: PoolCommand, now = NOW) => {
  const { outcomes, inventory } = decide(buildState({ inventory: buildInventory(overrides) }), [command], now);
  const [outcome] = outcomes;
  return { code: outcome?.ok ? 'ok' : (outcome?.error as AppError).code, inventory };
};

describe('capacity', () => {
  test.each([
    [{ total: 100, reserved: 10, allocationRatio: 1 }, 90],
    [{ total: 100, reserved: 0, allocationRatio: 0.29 }, 29],
    [{ total: 3, reserved: 0, allocationRatio: 1.1 }, 3],
    [{ total: 10, reserved: 1, allocationRatio: 1.5 }, 13],
    [{ total: 4, reserved: 4, allocationRatio: 1000 }, 0],
    [{ total: 2 ** 53 - 1, reserved: 0, allocationRatio: 0.999 }, 8998192055486250],
  ])('of %p is %d, exactly', (terms, expected) => {
    expect(capacityOf(terms)).toBe(expected);
  });

  test('is what can be allocated, and no unit more', () => {
    const terms = { total: 10, reserved: 2, allocationRatio: 1.5 };
    expect(refusalOf(terms, 12)).toBe('ok');
    expect(refusalOf(terms, 13)).toEqual([
      'allocation.insufficient_capacity',
      { requested: 13, available: 12, pool_id: POOL },
    ]);
  });
});

describe('each rule that an allocation breaks has a code of its own, and its facts', () => {
  const facts = { requested: 5, pool_id: POOL };
  test.each([
    [{ minUnit: 6 }, ['allocation.below_min_unit', { ...facts, min_unit: 6 }]],
    [{ maxUnit: 4 }, ['allocation.above_max_unit', { ...facts, max_unit: 4 }]],
    [{ stepSize: 2 }, ['allocation.not_a_step', { ...facts, step_size: 2 }]],
    [{ state: 'cordoned' as const }, ['pool.cordoned', { pool_id: POOL }]],
    [{ state: 'draining' as const }, ['pool.draining', { pool_id: POOL }]],
    [{ minUnit: 5, maxUnit: 5, stepSize: 5 }, 'ok'],
  ])('%p', (terms, expected) => {
    expect(refusalOf(terms, 5)).toEqual(expected);
  });

  test('each is a conflict: the request is sound, and another time or pool may take it', () => {
    const terms = [{ minUnit: 6 }, { maxUnit: 4 }, { stepSize: 2 }, { total: 4 }];
    const states = (['cordoned', 'draining'] as const).map((state) => ({ state }));
    const kinds = [...terms, ...states].map((each) => refusalAtHead(buildInventory(each), 5)?.kind);
    expect(kinds).toEqual(kinds.map(() => 'conflict'));
  });

  test('what no waiting cures is said first', () => {
    expect(refusalOf({ state: 'cordoned', minUnit: 6, total: 1 }, 5)).toMatchObject(['allocation.below_min_unit', {}]);
  });

  test('what is held is given back in every state, and a repeated request still gets its answer', () => {
    for (const state of ['cordoned', 'draining'] as const) {
      const held = buildAllocation({ capacity: 7 });
      const before = buildState({
        inventory: buildInventory({ allocated: 7, state }),
        allocations: new Map([[held.id, held]]),
      });
      const { outcomes, inventory } = decide(before, [allocate({ ...held }), release(held.id)], NOW);
      expect([outcomes.map(({ ok }) => ok), inventory?.allocated]).toEqual([[true, true], 0]);
    }
  });
});

describe('a change that leaves less than is allocated', () => {
  const used = { total: 100, allocated: 60 };

  test.each([{ total: 59 }, { total: 100, reserved: 41 }, { total: 100, allocationRatio: 0.599 }])(
    'to %p is refused unless it is allowed',
    (terms) => {
      const command = { kind: 'resize' as const, revision: 2, ...terms };
      expect(applied(used, command)).toMatchObject({
        code: 'pool.capacity_below_allocated',
        inventory: { total: 100, reserved: 0, allocationRatio: 1, refused: true },
      });
      for (const mode of ['allow', 'drain'] as const) {
        const { code, inventory } = applied(used, { ...command, mode });
        expect([code, inventory]).toMatchObject(['ok', { ...terms, allocated: 60, overAllowed: true, refused: false }]);
        expect(available(inventory!)).toBe(0);
        expect(refusalOf(inventory as OpenInventory, 1)).toMatchObject([
          'allocation.insufficient_capacity',
          { available: 0 },
        ]);
      }
    },
  );

  test('one over its capacity may grow, and be cordoned, without being asked again; it may not shrink further', () => {
    const over = { ...used, total: 40, overAllowed: true };
    expect(applied(over, { kind: 'resize', total: 50, revision: 2 }).code).toBe('ok');
    expect(applied(over, { kind: 'resize', total: 40, state: 'cordoned', revision: 2 }).code).toBe('ok');
    expect(applied(over, { kind: 'resize', total: 39, revision: 2 }).code).toBe('pool.capacity_below_allocated');
  });

  test('drained: the release that brings it down to its capacity says so, and those before it do not', () => {
    const held = [5, 15, 40].map((capacity) => buildAllocation({ capacity }));
    const drain: PoolCommand = { kind: 'resize', total: 40, mode: 'drain', revision: 2 };
    let { inventory } = applied(used, drain);
    expect(inventory?.drain).toEqual({ to: 40, since: NOW, drainedAt: null });
    const seen = held.map((one, index) => {
      const before = buildState({ inventory, allocations: new Map([[one.id, one]]) });
      inventory = decide(before, [release(one.id)], index < 2 ? LATER : '2026-11-23T11:00:00.000Z').inventory;
      return [inventory?.allocated, inventory?.drain?.drainedAt, inventory?.overAllowed];
    });
    expect(seen).toEqual([
      [55, null, true],
      [40, LATER, false],
      [0, LATER, false],
    ]);
  });

  test('draining to what fits already is done at once; the next change of the terms ends the matter', () => {
    const fits = applied(used, { kind: 'resize', total: 60, mode: 'drain', revision: 2 }).inventory!;
    expect(fits.drain).toEqual({ to: 60, since: NOW, drainedAt: NOW });
    expect(applied(fits, { kind: 'resize', total: 70, revision: 3 }).inventory?.drain).toBeNull();
  });

  test('a new label leaves a drain as it is', () => {
    const draining = applied(used, { kind: 'resize', total: 40, mode: 'drain', revision: 2 }).inventory!;
    const labelled = applied(draining, { kind: 'resize', total: 40, labels: { tier: 'spot' }, revision: 3 }).inventory;
    expect(labelled).toMatchObject({ labels: { tier: 'spot' }, drain: draining.drain, overAllowed: true });
  });
});

describe('the state draining', () => {
  test('says when the last allocation has gone; a change of something else does not begin it anew', () => {
    const held = buildAllocation({ capacity: 7 });
    const draining = applied(
      { allocated: 7 },
      { kind: 'resize', total: 100, state: 'draining', revision: 2 },
    ).inventory!;
    expect(draining.drain).toEqual({ to: 0, since: NOW, drainedAt: null });
    const changed = applied(draining, { kind: 'resize', total: 90, state: 'draining', revision: 3 }, LATER).inventory!;
    expect(changed.drain).toEqual(draining.drain);
    const before = buildState({ inventory: changed, allocations: new Map([[held.id, held]]) });
    const empty = decide(before, [release(held.id)], LATER).inventory!;
    expect(empty.drain).toEqual({ to: 0, since: NOW, drainedAt: LATER });
    expect(applied(empty, { kind: 'resize', total: 90, state: 'open', revision: 4 }).inventory?.drain).toBeNull();
  });

  test('of an empty pool, or of a new one, is drained at once', () => {
    const done = { to: 0, since: NOW, drainedAt: NOW };
    expect(applied({}, { kind: 'resize', total: 100, state: 'draining', revision: 2 }).inventory?.drain).toEqual(done);
    const opened = decide(
      buildState({ inventory: undefined }),
      [{ kind: 'open', total: 5, state: 'draining', revision: 1 }],
      NOW,
    );
    expect(opened.inventory).toMatchObject({ state: 'draining', drain: done });
  });
});

test('a row from before there were terms reads as a pool with the usual ones, and every row comes back as it was', () => {
  const inventory = buildInventory({ allocated: 3 });
  const { pool_id, total, allocated, state, revision, refused, created_at, updated_at } = toInventoryRow(inventory);
  const old = { pool_id, total, allocated, state, revision, refused, created_at, updated_at };
  expect(inventoryRow.parse(old)).toEqual(inventory);
  const full = buildInventory({
    reserved: 5,
    allocationRatio: 1.5,
    minUnit: 2,
    maxUnit: 8,
    stepSize: 2,
    state: 'draining',
    overAllowed: true,
    drain: { to: 0, since: NOW, drainedAt: null },
  });
  expect(inventoryRow.parse(toInventoryRow(full))).toEqual(full);
});

test('whatever is asked, nothing is granted against the terms of the moment', () => {
  const aTerm = fc.record({
    total: fc.integer({ min: 1, max: 20 }),
    reserved: fc.integer({ min: 0, max: 5 }),
    allocationRatio: fc.constantFrom(0.5, 1, 1.25, 2),
    minUnit: fc.integer({ min: 1, max: 3 }),
    maxUnit: fc.constantFrom(null, 3, 5),
    stepSize: fc.integer({ min: 1, max: 2 }),
    state: fc.constantFrom('open' as const, 'cordoned' as const, 'draining' as const),
    mode: fc.constantFrom('refuse' as const, 'allow' as const, 'drain' as const),
  });
  const ids = Array.from({ length: 8 }, () => buildAllocation().id);
  const aStep = fc.oneof(
    aTerm.map((terms) => ({
      kind: 'resize' as const,
      revision: 0,
      ...terms,
      reserved: Math.min(terms.reserved, terms.total),
    })),
    fc.record({ id: fc.constantFrom(...ids), capacity: fc.integer({ min: 1, max: 6 }) }).map((one) => allocate(one)),
    fc.constantFrom(...ids).map((id) => release(id)),
  );
  fc.assert(
    fc.property(fc.array(aStep, { maxLength: 60 }), (steps) => {
      let state = buildState({ inventory: buildInventory({ ...DEFAULT_TERMS, total: 10 }) });
      let revision = 1;
      for (const step of steps) {
        const before = state.inventory!;
        const command = step.kind === 'resize' ? { ...step, revision: (revision += 1) } : step;
        const decision = decide(state, [command], NOW);
        const after = decision.inventory!;
        const allocations = new Map(state.allocations);
        for (const fact of decision.facts) {
          if (fact.kind === 'released') allocations.delete(fact.allocation.id);
          if (fact.kind !== 'allocated') continue;
          const { capacity } = fact.allocation;
          allocations.set(fact.allocation.id, fact.allocation);
          expect([before.state, capacity % before.stepSize, capacity >= before.minUnit]).toEqual(['open', 0, true]);
          expect(capacity).toBeLessThanOrEqual(before.maxUnit ?? Infinity);
          expect(after.allocated).toBeLessThanOrEqual(capacityOf(before));
        }
        const held = [...allocations.values()].reduce((sum, { capacity }) => sum + capacity, 0);
        expect(after.allocated).toBe(held);
        // more than there is only where that was allowed
        if (!after.overAllowed) expect(held).toBeLessThanOrEqual(capacityOf(after));
        if (after.drain) expect(after.drain.drainedAt === null).toBe(held > after.drain.to);
        state = { ...state, inventory: after, allocations };
      }
    }),
    { numRuns: 300 },
  );
});
