// Slow: services and the engine are killed, and come back by themselves.
import { randomUUID } from 'node:crypto';
import { DockerRelay } from './support/docker-relay';
import { allReady, call, eventually, kill, tokenFor, type Answer } from './support/system';
import { TaskRunnerReplica } from './support/task-runner-replica';
import { containersOf, freeUnits, startTask, stopTask, taskOf, type Started } from './support/tasks';

/** Issue 3, D13 and the Docker part of H21: what a crash or an absence does to tasks, on the real system. */

jest.setTimeout(180_000);

const asAdmin = tokenFor(randomUUID(), 'admin');

interface Listed {
  id: string;
  status: string;
}

/** The answer, or undefined while nobody listens. */
function ask(path: string): Promise<Answer | undefined> {
  return call('GET', path, { token: asAdmin }).catch(() => undefined);
}

/** Undefined while task-runner or its sidecar is away. */
async function tasksOf(userId: string): Promise<Listed[] | undefined> {
  const answer = await ask(`task-runner/api/tasks?userId=${userId}&limit=1000`);
  return answer?.status === 200 ? (answer.body as Listed[]) : undefined;
}

async function usesOf(userId: string): Promise<number | undefined> {
  const answer = await ask(`blockchain-forwarder/api/usage?userId=${userId}&limit=1000`);
  return answer?.status === 200 ? (answer.body as unknown[]).length : undefined;
}

const isTransient = ({ status }: Listed): boolean => ['Pending', 'Pulling', 'Starting', 'Stopping'].includes(status);

describe('kill -9 of task-runner', () => {
  test('when it comes right after ends were committed, with the broker away, then each end still becomes one usage record', async () => {
    const user = randomUUID();
    const token = tokenFor(user, 'user');
    const tasks = await Promise.all([1, 2, 3].map(() => startTask(token, user, 'demo')));
    const broker = kill('nats', { hold: true });
    try {
      const stops = await Promise.all(tasks.map(({ body }) => stopTask(token, (body as Started).taskId)));
      kill('task-runner');
      expect(stops.map(({ status }) => status)).toEqual([200, 200, 200]);
      await eventually('task-runner is back', async () => (await tasksOf(user))?.length === 3);
    } finally {
      broker.release();
    }
    await eventually('three usage records', async () => (await usesOf(user)) === 3, 60_000);
    // nothing comes twice later
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect(await usesOf(user)).toBe(3);
    await eventually('everything is ready', allReady, 60_000);
  });

  test('when it comes at any moment of starts and stops, then tasks, containers and capacity agree afterwards', async () => {
    const user = randomUUID();
    const token = tokenFor(user, 'user');
    const free = await freeUnits('local-cpu');
    for (const afterMs of [30, 120, 300, 600, 900]) {
      const starts = [1, 2].map(() => startTask(token, user, 'demo').catch(() => undefined));
      const running = (await tasksOf(user))?.find(({ status }) => status === 'Running');
      const stop = running && stopTask(token, running.id).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      kill('task-runner');
      await Promise.all([...starts, stop]);
      await eventually('task-runner is back', async () => (await ask('task-runner/readyz'))?.status === 200);
    }
    // a start whose request died with the process is given up after 10 s, looked for every 30 s
    await eventually('all tasks rest', async () => (await tasksOf(user))?.some(isTransient) === false, 60_000);
    const tasks = (await tasksOf(user)) ?? [];
    const running = tasks.filter(({ status }) => status === 'Running').map(({ id }) => id);
    expect(tasks.length).toBeGreaterThan(0);
    expect((await containersOf(tasks.map(({ id }) => id))).sort()).toEqual([...running].sort());
    expect(await freeUnits('local-cpu')).toBe(free - 100 * running.length);

    const stops = await Promise.all(running.map((id) => stopTask(token, id)));
    expect(stops.map(({ status }) => status)).toEqual(running.map(() => 200));
    expect(await freeUnits('local-cpu')).toBe(free);
    // one record for every task that ever ran, none for the others
    const used = await Promise.all(tasks.map(async ({ id }) => (await taskOf(token, id))['startTime'] !== null));
    const uses = used.filter(Boolean).length;
    await eventually(`${uses} usage records`, async () => (await usesOf(user)) === uses, 60_000);
  });
});

test('when the database is away while a container ends, then its end is written down once it is back, with its own time', async () => {
  const user = randomUUID();
  const token = tokenFor(user, 'user');
  const { taskId, iframeUrl } = (await startTask(token, user, 'demo')).body as Started;
  const database = kill('postgres', { hold: true });
  let exited: number;
  try {
    await fetch(`${iframeUrl}exit?code=0`, { method: 'POST' });
    exited = Date.now();
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    const refused = await startTask(token, user, 'demo');
    expect(refused.status).toBe(503);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  } finally {
    database.release();
  }
  const status = async (): Promise<unknown> => (await taskOf(token, taskId).catch(() => undefined))?.['status'];
  await eventually('task is Stopped', async () => (await status()) === 'Stopped', 40_000);
  const { stopTime } = await taskOf(token, taskId);
  expect(Math.abs(Date.parse(String(stopTime)) - exited)).toBeLessThan(2_000);
  expect(await containersOf([taskId])).toEqual([]);
  await eventually('one usage record', async () => (await usesOf(user)) === 1, 60_000);
  await eventually('everything is ready', allReady, 60_000);
});

describe('Docker away', () => {
  const relay = new DockerRelay();
  let replica: TaskRunnerReplica;

  beforeAll(async () => {
    await relay.start();
    replica = await TaskRunnerReplica.start({ DOCKER_HOST: relay.dockerHost });
  });
  afterAll(async () => {
    await replica.stop();
    await relay.remove();
  });

  test('when it goes, then tasks answer 503, the rest goes on, and what runs is found again when it comes back', async () => {
    const user = randomUUID();
    const token = tokenFor(user, 'user');
    const body = { userId: user, serviceType: 'demo' };
    const first = await call('POST', `${replica.url}/api/tasks`, { token, body });
    expect(first.status).toBe(201);
    const { taskId, iframeUrl } = first.body as Started;

    await relay.shut();
    const free = await freeUnits('local-cpu');
    const refused = await call('POST', `${replica.url}/api/tasks`, { token, body });
    expect(refused).toMatchObject({ status: 503, body: { code: 'runtime.unavailable' } });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await freeUnits('local-cpu')).toBe(free);
    expect(await replica.isReady()).toBe(true);
    // long enough for several looks at everything
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    const listed = await call('GET', `${replica.url}/api/tasks`, { token });
    expect(listed.body).toMatchObject([{ id: taskId, status: 'Running' }]);
    expect((await fetch(iframeUrl)).status).toBe(200);

    await relay.start();
    await eventually('the replica watches again', () => replica.log().includes('the container runtime is back'));
    expect(await taskOf(token, taskId)).toMatchObject({ status: 'Running' });
    const second = await call('POST', `${replica.url}/api/tasks`, { token, body });
    expect(second.status).toBe(201);
    for (const id of [taskId, (second.body as Started).taskId]) {
      expect((await call('DELETE', `${replica.url}/api/tasks/${id}`, { token })).status).toBe(200);
    }
    expect(await containersOf([taskId])).toEqual([]);
  });

  test('when a task is stopped while Docker is away, then 503, and it is stopped as soon as Docker is back', async () => {
    const user = randomUUID();
    const token = tokenFor(user, 'user');
    const { body } = await call('POST', `${replica.url}/api/tasks`, {
      token,
      body: { userId: user, serviceType: 'demo' },
    });
    const { taskId } = body as Started;
    await relay.shut();
    const answer = await call('DELETE', `${replica.url}/api/tasks/${taskId}`, { token });
    expect(answer).toMatchObject({ status: 503, body: { code: 'runtime.unavailable' } });
    await relay.start();
    await eventually('task is Stopped', async () => (await taskOf(token, taskId))['status'] === 'Stopped', 40_000);
    expect(await containersOf([taskId])).toEqual([]);
  });

  test('when two replicas see a container die, then its task ends once', async () => {
    const user = randomUUID();
    const token = tokenFor(user, 'user');
    const { body } = await startTask(token, user, 'demo');
    const { taskId, iframeUrl } = body as Started;
    await fetch(`${iframeUrl}exit?code=0`, { method: 'POST' });
    await eventually('task is Stopped', async () => (await taskOf(token, taskId))['status'] === 'Stopped', 5_000);
    const history = (await taskOf(token, taskId))['history'] as Listed[];
    expect(history.map(({ status }) => status)).toEqual(['Pending', 'Starting', 'Running', 'Stopping', 'Stopped']);
    await eventually('one usage record', async () => (await usesOf(user)) === 1, 30_000);
  });
});
