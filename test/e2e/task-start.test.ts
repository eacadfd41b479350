import { randomUUID } from 'node:crypto';
import path from 'node:path';
import Docker from 'dockerode';
import { ensureGoImage } from '../../tools/demo-image';
import { holdOwnTaskRunner, serviceTypes } from './support/lone-task-runner';
import { SlowRegistry } from './support/slow-registry';
import { call, eventually, tokenFor } from './support/system';
import { TaskRunnerReplica } from './support/task-runner-replica';
import { containersOf, freeUnits, taskOf, type Started } from './support/tasks';

/** Issue 5, points 1 to 3: starts that pull their image, on the real system, from a registry that falls silent half-way. */

jest.setTimeout(120_000);

const docker = new Docker();
const registry = new SlowRegistry();
const user = randomUUID();
const token = tokenFor(user, 'user');
const published: string[] = [];
const files: ReturnType<typeof serviceTypes>[] = [];
let replica: TaskRunnerReplica;
let own: Awaited<ReturnType<typeof holdOwnTaskRunner>>;

beforeAll(async () => {
  await registry.start();
  const source = path.join(__dirname, 'images', 'contract');
  await ensureGoImage(docker, { tag: 'resource-manager/contract:1', folder: source, program: 'program' });
  // it knows another image for `demo`, and would carry on a start in its round of looking
  own = await holdOwnTaskRunner();
});
afterEach(async () => {
  await replica.stop();
  for (const image of published.splice(0)) {
    // one that never arrived is not there
    const found = await docker.listImages({ filters: { reference: [image] } });
    await Promise.all(found.map(({ Id }) => docker.getImage(Id).remove({ force: true })));
  }
});
afterAll(async () => {
  await own.release();
  await registry.stop();
  for (const file of files) file.remove();
});

/** The program's file as Docker keeps it: the layer of an image. */
async function programTar(): Promise<Buffer> {
  const container = await docker.createContainer({ Image: 'resource-manager/contract:1' });
  try {
    const pieces: Buffer[] = [];
    for await (const piece of await container.getArchive({ path: '/program' })) pieces.push(piece as Buffer);
    return Buffer.concat(pieces);
  } finally {
    await container.remove();
  }
}

/** A task-runner whose `demo` has its image in the registry. */
async function openReplica(image: string): Promise<TaskRunnerReplica> {
  const file = serviceTypes({ demo: { image, resources: { cpu: 0.1, memory: '64Mi', pids: 32 } } });
  files.push(file);
  return TaskRunnerReplica.start(file.env);
}

async function publish(): Promise<string> {
  const program = { tar: await programTar(), path: '/program' };
  const image = registry.publish(`program-${randomUUID()}`, [500_000, 700_000], { silent: true, program });
  published.push(image);
  return image;
}

async function startSilent(): Promise<string> {
  const headers = { prefer: 'respond-async' };
  const body = { userId: user, serviceType: 'demo' };
  const {
    status,
    body: accepted,
    headers: answered,
  } = await call('POST', `${replica.url}/api/tasks`, { token, body, headers });
  const { taskId } = accepted as Started;
  expect([status, accepted]).toEqual([202, { taskId, status: 'Pulling' }]);
  expect([answered.get('location'), answered.get('preference-applied')]).toEqual([
    `/api/tasks/${taskId}`,
    'respond-async',
  ]);
  return taskId;
}

const read = (taskId: string): Promise<Record<string, unknown>> => taskOf(token, taskId, replica.url);

const statusOf = async (taskId: string): Promise<unknown> => (await read(taskId))['status'];

const statuses = async (taskId: string): Promise<string[]> =>
  ((await read(taskId))['history'] as { status: string }[]).map(({ status }) => status);

test('when a start pulls its image, then its followers see bytes and steps, and its crash with its last words within 2 s', async () => {
  replica = await openReplica(await publish());
  const taskId = await startSilent();
  const answer = await fetch(`${replica.url}/api/tasks/${taskId}/events`, {
    headers: { authorization: `Bearer ${token}` },
  });
  let heard = '';
  const followed = (async () => {
    for await (const piece of answer.body ?? []) heard += Buffer.from(piece as Uint8Array).toString();
  })();
  await eventually('progress', () =>
    /event: progress\ndata: \{"bytes":\d{5,},"totalBytes":\d{6,},"percent":\d+\}/.test(heard),
  );
  registry.speak();
  await eventually('task is Running', async () => (await statusOf(taskId)) === 'Running', 30_000);
  const { iframeUrl } = await read(taskId);
  await fetch(`${String(iframeUrl)}print?stream=stderr&text=goodbye`, { method: 'POST' });
  await fetch(`${String(iframeUrl)}exit?code=3`, { method: 'POST' });
  const told = Date.now();
  await eventually('task is Error', async () => (await statusOf(taskId)) === 'Error', 5_000);
  // the program itself takes a moment to end
  expect(Date.now() - told).toBeLessThan(2_500);
  expect(await read(taskId)).toMatchObject({
    exitCode: 3,
    error: { code: 'task.crashed', logTail: ['goodbye'] },
  });
  await followed;
  expect(heard.match(/^event: (?!progress).*$/gm)).toEqual([...Array<string>(6).fill('event: step'), 'event: end']);
  expect(await statuses(taskId)).toEqual(['Pending', 'Pulling', 'Starting', 'Running', 'Stopping', 'Error']);
});

test('when task-runner is killed while it pulls, then the next one goes on: one container, one start', async () => {
  const free = await freeUnits('local-cpu');
  const image = await publish();
  replica = await openReplica(image);
  const taskId = await startSilent();
  await replica.kill();
  await replica.stop();
  expect(await freeUnits('local-cpu')).toBe(free - 100);
  replica = await openReplica(image);
  registry.speak();
  await eventually('task is Running', async () => (await statusOf(taskId)) === 'Running', 40_000);
  expect(await statuses(taskId)).toEqual(['Pending', 'Pulling', 'Starting', 'Running']);
  expect(await containersOf([taskId])).toEqual([taskId]);
  expect((await call('DELETE', `${replica.url}/api/tasks/${taskId}`, { token })).status).toBe(200);
  expect([await containersOf([taskId]), await freeUnits('local-cpu')]).toEqual([[], free]);
});

test('when a task is stopped while it pulls, then at once, and no capacity stays held', async () => {
  const free = await freeUnits('local-cpu');
  replica = await openReplica(await publish());
  const taskId = await startSilent();
  const began = Date.now();
  const { status, body } = await call('DELETE', `${replica.url}/api/tasks/${taskId}`, { token });
  expect([status, body]).toEqual([200, { success: true, duration: 'PT0S' }]);
  expect(Date.now() - began).toBeLessThan(2_000);
  expect([await statuses(taskId), await freeUnits('local-cpu')]).toEqual([
    ['Pending', 'Pulling', 'Stopping', 'Stopped'],
    free,
  ]);
  registry.speak();
});

test('when the registry has no such image, then a clear error, an Error task, and no capacity is held', async () => {
  const free = await freeUnits('local-cpu');
  replica = await openReplica(`${registry.host}/is-not-there:1`);
  const body = { userId: user, serviceType: 'demo' };
  const answer = await call('POST', `${replica.url}/api/tasks`, { token, body });
  expect(answer).toMatchObject({ status: 502, body: { code: 'runtime.image_missing' } });
  const { taskId } = answer.body as Started;
  expect(await read(taskId)).toMatchObject({
    ...{ status: 'Error', reason: 'image_missing', startTime: null },
    error: { code: 'runtime.image_missing', detail: expect.stringContaining('is-not-there') },
  });
  expect(await freeUnits('local-cpu')).toBe(free);
});
