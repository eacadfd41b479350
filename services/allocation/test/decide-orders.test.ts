import { AppError } from '../../../shared/errors';
import { decide } from '../domain/decide';
import type { Order, Outcome, State } from '../domain/pool-commands';
import { placeOf, withdraw } from '../domain/queue';
import { allocate, buildAllocation, buildInventory, NOW, POOL, release } from './support/builders';
import { at, Pool, wants } from './support/waiting-pool';

/** What each order does, and to whom it is refused; that nothing is oversold is in the tests of sequences. */

const codeOf = (outcome: Outcome | undefined): string | undefined =>
  outcome?.ok ? 'ok' : outcome?.error instanceof AppError ? outcome.error.code : String(outcome?.error);
const held = buildAllocation({ capacity: 7 });
const ofTask = buildAllocation({ capacity: 7, taskId: 'task' });

function decided(order: Order, state: Partial<State> = {}, now = NOW) {
  const inventories = new Map([[POOL, buildInventory({ allocated: 14 })]]);
  const allocations = new Map([held, ofTask].map((each) => [each.id, each]));
  return decide({ inventories, allocations, remembered: new Map(), requests: new Map(), ...state }, [order], now);
}

describe('a task that asks for capacity', () => {
  const ask = (more: object = {}) => ({ ...wants(4, more), allocation: { ...wants(4).allocation, taskId: 'task' } });
  const cancel = (id: string, forTask = true) => {
    return { kind: 'cancel' as const, requestId: id, cancelledBy: 'somebody', forTask };
  };

  test('is answered by how things stand, however often it asks', () => {
    const pool = new Pool();
    const [holder, one] = [wants(8), ask()];
    const waits = { ok: true, madeId: one.allocation.id, waits: true };
    expect(pool.carryOut(0, holder, one).outcomes[1]).toEqual(waits);
    expect(pool.carryOut(1, one).outcomes).toEqual([waits]);
    expect(pool.inventory.waiting).toHaveLength(1);
    pool.carryOut(2, release(holder.allocation.id));
    expect(pool.held.get(one.allocation.id)).toMatchObject({ poolId: POOL, taskId: 'task', groupId: null });
    const granted = pool.carryOut(3, one);
    expect([granted.outcomes, granted.facts]).toEqual([[{ ok: true, madeId: one.allocation.id }], []]);
  });

  test('hears of its wait that was in vain, with what is free now, also when that would be enough', () => {
    const pool = new Pool();
    const [holder, one] = [wants(8), ask({ waitSeconds: 5 })];
    pool.carryOut(0, holder, one);
    const late = pool.carryOut(5, one).outcomes[0];
    const facts = { requested: 4, available: 2, pool_id: POOL };
    expect(late).toMatchObject({ error: { code: 'allocation.insufficient_capacity', facts } });
    pool.carryOut(6, release(holder.allocation.id));
    const facing = { code: 'allocation.insufficient_capacity', facts: { ...facts, available: 10 } };
    expect(pool.carryOut(7, one).outcomes[0]).toMatchObject({ error: facing });
    pool.carryOut(8, { kind: 'resize', total: 10, revision: 2, state: 'cordoned' });
    expect(codeOf(pool.carryOut(9, one).outcomes[0])).toBe('pool.cordoned');
  });

  test('comes too late once it took it back, and when its allocation has ended', () => {
    const pool = new Pool();
    const one = ask();
    pool.carryOut(0, wants(8), one, cancel(one.allocation.id));
    expect(pool.requests.get(one.allocation.id)).toMatchObject({ reason: 'allocation_request.cancelled' });
    expect(codeOf(pool.carryOut(1, one).outcomes[0])).toBe('allocation.given_back');
    const order = { ...ask(), poolId: POOL };
    const ended = decided(order, { ended: new Set([order.allocation.id]) });
    expect([codeOf(ended.outcomes[0]), ended.facts]).toEqual(['allocation.given_back', []]);
    expect(codeOf(decided(order, { ended: new Set(['another']) }).outcomes[0])).toBe('ok');
  });

  test('hears that its pool is gone', () => {
    const pool = new Pool({ state: 'cordoned' });
    const one = ask();
    pool.carryOut(0, one, { kind: 'close', revision: 2 });
    expect(codeOf(pool.carryOut(1, one).outcomes[0])).toBe('pool.not_found');
  });

  test('is the only one who takes it back, whether it waits or was granted', () => {
    const pool = new Pool();
    const [holder, one] = [wants(8), ask()];
    const { id } = one.allocation;
    pool.carryOut(0, holder, one);
    const refusal = { error: { code: 'allocation.held_by_task', facts: { allocation_id: id, task_id: 'task' } } };
    expect(pool.carryOut(1, cancel(id, false)).outcomes[0]).toMatchObject(refusal);
    pool.carryOut(2, release(holder.allocation.id));
    expect(pool.carryOut(3, cancel(id, false)).outcomes[0]).toMatchObject(refusal);
    const { outcomes, facts } = pool.carryOut(4, cancel(id));
    expect(outcomes).toEqual([{ ok: true, madeId: id }]);
    expect(facts).toMatchObject([{ kind: 'released', releasedBy: 'somebody', reason: 'released', releasedAt: at(4) }]);
  });
});

describe('a request that waits under an Idempotency-Key', () => {
  const idempotency = { id: 'key', fingerprint: 'a' };

  test('is remembered as one that waits, and answered so', () => {
    const order = { ...wants(90, { idempotency, traceparent: '00-trace' }), poolId: POOL };
    const { outcomes, facts, inventories } = decided(order);
    const { id } = order.allocation;
    expect(outcomes).toEqual([{ ok: true, madeId: id, waits: true }]);
    const answer = { fingerprint: 'a', madeId: id, waits: true as const };
    expect(facts).toMatchObject([
      { kind: 'request', request: { id, poolId: POOL, status: 'waiting', endedAt: null, reason: null } },
      { kind: 'remembered', id: 'key', answer },
    ]);
    expect(inventories.get(POOL)?.waiting).toMatchObject([
      { id, priority: 0, createdAt: NOW, expiresAt: at(60), traceparent: '00-trace' },
    ]);
    expect(inventories.get(POOL)?.updatedAt).toBe(NOW);
    const again = decided(order, { remembered: new Map([['key', answer]]) });
    expect([again.outcomes, again.facts]).toEqual([outcomes, []]);
  });

  test('the same id again, whatever became of it, is not made twice', () => {
    const order = { ...allocate(), poolId: POOL };
    const { id } = order.allocation;
    const again = decided(order, { ended: new Set([id]) });
    expect([again.outcomes, again.facts]).toEqual([[{ ok: true, madeId: id }], []]);
  });
});

describe('a lease', () => {
  const renew = (allocationId: string, seconds: number | null | undefined, forTask = false): Order => {
    return { kind: 'renew', poolId: POOL, allocationId, seconds, forTask };
  };
  const leased = { ...held, lease: { seconds: 30, expiresAt: at(20) } };
  const allocations = new Map([[leased.id, leased]]);

  test.each([
    ['as it was', undefined, { seconds: 30, expiresAt: at(40) }],
    ['for another time', 5, { seconds: 5, expiresAt: at(15) }],
    ['for ever', null, null],
  ])('is renewed from now on, %s', (_, seconds, lease) => {
    const { outcomes, facts } = decided(renew(held.id, seconds), { allocations }, at(10));
    expect(outcomes).toEqual([{ ok: true, madeId: held.id }]);
    expect(facts).toEqual([{ kind: 'renewed', allocation: { ...leased, lease, updatedAt: at(10) } }]);
  });

  test('where there is none, one is begun by saying how long; a task keeps its own', () => {
    expect(codeOf(decided(renew(held.id, undefined)).outcomes[0])).toBe('allocation.not_leased');
    expect(codeOf(decided(renew(held.id, 9)).outcomes[0])).toBe('ok');
    expect(codeOf(decided(renew(ofTask.id, 9)).outcomes[0])).toBe('allocation.held_by_task');
    expect(codeOf(decided(renew(ofTask.id, 9, true)).outcomes[0])).toBe('ok');
    expect(codeOf(decided({ ...renew(held.id, 9), poolId: 'another' } as Order).outcomes[0])).toBe(
      'allocation.not_found',
    );
  });

  test('ends when its time is over, and not before; what has none, or is gone, stays as it is', () => {
    const expire = (allocationId: string, now: string) =>
      decided({ kind: 'expire', poolId: POOL, allocationId }, { allocations: new Map([...allocations]) }, now);
    expect(expire(held.id, at(19)).facts).toEqual([]);
    expect(expire(held.id, at(20)).facts).toMatchObject([
      { kind: 'released', allocation: leased, releasedBy: 'system', reason: 'expired', releasedAt: at(20) },
    ]);
    expect(expire('gone', at(99))).toMatchObject({ outcomes: [{ ok: true }], facts: [] });
    const unleased = decided({ kind: 'expire', poolId: POOL, allocationId: held.id }, {}, at(99));
    expect([unleased.outcomes, unleased.facts]).toEqual([[{ ok: true }], []]);
  });
});

describe('a group', () => {
  const claims = [
    { allocationId: 'a', poolId: POOL, capacity: 80 },
    { allocationId: 'b', poolId: POOL, capacity: 6 },
  ];
  const group = { kind: 'allocate_group' as const, groupId: 'g', serviceId: 's', createdBy: 'me' };

  test('is held whole, of one pool twice too, and remembered', () => {
    const order = { ...group, claims, traceparent: '00-trace', idempotency: { id: 'key', fingerprint: 'a' } };
    const { outcomes, facts, inventories } = decided(order);
    expect(outcomes).toEqual([{ ok: true, madeId: 'g' }]);
    expect(inventories.get(POOL)?.allocated).toBe(100);
    const common = { poolId: POOL, serviceId: 's', createdBy: 'me', taskId: null, groupId: 'g', lease: null };
    const made = claims.map(({ allocationId: id, capacity }) => ({
      kind: 'allocated',
      allocation: { id, capacity, ...common, createdAt: NOW, updatedAt: NOW },
      traceparent: '00-trace',
    }));
    expect(facts).toEqual([...made, { kind: 'remembered', id: 'key', answer: { fingerprint: 'a', madeId: 'g' } }]);
    const again = decided(order, { remembered: new Map([['key', { fingerprint: 'a', madeId: 'g' }]]) });
    expect([again.outcomes, again.facts]).toEqual([outcomes, []]);
  });

  test('is not held at all when one claim is too much; and not twice, also when its answer was lost', () => {
    const tooMuch = decided({ ...group, claims: [claims[0]!, { ...claims[1]!, capacity: 7 }] });
    expect([codeOf(tooMuch.outcomes[0]), tooMuch.facts, tooMuch.inventories.size]).toEqual([
      ...['allocation.insufficient_capacity', [], 0],
    ]);
    const lost = decided({ ...group, claims }, { ended: new Set(['b']) });
    expect([lost.outcomes, lost.facts]).toEqual([[{ ok: true, madeId: 'g' }], []]);
  });

  test('is released with what is left of it, and nothing else', () => {
    const mine = ['a', 'b'].map((id) => buildAllocation({ id, capacity: 3, groupId: 'g' }));
    const allocations = new Map([...mine, held].map((each) => [each.id, each]));
    const member = (allocationId: string) => ({ poolId: POOL, allocationId });
    const order: Order = {
      ...{ kind: 'release_group', groupId: 'g', releasedBy: 'me', traceparent: '00-trace' },
      members: ['a', 'gone', 'b', held.id].map(member),
    };
    const { outcomes, facts, inventories } = decided(order, { allocations });
    expect(outcomes).toEqual([{ ok: true, madeId: 'g' }]);
    const told = { releasedAt: NOW, releasedBy: 'me', reason: 'released', traceparent: '00-trace' };
    expect(facts).toEqual(mine.map((allocation) => ({ kind: 'released', allocation, ...told })));
    expect(inventories.get(POOL)?.allocated).toBe(8);
    expect(codeOf(decided({ ...order, groupId: 'other' }, { allocations }).outcomes[0])).toBe('group.not_found');
  });
});

test('a look at a pool writes nothing where nobody is granted and nobody gives up; one that is not there is not made', () => {
  const pool = new Pool();
  pool.carryOut(0, wants(8), wants(5));
  expect(pool.carryOut(1, { kind: 'serve' }).inventories.size).toBe(0);
  expect(decided({ kind: 'serve', poolId: 'nowhere' }).inventories.size).toBe(0);
});

test('a resize that was done is done when it is repeated, though it would be refused by now', () => {
  const resize: Order = { kind: 'resize', poolId: POOL, total: 20, revision: 2 };
  const { inventories } = decided(resize);
  const full = new Map([[POOL, { ...inventories.get(POOL)!, allocated: 21 }]]);
  const again = decided(resize, { inventories: full });
  expect([codeOf(again.outcomes[0]), again.inventories.size]).toEqual(['ok', 0]);
});

test('a resize that was refused is refused for the same reason when it is repeated', () => {
  const inventories = new Map([[POOL, buildInventory({ allocated: 60 })]]);
  const resize: Order = { kind: 'resize', poolId: POOL, total: 59, revision: 2 };
  const first = decided(resize, { inventories });
  const again = decided(resize, { inventories: first.inventories });
  expect([first, again].map(({ outcomes }) => codeOf(outcomes[0]))).toEqual([
    ...['pool.capacity_below_allocated', 'pool.capacity_below_allocated'],
  ]);
});

test('a pool that a repeated change leaves open keeps who waits for it', () => {
  const pool = new Pool({ state: 'cordoned', revision: 2 });
  const one = wants(1);
  pool.carryOut(0, one, { kind: 'close', revision: 2 });
  expect([pool.status(one), pool.inventory.waiting.length]).toEqual(['waiting', 1]);
});

describe('who stands in line', () => {
  test('has a place and a reason; who does not, has neither, and cannot be taken out of it', () => {
    const pool = new Pool();
    const [first, second] = [wants(5), wants(3)];
    pool.carryOut(0, wants(8), first, second);
    expect(placeOf(pool.inventory, first.allocation.id)).toEqual({
      ...{ position: 1, reason: 'allocation.insufficient_capacity' },
    });
    // room was made, and the next look at the pool grants it
    expect(placeOf({ ...pool.inventory, allocated: 0 }, first.allocation.id)?.reason).toBe(
      'allocation.insufficient_capacity',
    );
    expect(placeOf(pool.inventory, 'nobody')).toBeUndefined();
    expect(withdraw(pool.inventory, 'nobody', at(1))).toEqual({ inventory: pool.inventory });
    const { inventory, withdrawn } = withdraw(pool.inventory, first.allocation.id, at(1));
    expect([withdrawn?.id, inventory.waiting.map(({ id }) => id), inventory.updatedAt]).toEqual([
      ...[first.allocation.id, [second.allocation.id], at(1)],
    ]);
  });
});
