import fc from 'fast-check';
import { decide } from '../domain/decide';
import type { Allocation, Inventory, WaitingRequest } from '../domain/inventory';
import type { AllocateCommand, Decision, PoolCommand, State } from '../domain/pool-commands';
import { type AllocationRequest, MAX_WAITING, placeOf } from '../domain/queue';
import { allocate, buildInventory, NOW, POOL, release } from './support/builders';

const START = Date.parse(NOW);
const at = (seconds: number): string => new Date(START + seconds * 1000).toISOString();

/** One pool, what is held of it and who waits, as they are after each decision. */
class Pool {
  readonly held = new Map<string, Allocation>();
  readonly requests = new Map<string, AllocationRequest>();
  inventory: Inventory;

  constructor(overrides: Partial<Inventory> = {}) {
    this.inventory = buildInventory({ total: 10, ...overrides });
  }

  carryOut(seconds: number, ...commands: PoolCommand[]): Decision {
    const inventories = new Map([[POOL, this.inventory]]);
    const state: State = { inventories, allocations: this.held, remembered: new Map(), requests: this.requests };
    const decision = decide(
      state,
      commands.map((command) => ({ ...command, poolId: POOL })),
      at(seconds),
    );
    this.inventory = decision.inventories.get(POOL) ?? this.inventory;
    for (const fact of decision.facts) {
      if (fact.kind === 'allocated') this.held.set(fact.allocation.id, fact.allocation);
      else if (fact.kind === 'released') this.held.delete(fact.allocation.id);
      else if (fact.kind === 'request') this.requests.set(fact.request.id, fact.request);
    }
    return decision;
  }

  status(command: AllocateCommand): string | undefined {
    return this.requests.get(command.allocation.id)?.status;
  }
}

function wants(capacity: number, overrides: Partial<AllocateCommand> = {}): AllocateCommand {
  return { ...allocate({ capacity }), waitSeconds: 60, ...overrides };
}

const resize = (total: number, revision: number, overrides: object = {}): PoolCommand => {
  return { kind: 'resize', total, revision, mode: 'allow', ...overrides };
};

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
    pool.carryOut(0, wants(10), ...Array.from({ length: MAX_WAITING }, () => wants(1)));
    expect(pool.inventory.waiting).toHaveLength(MAX_WAITING);
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
      return { kind: 'cancel', requestId: one.allocation.id, cancelledBy: 'somebody' };
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

/** The rules written down a second time, on plain lists. */
class Model {
  free: number;
  queue: { id: string; capacity: number; priority: number; until: number }[] = [];
  readonly held = new Map<string, number>();
  open = true;

  constructor(
    public total: number,
    public strict: boolean,
  ) {
    this.free = total;
  }

  serve(now: number): void {
    this.queue = this.queue.filter(({ until }) => until > now);
    for (const one of [...this.queue]) {
      if (this.open && one.capacity <= this.free) {
        this.queue.splice(this.queue.indexOf(one), 1);
        this.grant(one.id, one.capacity);
      } else if (this.strict && one.capacity <= this.total) return;
    }
  }

  ask(id: string, capacity: number, priority: number, until: number | undefined): 'granted' | 'waits' | 'refused' {
    const ahead = this.queue.some((other) => other.priority >= priority && other.capacity <= this.total);
    if (this.open && capacity <= this.free && !(this.strict && ahead)) {
      this.grant(id, capacity);
      return 'granted';
    }
    if (until === undefined || capacity > this.total) return 'refused';
    this.queue.push({ id, capacity, priority, until });
    // a stable sort: first come stays first
    this.queue.sort((a, b) => b.priority - a.priority);
    return 'waits';
  }

  private grant(id: string, capacity: number): void {
    this.held.set(id, capacity);
    this.free -= capacity;
  }

  give(id: string): void {
    this.free += this.held.get(id) ?? 0;
    this.held.delete(id);
    this.queue = this.queue.filter((one) => one.id !== id);
  }
}

type Step =
  | { kind: 'ask'; capacity: number; priority: number; wait: number }
  | { kind: 'release' | 'cancel'; index: number }
  | { kind: 'terms'; total: number; open: boolean; strict: boolean }
  | { kind: 'serve' };

const aStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('ask' as const),
      capacity: fc.integer({ min: 1, max: 7 }),
      priority: fc.integer({ min: 0, max: 2 }),
      wait: fc.constantFrom(0, 2, 6, 30),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constantFrom('release' as const, 'cancel' as const), index: fc.nat(20) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('terms' as const),
      total: fc.integer({ min: 2, max: 9 }),
      open: fc.boolean(),
      strict: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: 'serve' as const }) },
);

test('no sequence loses a waiter, serves one twice, oversells, or lets one overtake against the policy', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(aStep, fc.integer({ min: 0, max: 3 })), { maxLength: 60 }), (steps) => {
      const pool = new Pool({ total: 6 });
      const model = new Model(6, true);
      const asked: string[] = [];
      let now = 0;
      let revision = 1;
      for (const [step, pause] of steps) {
        now += pause;
        model.serve(now);
        if (step.kind === 'ask') {
          const command = wants(step.capacity, { priority: step.priority, waitSeconds: step.wait });
          const { id } = command.allocation;
          asked.push(id);
          const [outcome] = pool.carryOut(now, command).outcomes;
          const expected = model.ask(id, step.capacity, step.priority, step.wait === 0 ? undefined : now + step.wait);
          expect(outcome?.ok ? (outcome.waits ? 'waits' : 'granted') : 'refused').toBe(expected);
        } else if (step.kind === 'terms') {
          const { total, open, strict } = step;
          const state = open ? 'open' : 'cordoned';
          const queuePolicy = strict ? 'strict' : 'best_effort';
          pool.carryOut(now, resize(total, (revision += 1), { state, queuePolicy }));
          model.free += total - model.total;
          Object.assign(model, { total, open, strict });
        } else if (step.kind === 'serve') pool.carryOut(now, { kind: 'serve' });
        else {
          const id = asked[step.index] ?? 'nobody';
          // a release of what waits only is refused, taking it back is not
          const applies = step.kind === 'cancel' || model.held.has(id);
          const cancel = { kind: 'cancel' as const, requestId: id, cancelledBy: 'x' };
          expect(pool.carryOut(now, step.kind === 'cancel' ? cancel : release(id)).outcomes[0]?.ok).toBe(applies);
          if (applies) model.give(id);
        }
        model.serve(now);
        expect(pool.inventory.waiting.map(({ id }: WaitingRequest) => id)).toEqual(model.queue.map(({ id }) => id));
        expect([...pool.held.keys()].sort()).toEqual([...model.held.keys()].sort());
        expect(pool.inventory.allocated).toBe([...model.held.values()].reduce((sum, units) => sum + units, 0));
        const waiting = [...pool.requests.values()].filter(({ status }) => status === 'waiting');
        expect(waiting.map(({ id }) => id).sort()).toEqual(model.queue.map(({ id }) => id).sort());
      }
    }),
    { numRuns: 500 },
  );
});
