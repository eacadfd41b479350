import { randomUUID } from 'node:crypto';
import { eventsOf } from './support/event-stream';
import { holdOwnTaskRunner, serviceTypes } from './support/lone-task-runner';
import { as, idOf, poolInput, replicas } from './support/pools';
import { call, eventually, kill, tokenFor, type Answer } from './support/system';
import { readStream } from './support/stream';
import { expectBalance, expectEventsOnce } from './support/task-books';
import { TaskRunnerReplica } from './support/task-runner-replica';

/**
 * Issue 5, the end of point 4: no capacity, and the task waits if it was asked to. The pool has one place. The instance's own
 * task-runner is held down, so that nobody else carries on what a killed replica left.
 * Slow: services are killed and come back, and waits run out.
 */

jest.setTimeout(120_000);

const LEASE_SECONDS = 5;
const UNITS = 100;
const pool = `one-place-${randomUUID().slice(0, 8)}`;
const types = serviceTypes({ one: { image: 'resource-manager/demo:1', capacity: { pool, units: UNITS } } });
const env = { ...types.env, TASK_LEASE_SECONDS: String(LEASE_SECONDS) };

const user = randomUUID();
const token = tokenFor(user, 'user');

let poolId: string;
let own: Awaited<ReturnType<typeof holdOwnTaskRunner>>;
let replica: TaskRunnerReplica;

beforeAll(async () => {
  poolId = idOf(
    await as('owner', 'POST', 'resource-pool/resource_pools', poolInput({ name: pool, total_capacity: 100 })),
  );
  own = await holdOwnTaskRunner();
});
afterAll(async () => {
  await own.release();
  types.remove();
  await as('owner', 'DELETE', `resource-pool/resource_pools/${poolId}`);
});

beforeEach(async () => {
  replica = await TaskRunnerReplica.start(env);
});
afterEach(async () => {
  const { body } = await api('GET', '?status=Pending&status=Running&limit=100');
  for (const { id } of (body as { id: string }[]).reverse()) await stop(id);
  await expectBalance([user]);
  await expectEventsOnce([user]);
  expect(await line()).toEqual([]);
  await replica.stop();
});

const api = (method: string, path: string, body?: unknown): Promise<Answer> =>
  call(method, `${replica.url}/api/tasks${path}`, { token, ...(body === undefined ? {} : { body }) });
const start = (more: object = {}): Promise<Answer> => api('POST', '', { userId: user, serviceType: 'one', ...more });
const stop = async (id: string): Promise<void> => expect((await api('DELETE', `/${id}`)).status).toBe(200);

interface Shown {
  status: string;
  reason: string | null;
  allocationId: string;
  error: { code: string; detail: string } | null;
  waiting: { position: number | null; reason: string | null; until: string } | null;
  history: { reason: string }[];
}
const show = async (id: string): Promise<Shown> => (await api('GET', `/${id}`)).body as Shown;
const untilIs = (id: string, status: string): Promise<void> =>
  eventually(`the task is ${status}`, async () => (await show(id)).status === status, 30_000);

async function begin(): Promise<string> {
  const answer = await start();
  expect(answer.status).toBe(201);
  return (answer.body as { taskId: string }).taskId;
}

async function wait(waitSeconds = 600): Promise<string> {
  const answer = await start({ waitSeconds });
  expect(answer).toMatchObject({ status: 202, body: { status: 'Pending' } });
  const { taskId } = answer.body as { taskId: string };
  await eventually('it is heard where it stands', async () => (await show(taskId)).waiting?.position != null);
  return taskId;
}

/** Who waits for the pool, as `allocation` has it: ids, and since when. */
async function line(): Promise<{ id: string; created_at: string }[]> {
  const { body } = await as('admin', 'GET', `allocation/resource_pools/${poolId}/allocation_requests`);
  return (body as { id: string; created_at: string }[]).map(({ id, created_at }) => ({ id, created_at }));
}

const allocated = async (): Promise<number> => {
  const { body } = await as('admin', 'GET', `allocation/resource_pools/${poolId}/allocations`);
  return (body as unknown[]).length;
};

test('when the place is taken, then the next task waits in line, is seen there, and starts when the place is free', async () => {
  const first = await begin();
  const second = await wait();
  const third = await wait();
  expect((await start()).body).toMatchObject({ code: 'allocation.insufficient_capacity', available: 0 });
  expect(await show(second)).toMatchObject({
    status: 'Pending',
    waiting: { position: 1, reason: 'allocation.insufficient_capacity', until: expect.any(String) },
  });
  expect((await show(third)).waiting?.position).toBe(2);
  const { allocationId } = await show(second);
  expect((await line())[0]?.id).toBe(allocationId);
  const events = readStream(`${replica.url}/api/tasks/${third}/events`, token);
  await stop(first);
  await untilIs(second, 'Running');
  const { history, ...running } = await show(second);
  expect(running).toMatchObject({ allocationId, waiting: null });
  expect(history.map(({ reason }) => reason)).toEqual(['requested', 'waiting_for_capacity', 'capacity_taken', 'ready']);
  await eventually('the move is told', () => /event: waiting\ndata: \{"position":1,/.test(events.text));
  expect(events.text).toMatch(/"reason":"waiting_for_capacity"/);
  // renewed from the grant on
  await new Promise((resolve) => setTimeout(resolve, LEASE_SECONDS * 2_000));
  expect(await show(second)).toMatchObject({ status: 'Running', allocationId });
  expect(await allocated()).toBe(1);
});

test('when the wait is over, then it ends in Error with the code of the 409 and what is free', async () => {
  await begin();
  const second = await wait(2);
  await untilIs(second, 'Error');
  expect(await show(second)).toMatchObject({
    reason: 'insufficient_capacity',
    waiting: null,
    error: {
      code: 'allocation.insufficient_capacity',
      detail: expect.stringContaining('100 units were asked for, 0 are free'),
    },
  });
  expect(await line()).toEqual([]);
});

test('when it is deleted while it waits, then it has left the line, and the place goes to the next', async () => {
  const first = await begin();
  const [second, third] = [await wait(), await wait()];
  await stop(second);
  expect(await show(second)).toMatchObject({ status: 'Stopped', reason: 'stopped_by_user' });
  expect((await line()).map(({ id }) => id)).toEqual([(await show(third)).allocationId]);
  await stop(first);
  await untilIs(third, 'Running');
});

test('when task-runner is killed while it waits, then its place is kept, and it starts with the next process', async () => {
  const first = await begin();
  const second = await wait();
  const before = await line();
  await replica.kill();
  expect(await line()).toEqual(before);
  replica = await TaskRunnerReplica.start(env);
  await eventually('it is heard again where it stands', async () => (await show(second)).waiting?.position === 1);
  expect(await line()).toEqual(before);
  await stop(first);
  await untilIs(second, 'Running');
  expect(await show(second)).toMatchObject({ allocationId: before[0]?.id });
});

test('when it is granted while no task-runner is there for a lease, then the place comes back and the task says so', async () => {
  const first = await begin();
  const second = await wait();
  const { allocationId } = await show(second);
  await replica.kill();
  // nobody renews the first one either, so its place falls to the second, and comes back from there
  await eventually('it was granted', async () => (await line()).length === 0, 20_000);
  await eventually('the place is back', async () => (await allocated()) === 0, 20_000);
  replica = await TaskRunnerReplica.start(env);
  await untilIs(second, 'Error');
  expect((await show(second)).error?.code).toBe('task.start_interrupted');
  const told = (await eventsOf('allocation.released')).filter(({ data }) => data.allocation_id === allocationId);
  expect(told.map(({ data }) => data.end_reason)).toEqual(['expired']);
  await eventually('the first has capacity again', async () => (await allocated()) === 1, 30_000);
  expect((await show(first)).status).toBe('Running');
});

test('when allocation is killed while it waits, then it waits on, and starts', async () => {
  const long = await TaskRunnerReplica.start({ ...env, TASK_LEASE_SECONDS: '60' });
  await replica.stop();
  replica = long;
  const first = await begin();
  const second = await wait();
  const before = await line();
  const away = ['allocation', 'allocation-2'].map((name) => kill(name, { hold: true }));
  try {
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    expect((await show(second)).status).toBe('Pending');
  } finally {
    for (const one of away) one.release();
  }
  const answers = (url: string): Promise<boolean> =>
    fetch(`${url}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
  await eventually(
    'allocation is back',
    async () => (await Promise.all(replicas().map(answers))).every(Boolean),
    60_000,
  );
  expect(await line()).toEqual(before);
  await stop(first);
  await untilIs(second, 'Running');
});

test('when two replicas wait for it, then it starts once', async () => {
  const first = await begin();
  const second = await wait();
  const other = await TaskRunnerReplica.start(env);
  try {
    await eventually('both ask', async () => {
      const { body } = await call('GET', `${other.url}/api/tasks/${second}`, { token });
      return (body as Shown).waiting?.position === 1;
    });
    await stop(first);
    await untilIs(second, 'Running');
    const { history } = await show(second);
    expect(history.map(({ reason }) => reason)).toEqual([
      ...['requested', 'waiting_for_capacity', 'capacity_taken', 'ready'],
    ]);
    expect(await allocated()).toBe(1);
  } finally {
    await other.stop();
  }
});
