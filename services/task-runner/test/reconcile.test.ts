import { randomUUID } from 'node:crypto';
import { currentContext, withContext } from '../../../shared/logging/context';
import { silentLogger } from '../../../shared/logging/logger';
import { runtimeUnavailable } from '../domain/errors';
import { running, starting, type Task } from '../domain/task';
import { expectBalance } from './support/balance';
import { buildProcess, buildTask, buildWorld, eventually, type World, NO_LIMITS } from './support/build';

const requester = { sub: randomUUID(), admin: false };

function request() {
  return { userId: requester.sub, serviceType: 'demo', requester, idempotency: undefined };
}

describe('the end of a container', () => {
  test.each([
    [0, {}, 'Stopped', 'exited', 'task.stopped'],
    [3, {}, 'Error', 'crashed', 'task.failed'],
    [137, { oomKilled: true }, 'Error', 'oom_killed', 'task.failed'],
  ])('when a program ends by itself with %d %j, then its task is %s: %s', async (code, how, status, reason, event) => {
    const world = buildWorld();
    const service = buildProcess(world);
    const watch = service.watch();
    const { id } = await service.startTask(request());
    await eventually(() => world.runtime.calls.includes('watch'));
    world.runtime.exit(id, code, how);
    await eventually(() => world.store.all()[0]?.status === status);
    expect(world.store.all()[0]).toMatchObject({ outcome: { reason, exitCode: code, actor: 'system' } });
    expect(world.store.events.at(-1)?.type).toBe(event);
    await expectBalance(world);
    await watch.stop();
  });

  test('when it ended while nobody watched, then the next look ends the task with its own time', async () => {
    const world = buildWorld();
    const service = buildProcess(world);
    const { id } = await service.startTask(request());
    world.pass(5_000);
    world.runtime.exit(id, 3, { untold: true });
    const finishedAt = (await world.runtime.inspect(id))?.finishedAt;
    world.pass(60_000);
    expect(await service.reconcile()).toBe(true);
    expect(world.store.all()[0]).toMatchObject({ status: 'Error', stopTime: finishedAt });
    await expectBalance(world);
  });

  test('when the container was removed behind our back, then the task ends as container_lost', async () => {
    const world = buildWorld();
    const service = buildProcess(world);
    const { id } = await service.startTask(request());
    world.runtime.vanish(id);
    await service.reconcile();
    expect(world.store.all()[0]).toMatchObject({ status: 'Error', outcome: { reason: 'container_lost' } });
    await expectBalance(world);
  });

  test('when somebody restarted the container, so that its address leads nowhere, then the task ends', async () => {
    const world = buildWorld();
    const service = buildProcess(world);
    const { id } = await service.startTask(request());
    const spec = world.runtime.specOf(id)!;
    world.runtime.vanish(id);
    await world.runtime.start(spec);
    await service.endTask.ofDeadContainer(id, { taskId: id, exitCode: 143, at: world.now(), oomKilled: false });
    expect(world.store.all()[0]).toMatchObject({ status: 'Error', outcome: { reason: 'crashed', exitCode: 143 } });
    await expectBalance(world);
  });
});

test('when a task ends by itself, then its log lines carry the trace of the request that made it', async () => {
  const lines: string[] = [];
  const world = buildWorld();
  const service = buildProcess(world, {
    ...silentLogger,
    info: (message) => void lines.push(`${message} ${currentContext()?.traceparent.slice(3, 35)}`),
  });
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const { id } = await withContext({ requestId: 'r', traceparent }, () => service.startTask(request()));
  world.runtime.exit(id, 0, { untold: true });
  await service.reconcile();
  expect(lines).toEqual([
    `task ${id} is Running 0af7651916cd43dd8448eb211c80319c`,
    `task ${id} is Stopped 0af7651916cd43dd8448eb211c80319c`,
  ]);
});

describe('the runtime away', () => {
  test('when it goes away and comes back, then the task was never declared dead', async () => {
    const world = buildWorld();
    const service = buildProcess(world);
    const watch = service.watch();
    await service.startTask(request());
    world.runtime.goAway();
    expect(await service.reconcile()).toBe(false);
    expect(world.store.all()[0]?.status).toBe('Running');
    world.runtime.comeBack();
    const watches = world.runtime.calls.filter((call) => call === 'watch').length;
    await eventually(() => world.runtime.calls.filter((call) => call === 'watch').length > watches);
    expect(await service.reconcile()).toBe(true);
    expect(world.store.all()[0]?.status).toBe('Running');
    await watch.stop();
  });

  test('when a task is stopped meanwhile, then 503 now, and it is stopped when the runtime is back', async () => {
    const world = buildWorld();
    const service = buildProcess(world);
    const { id } = await service.startTask(request());
    world.runtime.goAway();
    const stop = service.stopTask({ taskId: id, requester, checkVersion: () => undefined });
    await expect(stop).rejects.toMatchObject({ code: 'runtime.unavailable' });
    expect(world.store.all()[0]?.status).toBe('Stopping');
    world.runtime.comeBack();
    await service.reconcile();
    expect(world.store.all()[0]?.status).toBe('Stopped');
    await expectBalance(world);
  });

  test('when capacity cannot be given back, then the stop goes through and the capacity is owed', async () => {
    const world = buildWorld();
    const service = buildProcess(world);
    const { id } = await service.startTask(request());
    world.capacity.away = true;
    await service.stopTask({ taskId: id, requester, checkVersion: () => undefined });
    expect(world.capacity.held.size).toBe(1);
    expect(await service.reconcile()).toBe(false);
    world.capacity.away = false;
    expect(await service.reconcile()).toBe(true);
    await expectBalance(world);
  });
});

describe('containers without a task', () => {
  test('when one is found, then it is removed after a while; one whose task lives is not', async () => {
    const world = buildWorld();
    const service = buildProcess(world);
    const { id } = await service.startTask(request());
    const orphan = randomUUID();
    await world.runtime.start({ ...world.runtime.specOf(id)!, taskId: orphan });
    await service.reconcile();
    expect(await world.runtime.inspect(orphan)).toBeDefined();
    world.pass(31_000);
    await service.reconcile();
    expect(await world.runtime.inspect(orphan)).toBeUndefined();
    await expectBalance(world);
  });

  test('when the list of tasks misses one, then its container is left alone', async () => {
    const world = buildWorld();
    const service = buildProcess(world);
    await service.startTask(request());
    world.pass(31_000);
    world.store.listOpen = () => Promise.resolve([]);
    await service.reconcile();
    expect(await world.runtime.list()).toHaveLength(1);
  });
});

/**
 * A process that is killed leaves what was done until then, and nothing after. Each case cuts the life of a task off at
 * one point: before or after one call of the runtime, or one write.
 */
describe('kill -9', () => {
  class Killed extends Error {}

  /** Runs start and stop, killed at the n-th point. @returns false when there are fewer points */
  async function liveUntil(world: World, point: number): Promise<boolean> {
    let passed = 0;
    let dead = false;
    const cut = (): void => {
      passed += 1;
      if (passed >= point) dead = true;
      if (dead) throw new Killed();
    };
    world.runtime.interfere = cut;
    world.store.interfere = cut;
    const service = buildProcess(world);
    try {
      const { id } = await service.startTask(request());
      await service.stopTask({ taskId: id, requester, checkVersion: () => undefined });
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
    }
    world.runtime.interfere = () => undefined;
    world.store.interfere = () => undefined;
    return dead;
  }

  test('when it comes at any point of start and stop, then the next process leads to a true state, with capacity and events balanced', async () => {
    let point = 1;
    for (; ; point += 1) {
      const world = buildWorld();
      if (!(await liveUntil(world, point))) break;
      const next = buildProcess(world);
      world.pass(11_000);
      await next.reconcile();
      world.pass(61_000);
      expect(await next.reconcile()).toBe(true);
      await expectBalance(world);
      expect(world.store.all().map(({ status }) => status)).not.toContain('Stopping');
    }
    // ping, four writes and four calls of the runtime at the least, each cut before and after
    expect(point).toBeGreaterThan(18);
  });

  test('when a start was cut off after its container ran, then it is finished, not repeated', async () => {
    const world = buildWorld();
    const task: Task = starting(buildTask({ createdAt: world.now() }), world.now());
    await world.store.insert(task, NO_LIMITS);
    world.capacity.held.set(task.allocationId, {
      ...{ allocationId: task.allocationId, poolId: task.poolId, units: 100 },
      ...{ taskId: task.id, userId: task.userId, createdBy: task.createdBy },
    });
    const service = buildProcess(world);
    await service.reconcile();
    expect(world.store.all()[0]).toMatchObject({ id: task.id, status: 'Running' });
    await expectBalance(world);
  });
});

describe('two replicas', () => {
  test('when both carry on the same start, then one container, one event, and both see it run', async () => {
    const world = buildWorld();
    const [one, two] = [buildProcess(world), buildProcess(world)];
    const task = buildTask({ createdAt: world.now() });
    await world.store.insert(task, NO_LIMITS);
    const settled = await Promise.all([one.settler.settle(task.id), two.settler.settle(task.id)]);
    expect(settled.map(({ status }) => status)).toEqual(['Running', 'Running']);
    await expectBalance(world);
  });

  test('when one stops what the other is just starting, then nothing is left', async () => {
    const world = buildWorld();
    const [one, two] = [buildProcess(world), buildProcess(world)];
    world.ready.answer = false;
    const start = one.startTask(request()).catch((error: { code: string }) => error.code);
    await eventually(() => world.store.all()[0]?.status === 'Starting');
    await two.stopTask({ taskId: world.store.all()[0]!.id, requester, checkVersion: () => undefined });
    world.ready.answer = true;
    expect(await start).toBe('task.cancelled');
    await expectBalance(world);
  });

  test('when one does not know the type yet, then it leaves a start to the other for ten minutes, and then ends it', async () => {
    const world = buildWorld();
    const older = buildProcess({ ...world, types: new Map() });
    const [first, second] = [buildTask({ createdAt: world.now() }), buildTask({ createdAt: world.now() })];
    await world.store.insert(starting(first, world.now()), NO_LIMITS);
    await older.reconcile();
    expect(world.store.all()).toMatchObject([{ status: 'Starting' }]);
    await buildProcess(world).reconcile();
    await older.reconcile();
    expect(world.store.all()).toMatchObject([{ status: 'Running' }]);

    await world.store.insert(starting(second, world.now()), NO_LIMITS);
    world.pass(601_000);
    await older.reconcile();
    expect(world.store.all().find(({ id }) => id === second.id)).toMatchObject({
      ...{ status: 'Error', outcome: { problem: { code: 'task.unknown_service_type' } } },
    });
  });

  test('when both see the same container die, then one end', async () => {
    const world = buildWorld();
    const [one, two] = [buildProcess(world), buildProcess(world)];
    const { id } = await one.startTask(request());
    world.runtime.exit(id, 1, { untold: true });
    await Promise.all([one.reconcile(), two.reconcile(), one.reconcile(), two.reconcile()]);
    await eventually(() => world.store.all()[0]?.status === 'Error');
    await expectBalance(world);
  });
});

test('when the runtime fails once while a start is under way, then the task ends in Error and nothing is left', async () => {
  const world = buildWorld();
  const service = buildProcess(world);
  let failures = 1;
  world.runtime.interfere = (when, call) => {
    if (when === 'after' && call === 'start' && failures-- > 0) throw runtimeUnavailable('cut off');
  };
  await expect(service.startTask(request())).rejects.toMatchObject({
    code: 'runtime.unavailable',
    kind: 'unavailable',
  });
  expect(world.store.all()[0]).toMatchObject({ status: 'Error' });
  await expectBalance(world);
});

test('when a task runs, then its row alone is enough to find it again', () => {
  const task = running(starting(buildTask(), '2026-11-23T09:00:00.000Z'), {
    ...{ containerId: 'c', port: 1, iframeUrl: 'http://x/' },
    at: '2026-11-23T09:00:01.000Z',
  });
  expect(task).toMatchObject({ status: 'Running', capacityState: 'held', startTime: '2026-11-23T09:00:01.000Z' });
});
