import { randomUUID } from 'node:crypto';
import { eventsOf } from './support/event-stream';
import { as, faultsInTheBooks, idOf, SERVICE } from './support/pools';
import { allReady, call, eventually, kill, tokenFor } from './support/system';
import { TaskRunnerReplica } from './support/task-runner-replica';
import { containersOf, freeUnits, stopTask, taskOf, type Started } from './support/tasks';

/**
 * Issue 4, the end of point 4: the death of task-runner leaks no capacity. The instance's own task-runner is held down
 * meanwhile, so that one with a short lease is the only one that renews.
 * Slow: leases run out.
 */

jest.setTimeout(120_000);

const LEASE_MS = 4_000;
const UNITS = 100;
const POOL = 'local-cpu';

const user = randomUUID();
const asUser = tokenFor(user, 'user');
const asAdmin = tokenFor(randomUUID(), 'admin');

let own: { release: () => void } | undefined;
let replica: TaskRunnerReplica | undefined;

/** Of everybody, so that no task of another test lives by the short lease. */
async function stopAllTasks(): Promise<void> {
  const { body } = await call('GET', 'task-runner/api/tasks?status=Running&limit=1000', { token: asAdmin });
  await Promise.all((body as { id: string }[]).map(({ id }) => stopTask(asAdmin, id)));
}

beforeEach(async () => {
  await stopAllTasks();
  own = kill('task-runner', { hold: true });
  replica = await TaskRunnerReplica.start({ TASK_LEASE_SECONDS: String(LEASE_MS / 1000) });
});

afterEach(async () => {
  await replica?.stop();
  own?.release();
  await eventually('everything is ready', allReady, 60_000);
  await stopAllTasks();
  expect(await faultsInTheBooks()).toEqual([]);
});

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Held {
  taskId: string;
  iframeUrl: string;
  allocationId: string;
  poolId: string;
}

/** Started by the replica with the short lease. */
async function start(): Promise<Held> {
  const { status, body } = await call('POST', `${replica!.url}/api/tasks`, {
    token: asUser,
    body: { userId: user, serviceType: 'demo' },
  });
  expect(status).toBe(201);
  const { taskId, iframeUrl } = body as Started;
  const task = await call('GET', `${replica!.url}/api/tasks/${taskId}`, { token: asUser });
  const { allocationId, poolId } = task.body as { allocationId: string; poolId: string };
  return { taskId, iframeUrl, allocationId, poolId };
}

/** The own task-runner, with its usual lease, comes back. */
async function comeBack(): Promise<void> {
  own?.release();
  await eventually('task-runner is back', allReady, 60_000);
}

/** kill -9 of the only task-runner; waits until the pool has its units again. @returns after so many milliseconds */
async function dieAndLoseCapacity(free: number): Promise<number> {
  await replica!.kill();
  const died = Date.now();
  await eventually('the capacity is back', async () => (await freeUnits(POOL)) === free, 15_000);
  return Date.now() - died;
}

const reasonsOf = (task: Record<string, unknown>): string[] =>
  (task['history'] as { reason: string }[]).map(({ reason }) => reason);

test('when task-runner is killed and back within the lease, then the task goes on with what it holds', async () => {
  const free = await freeUnits(POOL);
  const { taskId, allocationId } = await start();
  // renewed again and again, or it would be gone by now
  await pause(LEASE_MS * 2);
  expect(await freeUnits(POOL)).toBe(free - UNITS);
  await replica!.kill();
  await comeBack();
  await pause(LEASE_MS + 2_000);
  expect(await taskOf(asUser, taskId)).toMatchObject({ status: 'Running', allocationId });
  expect(await freeUnits(POOL)).toBe(free - UNITS);
});

test('when allocation is away for more than a renewal, then one warning, and the task keeps what it holds', async () => {
  await replica!.stop();
  const leaseMs = 15_000;
  replica = await TaskRunnerReplica.start({ TASK_LEASE_SECONDS: String(leaseMs / 1000) });
  const free = await freeUnits(POOL);
  const { taskId, allocationId } = await start();
  const away = ['allocation', 'allocation-2'].map((name) => kill(name, { hold: true }));
  const logged = (text: string): number => replica!.log().split(text).length - 1;
  try {
    await eventually('a renewal has failed', () => logged('cannot be renewed at the moment') > 0);
    // and a second one
    await pause(3_000);
  } finally {
    for (const one of away) one.release();
  }
  await eventually('renewals go on', () => logged('leases are renewed again') > 0);
  await pause(leaseMs);
  expect(logged('cannot be renewed at the moment')).toBe(1);
  expect(await freeUnits(POOL)).toBe(free - UNITS);
  const task = await call('GET', `${replica.url}/api/tasks/${taskId}`, { token: asUser });
  expect(task.body).toMatchObject({ status: 'Running', allocationId });
});

test('when it dies, then the capacity is back within the lease and 2 s; back later, the task takes other capacity', async () => {
  const free = await freeUnits(POOL);
  const { taskId, iframeUrl, allocationId } = await start();
  expect(await freeUnits(POOL)).toBe(free - UNITS);
  expect(await dieAndLoseCapacity(free)).toBeLessThan(LEASE_MS + 2_000);
  expect(await faultsInTheBooks()).toEqual([]);
  expect((await fetch(iframeUrl)).status).toBe(200);

  await comeBack();
  await eventually('capacity is taken again', async () => (await freeUnits(POOL)) === free - UNITS, 30_000);
  const task = await taskOf(asUser, taskId);
  expect(task).toMatchObject({ status: 'Running' });
  expect(task['allocationId']).not.toBe(allocationId);
  expect(reasonsOf(task)).toEqual(['requested', 'capacity_taken', 'ready', 'lease_expired', 'capacity_taken']);
  expect((await fetch(iframeUrl)).status).toBe(200);
  expect((await stopTask(asUser, taskId)).status).toBe(200);
  expect(await freeUnits(POOL)).toBe(free);
  const ends = (await eventsOf('allocation.released')).filter(({ data }) => data.allocation_id === allocationId);
  expect(ends.map(({ data }) => data.end_reason)).toEqual(['expired']);
});

test('when others have all of the pool by then, then the task ends, says why, and leaves no container', async () => {
  const free = await freeUnits(POOL);
  const { taskId, allocationId, poolId } = await start();
  await dieAndLoseCapacity(free);
  const allocations = `allocation/resource_pools/${poolId}/allocations`;
  const others = await as('service', 'POST', allocations, { service_id: SERVICE, capacity: free });
  expect(others.status).toBe(201);
  try {
    await comeBack();
    const ended = async (): Promise<boolean> => (await taskOf(asUser, taskId))['status'] === 'Error';
    await eventually('the task has ended', ended, 30_000);
    expect(await taskOf(asUser, taskId)).toMatchObject({
      reason: 'capacity_lost',
      actor: 'system',
      allocationId,
      error: { code: 'task.capacity_lost' },
    });
    expect(await containersOf([taskId])).toEqual([]);
    const told = async () => (await eventsOf('task.failed')).filter(({ data }) => data.taskId === taskId);
    await eventually('its end is told', async () => (await told()).length > 0);
    expect((await told()).map(({ data }) => [data.reason, data.allocationId])).toEqual([
      ['capacity_lost', allocationId],
    ]);
  } finally {
    await as('service', 'DELETE', `${allocations}/${idOf(others)}`);
  }
  expect(await freeUnits(POOL)).toBe(free);
});
