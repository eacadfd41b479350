import type { Inventory } from '../domain/inventory';
import type { AllocateCommand, PoolCommand } from '../domain/pool-commands';
import { MAX_WAITING, placeOf } from '../domain/queue';
import { allocate, POOL, release } from './support/builders';
import { at, Pool, resize, wants } from './support/waiting-pool';

describe('who waits', () => {
  test('what fits is granted at once; what does not waits, and is granted in the transaction of the release', () => {
    const pool = new Pool();
    const [first, second] = [wants(8), wants(5)];
    expect(pool.carryOut(0, first, second).outcomes).toEqual([
      { ok: true, madeId: first.allocation.id },
      { ok: true, madeId: second.allocation.id, waits: true },
    ]);
    expect(pool.status(second)).toBe('waiting');
    const { facts } = pool.carryOut(1, release(first.allocation.id));
    expect(facts.map(({ kind }) => kind)).toEqual(['released', 'allocated', 'request']);
    expect(pool.inventory).toMatchObject({ allocated: 5, waiting: [] });
    expect(pool.requests.get(second.allocation.id)).toMatchObject({ status: 'granted', endedAt: at(1) });
    // whoever asked may be gone: it ends by itself unless somebody renews it
    expect(pool.held.get(second.allocation.id)?.lease).toEqual({ seconds: 60, expiresAt: at(61) });
  });

  test('a lease of its own counts from the grant', () => {
    const pool = new Pool();
    const [first, second] = [wants(10), { ...allocate({ capacity: 1 }, undefined, 7), waitSeconds: 60 }];
    pool.carryOut(0, first, second);
    pool.carryOut(5, release(first.allocation.id));
    expect(pool.held.get(second.allocation.id)?.lease).toEqual({ seconds: 7, expiresAt: at(12) });
  });

  test('the same request again, its answer lost, waits once', () => {
    const pool = new Pool();
    const one = wants(8);
    pool.carryOut(0, wants(8), one);
    expect(pool.carryOut(1, one).outcomes).toEqual([{ ok: true, madeId: one.allocation.id, waits: true }]);
    expect(pool.inventory.waiting).toHaveLength(1);
  });

  test('no waiting for what can never be had, nor in a pool that is being emptied; one that is cordoned may open', () => {
    const refused = (overrides: Partial<Inventory>, capacity: number) =>
      new Pool(overrides).carryOut(0, wants(capacity)).outcomes[0];
    expect(refused({}, 11)).toMatchObject({ ok: false, error: { code: 'allocation.insufficient_capacity' } });
    expect(refused({ maxUnit: 3 }, 4)).toMatchObject({ ok: false, error: { code: 'allocation.above_max_unit' } });
    expect(refused({ state: 'draining' }, 1)).toMatchObject({ ok: false, error: { code: 'pool.draining' } });
    const pool = new Pool({ state: 'cordoned' });
    const one = wants(3);
    pool.carryOut(0, one);
    expect(placeOf(pool.inventory, one.allocation.id)).toEqual({ position: 1, reason: 'pool.cordoned' });
    pool.carryOut(1, resize(10, 2));
    expect(pool.status(one)).toBe('granted');
  });

  test('as many as may wait do; one more is told to come later', () => {
    const pool = new Pool();
    pool.carryOut(0, wants(10), wants(1));
    const waiting = Array.from({ length: MAX_WAITING - 1 }, (_, index) => {
      return { ...pool.inventory.waiting[0]!, id: `${index}` };
    });
    pool.inventory = { ...pool.inventory, waiting };
    expect(pool.carryOut(1, wants(1)).outcomes[0]).toMatchObject({ ok: true, waits: true });
    expect(pool.carryOut(1, wants(1)).outcomes[0]).toMatchObject({
      ok: false,
      error: { code: 'allocation.queue_full', kind: 'rate_limited', retryAfter: 5 },
    });
  });
});

describe('who goes first', () => {
  test('the higher priority, then first come', () => {
    const pool = new Pool();
    const holder = wants(10);
    const [low, high, alsoLow, alsoHigh] = [0, 5, 0, 5].map((priority) => wants(4, { priority }));
    pool.carryOut(0, holder, low!, high!, alsoLow!, alsoHigh!);
    const order = pool.inventory.waiting.map(({ id }) => id);
    expect(order).toEqual([high, alsoHigh, low, alsoLow].map((one) => one!.allocation.id));
    pool.carryOut(1, release(holder.allocation.id));
    expect([low, high, alsoLow, alsoHigh].map((one) => pool.status(one!))).toEqual([
      'waiting',
      'granted',
      'waiting',
      'granted',
    ]);
  });

  test('strict: nobody overtakes a big one at the head, not even who does not want to wait; a higher priority does', () => {
    const pool = new Pool();
    const [holder, big, small] = [wants(8), wants(5), wants(1)];
    pool.carryOut(0, holder, big, small);
    expect([pool.status(big), pool.status(small)]).toEqual(['waiting', 'waiting']);
    expect(placeOf(pool.inventory, small.allocation.id)).toEqual({ position: 2, reason: 'allocation.others_wait' });
    const plain = allocate({ capacity: 1 });
    expect(pool.carryOut(1, plain).outcomes[0]).toMatchObject({
      ok: false,
      error: { code: 'allocation.others_wait', facts: { requested: 1, available: 2, waiting: 2, pool_id: POOL } },
    });
    expect(pool.carryOut(2, { ...plain, priority: 1 }).outcomes[0]).toMatchObject({ ok: true });
  });

  test('strict: one that the pool could not even serve empty holds up nobody, and is served when the pool has grown', () => {
    const pool = new Pool();
    const [holder, big, small] = [wants(8), wants(9), wants(2)];
    pool.carryOut(0, holder, big);
    pool.carryOut(1, resize(8, 2), small);
    expect([pool.status(big), pool.status(small)]).toEqual(['waiting', 'waiting']);
    pool.carryOut(2, release(holder.allocation.id));
    expect([pool.status(big), pool.status(small)]).toEqual(['waiting', 'granted']);
    pool.carryOut(3, resize(11, 3));
    expect(pool.status(big)).toBe('granted');
  });

  test('best_effort: whatever fits is granted, in the same order', () => {
    const pool = new Pool({ queuePolicy: 'best_effort' });
    const [holder, big, small] = [wants(8), wants(5), wants(2)];
    pool.carryOut(0, holder, big);
    expect(pool.carryOut(1, small).outcomes).toEqual([{ ok: true, madeId: small.allocation.id }]);
    pool.carryOut(2, release(small.allocation.id), allocate({ capacity: 2 }));
    expect(pool.status(big)).toBe('waiting');
    pool.carryOut(3, release(holder.allocation.id));
    expect(pool.status(big)).toBe('granted');
  });
});

describe('who waits no longer', () => {
  test('whose time is over goes, and lets those behind pass, whatever order comes next', () => {
    const pool = new Pool();
    const [holder, big, small] = [wants(8), wants(5, { waitSeconds: 10 }), wants(2)];
    pool.carryOut(0, holder, big, small);
    pool.carryOut(9, { kind: 'serve' });
    expect([pool.status(big), pool.status(small)]).toEqual(['waiting', 'waiting']);
    pool.carryOut(10, { kind: 'serve' });
    expect([pool.status(big), pool.status(small)]).toEqual(['expired', 'granted']);
    expect(pool.inventory.allocated).toBe(10);
  });

  test('taken back: it leaves the line and lets others pass; granted already, it is released; twice is once', () => {
    const pool = new Pool();
    const [holder, big, small] = [wants(8), wants(5), wants(2)];
    pool.carryOut(0, holder, big, small);
    const cancel = (one: AllocateCommand): PoolCommand => {
      return { kind: 'cancel', requestId: one.allocation.id, cancelledBy: 'somebody', forTask: false };
    };
    pool.carryOut(1, cancel(big));
    expect([pool.status(big), pool.status(small), pool.inventory.allocated]).toEqual(['cancelled', 'granted', 10]);
    pool.carryOut(2, cancel(small), cancel(small), cancel(big));
    expect([pool.held.has(small.allocation.id), pool.inventory.allocated]).toEqual([false, 8]);
  });

  test('a pool that is closed sends them away', () => {
    const pool = new Pool({ state: 'cordoned' });
    const one = wants(1);
    pool.carryOut(0, one, { kind: 'close', revision: 2 });
    expect(pool.requests.get(one.allocation.id)).toMatchObject({ status: 'cancelled', reason: 'pool.not_found' });
    expect(pool.inventory).toMatchObject({ state: 'closed', waiting: [] });
  });
});
