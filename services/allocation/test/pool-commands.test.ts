import { AppError } from '../../../shared/errors';
import type { Inventory } from '../domain/inventory';
import type { Outcome, PoolCommand } from '../domain/pool-commands';
import {
  allocate,
  buildAllocation,
  buildInventory,
  buildState,
  decideInPool as decide,
  NOW,
  POOL,
  type PoolState,
  release,
} from './support/builders';

function codes(outcomes: readonly Outcome[]): string[] {
  return outcomes.map((outcome) => {
    if (outcome.ok) return 'ok';
    return outcome.error instanceof AppError ? outcome.error.code : outcome.error.message;
  });
}

function factsOf(outcome: Outcome | undefined): unknown {
  return outcome && !outcome.ok && outcome.error instanceof AppError ? outcome.error.facts : undefined;
}

describe('allocating', () => {
  test('takes the capacity and tells of it in one decision', () => {
    const command = { ...allocate({ capacity: 40 }), traceparent: '00-trace' };
    const decision = decide(buildState(), [command], NOW);
    const { leaseSeconds: _none, ...wanted } = command.allocation;
    expect(decision.outcomes).toEqual([{ ok: true, madeId: command.allocation.id }]);
    expect(decision.inventory).toMatchObject({ total: 100, allocated: 40 });
    expect(decision.facts).toEqual([
      {
        kind: 'allocated',
        allocation: buildAllocation({ ...wanted, createdAt: NOW }),
        traceparent: '00-trace',
      },
    ]);
  });

  test('more than is free is refused with both numbers, and a smaller one behind it still fits', () => {
    const decision = decide(
      buildState(),
      [allocate({ capacity: 60 }), allocate({ capacity: 60 }), allocate({ capacity: 40 })],
      NOW,
    );
    expect(codes(decision.outcomes)).toEqual(['ok', 'allocation.insufficient_capacity', 'ok']);
    expect(factsOf(decision.outcomes[1])).toEqual({ requested: 60, available: 40, pool_id: POOL });
    expect(decision.inventory?.allocated).toBe(100);
  });

  test('in a pool that is unknown or closed is 404, and nothing is to be written', () => {
    for (const inventory of [undefined, buildInventory({ state: 'closed', total: 0 })]) {
      const decision = decide(buildState({ inventory }), [allocate()], NOW);
      expect([codes(decision.outcomes), decision.facts, decision.inventory]).toEqual([
        ['pool.not_found'],
        [],
        inventory,
      ]);
    }
  });

  test('under an Idempotency-Key is done once within a batch and across batches; another content is refused', () => {
    const key = { id: 'key', fingerprint: 'a' };
    const [first, second] = [allocate({ capacity: 5 }, key), allocate({ capacity: 5 }, key)];
    const decision = decide(
      buildState(),
      [first, second, allocate({ capacity: 6 }, { id: 'key', fingerprint: 'b' })],
      NOW,
    );
    expect(codes(decision.outcomes)).toEqual(['ok', 'ok', 'request.idempotency_key_reused']);
    expect(decision.outcomes[1]).toEqual({ ok: true, madeId: first.allocation.id });
    expect(decision.inventory?.allocated).toBe(5);
    const remembered = new Map([['key', { fingerprint: 'a', madeId: first.allocation.id }]]);
    const later = decide(buildState({ remembered }), [allocate({}, key)], NOW);
    expect([later.outcomes, later.facts]).toEqual([[{ ok: true, madeId: first.allocation.id }], []]);
  });

  test('a refused request leaves its Idempotency-Key free', () => {
    const key = { id: 'key', fingerprint: 'a' };
    const decision = decide(buildState(), [allocate({ capacity: 101 }, key)], NOW);
    expect([codes(decision.outcomes), decision.facts]).toEqual([['allocation.insufficient_capacity'], []]);
  });

  test('an id that was chosen by the caller, taken and given back, is never taken again', () => {
    const command = allocate({ taskId: 'task' }, { id: 'once', fingerprint: 'a' });
    const remembered = new Map([['once', { fingerprint: 'a', madeId: command.allocation.id }]]);
    const decision = decide(buildState({ remembered }), [command], NOW);
    expect([codes(decision.outcomes), decision.facts]).toEqual([['allocation.given_back'], []]);
  });
});

describe('releasing', () => {
  const held = buildAllocation({ capacity: 7 });
  const state = (allocation = held): PoolState =>
    buildState({ inventory: buildInventory({ allocated: 7 }), allocations: new Map([[allocation.id, allocation]]) });

  test('gives the capacity back once; the second one finds nothing', () => {
    const decision = decide(state(), [release(held.id), release(held.id)], NOW);
    expect(codes(decision.outcomes)).toEqual(['ok', 'allocation.not_found']);
    expect(decision.inventory?.allocated).toBe(0);
    expect(decision.facts).toHaveLength(1);
  });

  test('what a release frees, the next allocation in the batch can have', () => {
    const full = { ...state(), inventory: buildInventory({ total: 7, allocated: 7 }) };
    expect(codes(decide(full, [release(held.id), allocate({ capacity: 7 })], NOW).outcomes)).toEqual(['ok', 'ok']);
  });

  test('what a task holds is released for the task only', () => {
    const ofTask = buildAllocation({ capacity: 7, taskId: POOL });
    expect(codes(decide(state(ofTask), [release(ofTask.id)], NOW).outcomes)).toEqual(['allocation.held_by_task']);
    expect(codes(decide(state(ofTask), [release(ofTask.id, { forTask: true })], NOW).outcomes)).toEqual(['ok']);
  });

  test('numbers that cannot be are a bug that fails its own command only', () => {
    const broken = { ...state(), inventory: buildInventory({ allocated: 3 }) };
    const decision = decide(broken, [release(held.id), allocate()], NOW);
    expect(codes(decision.outcomes)).toEqual([`pool ${POOL} has 3 allocated, of which 7 cannot be given back`, 'ok']);
  });
});

describe('changes that the catalogue asks for', () => {
  const apply = (inventory: Inventory | undefined, ...commands: PoolCommand[]) =>
    decide(buildState({ inventory }), commands, NOW);

  test('opening twice is opening once, and what was closed stays closed', () => {
    const opened = apply(undefined, { kind: 'open', total: 5, revision: 1 });
    expect(opened.inventory).toMatchObject({
      ...{ total: 5, allocated: 0, state: 'open', revision: 1, refused: false },
      ...{ overAllowed: false, drain: null, waiting: [], createdAt: NOW, updatedAt: NOW },
    });
    expect(apply(opened.inventory, { kind: 'open', total: 9, revision: 1 }).inventory).toBe(opened.inventory);
    const closed = apply(opened.inventory, { kind: 'close', revision: 2 });
    expect(codes(apply(closed.inventory, { kind: 'open', total: 5, revision: 1 }).outcomes)).toEqual([
      'pool.not_found',
    ]);
  });

  test('closing what was never opened makes an opening that is still on its way come too late', () => {
    const closed = apply(undefined, { kind: 'close', revision: 2 });
    expect(closed.inventory?.state).toBe('closed');
    expect(codes(apply(closed.inventory, { kind: 'open', total: 5, revision: 1 }).outcomes)).toEqual([
      'pool.not_found',
    ]);
    expect(codes(apply(closed.inventory, { kind: 'close', revision: 2 }).outcomes)).toEqual(['ok']);
  });

  test('a pool in use is neither closed nor made smaller than what is allocated', () => {
    const used = buildInventory({ allocated: 60 });
    const closing = apply(used, { kind: 'close', revision: 2 });
    expect([codes(closing.outcomes), factsOf(closing.outcomes[0])]).toEqual([['pool.in_use'], { allocated: 60 }]);
    const resizing = apply(used, { kind: 'resize', total: 59, revision: 2 });
    expect(codes(resizing.outcomes)).toEqual(['pool.capacity_below_allocated']);
    expect(factsOf(resizing.outcomes[0])).toEqual({ requested: 59, allocated: 60 });
    expect(apply(used, { kind: 'resize', total: 60, revision: 2 }).inventory).toMatchObject({
      total: 60,
      refused: false,
    });
  });

  test('a refused change stays refused when it is repeated, also after it would fit', () => {
    const refused = apply(buildInventory({ allocated: 60 }), { kind: 'close', revision: 2 });
    expect(refused.inventory).toMatchObject({ state: 'open', revision: 2, refused: true });
    const free = { ...refused.inventory!, allocated: 0 };
    expect(codes(apply(free, { kind: 'close', revision: 2 }).outcomes)).toEqual(['pool.in_use']);
    expect(codes(apply(free, { kind: 'close', revision: 3 }).outcomes)).toEqual(['ok']);
  });

  test('a change that arrives after a later one does nothing', () => {
    const later = apply(buildInventory(), { kind: 'resize', total: 80, revision: 3 });
    const stale = apply(later.inventory, { kind: 'resize', total: 50, revision: 2 }, { kind: 'close', revision: 2 });
    expect(codes(stale.outcomes)).toEqual(['pool.change_superseded', 'pool.change_superseded']);
    expect(stale.inventory).toBe(later.inventory);
  });
});
