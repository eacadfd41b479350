import fc from 'fast-check';
import type { WaitingRequest } from '../domain/inventory';
import { release } from './support/builders';
import { Pool, resize, wants } from './support/waiting-pool';

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
          const cancel = { kind: 'cancel' as const, requestId: id, cancelledBy: 'x', forTask: false };
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
