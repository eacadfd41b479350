import { fromTaskRow, toTaskRow } from '../adapters/task-row';
import { endOf } from '../domain/lifetime';
import type { Task } from '../domain/task';
import { buildLifetime, buildProcess, eventually, type World } from './support/build';
import { at, LIFETIME, openStay, requester, stepsOf, taskIn, watchFor } from './support/stay-world';

/** How long tasks may stay, by a clock that the test moves. */

const extend = (service: ReturnType<typeof buildProcess>, taskId: string, minutes: number) =>
  service.extendTask({ taskId, requester, minutes, idempotency: undefined });

const ended = async (world: World, id: string): Promise<Task> => {
  await eventually(async () => (await taskIn(world, id)).stopTime !== null);
  return taskIn(world, id);
};

/** From now on its container has used so much more. */
function uses(world: World, id: string, more: { cpuNanos?: number; networkRxBytes?: number }): void {
  const { cpuNanos = 1_000_000, networkRxBytes = 0 } = world.runtime.used.get(id) ?? {};
  world.runtime.used.set(id, {
    cpuNanos: cpuNanos + (more.cpuNanos ?? 0),
    networkRxBytes: networkRxBytes + (more.networkRxBytes ?? 0),
  });
}

test('when nobody uses a task, then it is warned of once, and stopped by the system as its idle time is over', async () => {
  const { world, service, id } = await openStay();
  await watchFor(7.5, world, service);
  expect(stepsOf(await taskIn(world, id))).toEqual([]);
  expect((await service.getTask(id, requester)).stay).toEqual({ expiresAt: at(10), idleSince: at(0) });
  await watchFor(2, world, service);
  expect(stepsOf(await taskIn(world, id))).toEqual(['8 Running idle_soon system']);
  await watchFor(0.5, world, service);
  const task = await ended(world, id);
  expect(stepsOf(task)).toEqual([
    '8 Running idle_soon system',
    '10 Stopping idle_timeout system',
    '10 Stopped idle_timeout system',
  ]);
  expect(await world.runtime.inspect(id)).toBeUndefined();
  expect(world.store.events.map(({ type }) => type)).toEqual(['task.started', 'task.stopped']);
  expect(world.store.events[1]?.data).toMatchObject({ reason: 'idle_timeout', actor: 'system', duration: 'PT10M' });
  expect((await service.getTask(id, requester)).stay).toEqual({ expiresAt: null, idleSince: null });
});

test.each([
  ['CPU', { cpuNanos: 0.06 * 30e9 }],
  ['its network', { networkRxBytes: 1100 * 30 }],
])(
  'when a container uses %s, then it stays, and its row is written once in a tenth of its idle time',
  async (_, more) => {
    const { world, service, id } = await openStay({ ...LIFETIME, maxAge: null });
    let writes = 0;
    world.store.interfere = (when) => void (when === 'after' && (writes += 1));
    for (let half = 0; half < 60; half += 1) {
      uses(world, id, more);
      await watchFor(0.5, world, service);
    }
    expect(writes).toBeLessThanOrEqual(30);
    expect(stepsOf(await taskIn(world, id))).toEqual([]);
    expect((await service.getTask(id, requester)).stay.idleSince).toBeNull();
    world.store.interfere = () => undefined;
    await watchFor(11, world, service);
    const reasons = stepsOf(await ended(world, id));
    // never sooner than ten minutes after the last use
    expect(Number(reasons.at(-1)?.split(' ')[0])).toBeGreaterThanOrEqual(40);
    expect(reasons.at(-1)).toContain('idle_timeout');
  },
);

test('when a container does only what it does by itself, then that is no activity', async () => {
  const { world, service, id } = await openStay();
  for (let half = 0; half < 20; half += 1) {
    uses(world, id, { cpuNanos: 0.04 * 30e9, networkRxBytes: 900 * 30 });
    await watchFor(0.5, world, service);
  }
  expect(stepsOf(await ended(world, id)).at(-1)).toBe('10 Stopped idle_timeout system');
});

test('when a task is used for all its life, then it is warned of its age, and ends by it', async () => {
  const { world, service, id } = await openStay();
  for (let minute = 0; minute < 60; minute += 1) {
    await service.tellActivity(id, requester);
    await watchFor(1, world, service);
  }
  expect(stepsOf(await ended(world, id))).toEqual([
    '58 Running expires_soon system',
    '60 Stopping max_age system',
    '60 Stopped max_age system',
  ]);
});

test('when it is used after the warning, then it stays, and its next end is warned of anew', async () => {
  const { world, service, id } = await openStay();
  await watchFor(9, world, service);
  await service.tellActivity(id, requester);
  await watchFor(11, world, service);
  expect(stepsOf(await ended(world, id))).toEqual([
    '8 Running idle_soon system',
    '18 Running idle_soon system',
    '20 Stopping idle_timeout system',
    '20 Stopped idle_timeout system',
  ]);
});

describe('extending', () => {
  test('when its owner extends it, then its end is that much later, up to what the operator allows in all', async () => {
    const { world, service, id } = await openStay();
    await watchFor(8, world, service);
    expect((await extend(service, id, 20)).stay.expiresAt).toBe(at(30));
    await expect(extend(service, id, 11)).rejects.toMatchObject({
      code: 'task.extension_refused',
      facts: { minutes: 11, leftMinutes: 10, maxExtension: 1800, extended: 1200 },
    });
    expect((await extend(service, id, 10)).stay.expiresAt).toBe(at(40));
    await watchFor(32, world, service);
    expect(stepsOf(await ended(world, id))).toEqual([
      '8 Running idle_soon system',
      '8 Running extended user',
      '8 Running extended user',
      '38 Running idle_soon system',
      '40 Stopping idle_timeout system',
      '40 Stopped idle_timeout system',
    ]);
    await expect(extend(service, id, 1)).rejects.toMatchObject({
      code: 'task.not_running',
      facts: { status: 'Stopped' },
    });
    await expect(service.tellActivity(id, requester)).rejects.toMatchObject({ code: 'task.not_running' });
  });

  test('when nothing ends a task, then there is nothing to extend, and it stays', async () => {
    const { world, service, id } = await openStay({});
    await expect(extend(service, id, 1)).rejects.toMatchObject({ code: 'task.never_expires' });
    const before = await world.store.get(id);
    await service.tellActivity(id, requester);
    await watchFor(24 * 60, world, service);
    expect(await world.store.get(id)).toEqual(before);
    expect((await service.getTask(id, requester)).stay).toEqual({ expiresAt: null, idleSince: null });
  });
});

describe('a restart', () => {
  test('when the service is replaced, then activity, extension and warning of before count', async () => {
    const { world, service, id } = await openStay();
    await watchFor(3, world, service);
    await service.tellActivity(id, requester);
    await extend(service, id, 5);
    expect((await service.getTask(id, requester)).stay.expiresAt).toBe(at(19));
    await watchFor(14, world, service);
    const next = buildProcess(world);
    await watchFor(2, world, next);
    expect(stepsOf(await ended(world, id))).toEqual([
      '3 Running extended user',
      '17 Running idle_soon system',
      '19 Stopping idle_timeout system',
      '19 Stopped idle_timeout system',
    ]);
  });

  test('when the service was away past the end, then its owner is warned first, with all the time that is promised', async () => {
    const { world, id } = await openStay();
    world.pass(45 * 60_000);
    const next = buildProcess(world);
    await watchFor(0.5, world, next);
    expect((await next.getTask(id, requester)).stay.expiresAt).toBe(at(47.5));
    await watchFor(2, world, next);
    expect(stepsOf(await ended(world, id))).toEqual([
      '45.5 Running idle_soon system',
      '47.5 Stopping idle_timeout system',
      '47.5 Stopped idle_timeout system',
    ]);
  });

  test('when there are no warnings, then a task that is at work when the service is back stays', async () => {
    const { world, id } = await openStay({ ...LIFETIME, warnBefore: 0 });
    world.pass(45 * 60_000);
    const next = buildProcess(world);
    await watchFor(0.5, world, next);
    uses(world, id, { cpuNanos: 30e9 });
    await watchFor(0.5, world, next);
    expect((await taskIn(world, id)).status).toBe('Running');
    expect((await next.getTask(id, requester)).stay.idleSince).toBeNull();
  });
});

test('when a task was stored before stays were limited, then its idle time counts from its start', async () => {
  const { world, id } = await openStay();
  const { stay: _, ...row } = toTaskRow(await taskIn(world, id));
  const task = fromTaskRow(row);
  expect(task).toEqual(await taskIn(world, id));
  expect(endOf(task, buildLifetime(LIFETIME))).toEqual({ at: at(10), reason: 'idle_timeout' });
});

test('when two replicas watch, then a task is warned of once and ends once', async () => {
  const { world, service, id } = await openStay();
  await watchFor(10, world, service, buildProcess(world));
  expect(stepsOf(await ended(world, id))).toEqual([
    '8 Running idle_soon system',
    '10 Stopping idle_timeout system',
    '10 Stopped idle_timeout system',
  ]);
  expect(world.store.events).toHaveLength(2);
});

test('when activity comes while the end is being decided, then it stays', async () => {
  const { world, service, id } = await openStay();
  await watchFor(9.5, world, service);
  const save = world.store.save.bind(world.store);
  world.store.save = async (task, version, event) => {
    if (task.status === 'Stopping') {
      world.store.save = save;
      await service.tellActivity(id, requester);
    }
    return save(task, version, event);
  };
  await watchFor(1, world, service);
  expect(world.store.save).toBe(save);
  expect((await taskIn(world, id)).status).toBe('Running');
  await watchFor(9, world, service);
  expect(stepsOf(await taskIn(world, id)).at(-1)).toBe('19 Running idle_soon system');
});

test('when the runtime is away, then nobody knows whether a task is used, so none is ended until it is back', async () => {
  const { world, service, id } = await openStay();
  await watchFor(9, world, service);
  world.runtime.goAway();
  world.pass(20 * 60_000);
  await expect(service.watchStays()).rejects.toMatchObject({ code: 'runtime.unavailable' });
  expect((await taskIn(world, id)).status).toBe('Running');
  world.runtime.comeBack();
  uses(world, id, { cpuNanos: 1200e9 });
  await watchFor(0.5, world, service);
  expect((await service.getTask(id, requester)).stay.idleSince).toBeNull();
});
