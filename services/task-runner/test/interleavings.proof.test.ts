import { randomUUID } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { AppError } from '../../../shared/errors';
import { hasEnded, isLegal, isWaiting, type Task } from '../domain/task';
import { expectBalance } from './balance';
import { buildProcess, buildWorld, eventually, type World } from './build';

/**
 * Whatever users, Docker, timers and crashes do, in whatever order and at whatever moment of each other's work, every
 * task goes along legal transitions, and in the end tasks, containers, capacity and events agree.
 */

const requester = { sub: randomUUID(), admin: false };
const pick = fc.nat(5);

const action = fc.oneof(
  fc.record({
    do: fc.constant('start' as const),
    type: fc.constantFrom('demo', 'brief', 'remote', 'no-image', 'no-program'),
    background: fc.boolean(),
    waitSeconds: fc.constantFrom(0, 0, 5, 60),
    priority: fc.constantFrom(0, 1),
  }),
  fc.record({ do: fc.constant('stop' as const), pick }),
  fc.record({ do: fc.constant('exit' as const), pick, code: fc.constantFrom(0, 3, 137), untold: fc.boolean() }),
  fc.record({ do: fc.constant('vanish' as const), pick }),
  fc.record({ do: fc.constantFrom('look' as const, 'renew' as const, 'watch stays' as const, 'crash' as const), pick }),
  fc.record({ do: fc.constantFrom('use' as const, 'extend' as const), pick }),
  fc.record({ do: fc.constantFrom('docker goes' as const, 'docker comes' as const, 'allocation blinks' as const) }),
  fc.record({ do: fc.constant('time' as const), seconds: fc.constantFrom(1, 12, 70, 400) }),
);
type Action = typeof action extends fc.Arbitrary<infer A> ? A : never;

/** How many turns of the event loop each call takes, again and again: the interleaving. */
const pace = fc.array(fc.nat(4), { minLength: 7, maxLength: 60 });

/** For one task, or for three: of what is asked for more waits, or is refused. */
const room = fc.constantFrom(150, 350);

/** A process that can be killed: whatever it has asked for may still happen, but it does nothing more. */
class Mortal {
  private dead = false;
  readonly service: ReturnType<typeof buildProcess>;
  private readonly watch: ReturnType<typeof this.service.watch>;

  constructor(
    world: World,
    private readonly pause: () => Promise<void>,
  ) {
    const { store, runtime, capacity } = world;
    const seen = { store: this.reach(store), runtime: this.reach(runtime), capacity: this.reach(capacity) };
    this.service = buildProcess({ ...world, ...seen });
    this.watch = this.service.watch();
  }

  kill(): void {
    this.dead = true;
    void this.watch.stop();
  }

  stop(): Promise<void> {
    return this.watch.stop();
  }

  private reach<T extends object>(part: T): T {
    return new Proxy(part, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        // an iterable, and no promise
        if (name === 'logs') return value.bind(target) as unknown;
        return async (...given: unknown[]): Promise<unknown> => {
          await this.step();
          const result: unknown = await Reflect.apply(value, target, given);
          await this.step();
          return result;
        };
      },
    });
  }

  private async step(): Promise<void> {
    await this.pause();
    if (this.dead) await new Promise(() => undefined);
  }
}

function buildInterleaving(turns: readonly number[], units: number) {
  const world = { ...buildWorld(units), patienceMs: 100 };
  let calls = 0;
  const pause = async (): Promise<void> => {
    for (let left = turns[(calls += 1) % turns.length] ?? 0; left > 0; left -= 1) await turn();
  };
  world.runtime.registry.set('memory/remote', { layers: [400], piece: pause });
  const written = new Map<string, Task>();
  const faults: string[] = [];
  world.store.interfere = (when, task) => {
    const before = written.get(task.id);
    if (when === 'before') return;
    const kept = before?.history.every((step, n) => step.at === task.history[n]?.at) ?? true;
    const legal = before === undefined || before.status === task.status || isLegal(before.status, task.status);
    if (!kept || !legal) faults.push(`${before?.status} -> ${task.status}, history kept: ${kept}`);
    written.set(task.id, task);
  };
  const processes = [new Mortal(world, pause), new Mortal(world, pause)];
  return { world, pause, processes, faults };
}

type Interleaving = ReturnType<typeof buildInterleaving>;

/** Does it. Errors of the published kind are answers; nobody waits for those of a process that is dead. */
function act({ world, pause, processes }: Interleaving, given: Action): Promise<unknown> | undefined {
  const some = <T>(all: readonly T[]): T | undefined => ('pick' in given ? all[given.pick % all.length] : all[0]);
  const { service } = some(processes)!;
  const task = some(world.store.all());
  switch (given.do) {
    case 'start':
      return service.startTask({
        ...{ userId: requester.sub, serviceType: given.type, background: given.background },
        ...{ waitSeconds: given.waitSeconds, priority: given.priority },
        ...{ requester, idempotency: undefined },
      });
    case 'stop':
      return task && service.stopTask({ taskId: task.id, requester, checkVersion: () => undefined });
    case 'exit':
      if (task) world.runtime.exit(task.id, given.code, { oomKilled: given.code === 137, untold: given.untold });
      return undefined;
    case 'vanish':
      if (task) world.runtime.vanish(task.id);
      return undefined;
    case 'look':
      return service.reconcile();
    case 'renew':
      return service.renewLeases();
    case 'watch stays':
      return service.watchStays();
    case 'use':
      return task && service.tellActivity(task.id, requester);
    case 'extend':
      return task && service.extendTask({ taskId: task.id, requester, minutes: 1, idempotency: undefined });
    case 'crash':
      processes[given.pick % processes.length]?.kill();
      processes[given.pick % processes.length] = new Mortal(world, pause);
      return undefined;
    case 'docker goes':
      world.runtime.goAway();
      return undefined;
    case 'docker comes':
      world.runtime.comeBack();
      return undefined;
    case 'allocation blinks':
      world.capacity.away = true;
      return pause().then(() => void (world.capacity.away = false));
    case 'time':
      world.pass(given.seconds * 1000);
      return undefined;
  }
}

/** What became of a task that waited for capacity. */
function wayOf(reasons: readonly string[]): string {
  const next = reasons[reasons.lastIndexOf('waiting_for_capacity') + 1];
  if (!reasons.includes('waiting_for_capacity')) return 'did not wait';
  if (next === 'capacity_taken') return 'granted';
  if (next === 'stopped_by_user') return 'stopped';
  return next === 'start_interrupted' ? 'granted too late' : next === 'insufficient_capacity' ? 'in vain' : `${next}`;
}

test('when anything happens at any moment, then every step is legal, and in the end everything agrees', async () => {
  const reached = new Set<string>();
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 1, maxLength: 25 }), pace, room, async (actions, turns, units) => {
      const interleaving = buildInterleaving(turns, units);
      const { world, pause, processes, faults } = interleaving;
      const unexpected: unknown[] = [];
      for (const each of actions) {
        act(interleaving, each)?.catch((error: unknown) => error instanceof AppError || unexpected.push(error));
        await pause();
      }
      await Promise.all(processes.map((each) => each.stop()));
      for (const each of processes) each.kill();

      world.runtime.comeBack();
      world.capacity.away = false;
      await pause();
      world.runtime.comeBack();
      world.capacity.away = false;
      const last = buildProcess(world);
      await last.renewLeases();
      for (const seconds of [12, 70, 70]) {
        world.pass(seconds * 1000);
        await last.reconcile();
        // a search for lost capacity that the renewal began is not waited for by the look
        const waitsOn = (task: Task): boolean => isWaiting(task) && task.wait!.until > world.now();
        await eventually(() => world.store.all().every((task) => !last.settler.isUnderWay(task.id) || waitsOn(task)));
      }
      for (const { history } of world.store.all()) reached.add(wayOf(history.map(({ reason }) => reason)));
      expect(unexpected).toEqual([]);
      expect(faults).toEqual([]);
      expect(world.store.all().filter((task) => !hasEnded(task) && task.status !== 'Running')).toEqual([]);
      await expectBalance(world);
    }),
    { numRuns: 300 },
  );
  expect([...reached]).toEqual(expect.arrayContaining(['granted', 'in vain']));
}, 120_000);
