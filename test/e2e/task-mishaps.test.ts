import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { promisify } from 'node:util';
import Docker from 'dockerode';
import { ensureGoImage } from '../../tools/demo-image';
import { holdOwnTaskRunner, serviceTypes } from './support/lone-task-runner';
import { PROBE_IMAGE } from './support/probe-tasks';
import { SlowRegistry } from './support/slow-registry';
import { call, eventually, tokenFor } from './support/system';
import { expectBalance, expectEventsOnce } from './support/task-books';
import { TaskRunnerReplica } from './support/task-runner-replica';
import type { Started } from './support/tasks';

/** Issue 5, proof: what people, kernels and programs do to containers, on real Docker, and what is true afterwards. */

jest.setTimeout(60_000);

const GRACE_SECONDS = 2;
const docker = new Docker();
const registry = new SlowRegistry();
const user = randomUUID();
const token = tokenFor(user, 'user');
let release: () => Promise<void>;
let types: ReturnType<typeof serviceTypes>;
let replica: TaskRunnerReplica;
let pulledImage: string;

beforeAll(async () => {
  const folder = path.join(__dirname, 'support', 'probe');
  await ensureGoImage(docker, { tag: PROBE_IMAGE, folder, program: 'probe' });
  await registry.start();
  const program = { tar: await programTar(), path: '/probe' };
  pulledImage = registry.publish(`probe-${randomUUID()}`, [10_000], { program });
  types = serviceTypes({
    probe: { image: PROBE_IMAGE, readOnly: true, tmpfs: { '/tmp': '1Mi' }, stopGraceSeconds: GRACE_SECONDS },
    pulled: { image: pulledImage },
  });
  ({ release } = await holdOwnTaskRunner());
  replica = await TaskRunnerReplica.start(types.env);
});
afterEach(async () => {
  await expectBalance([user]);
  await expectEventsOnce([user]);
});
afterAll(async () => {
  await replica.stop();
  types.remove();
  await removeImage();
  await registry.stop();
  await release();
});

/** The program's file as Docker keeps it: the layer of an image. */
async function programTar(): Promise<Buffer> {
  const container = await docker.createContainer({ Image: PROBE_IMAGE });
  try {
    const pieces: Buffer[] = [];
    for await (const piece of await container.getArchive({ path: '/probe' })) pieces.push(piece as Buffer);
    return Buffer.concat(pieces);
  } finally {
    await container.remove();
  }
}

async function removeImage(): Promise<void> {
  await promisify(execFile)('docker', ['rmi', '-f', pulledImage]);
}

async function start(serviceType = 'probe'): Promise<Started> {
  const { status, body } = await call('POST', `${replica.url}/api/tasks`, {
    token,
    body: { userId: user, serviceType },
  });
  expect([status, body]).toEqual([201, expect.objectContaining({ containerPort: expect.any(Number) })]);
  return body as Started;
}

async function stop({ taskId }: Started): Promise<void> {
  expect((await call('DELETE', `${replica.url}/api/tasks/${taskId}`, { token })).status).toBe(200);
}

async function read({ taskId }: Started): Promise<Record<string, unknown>> {
  return (await call('GET', `${replica.url}/api/tasks/${taskId}`, { token })).body as Record<string, unknown>;
}

const ask = async ({ iframeUrl }: Started, what: string): Promise<string> =>
  (await fetch(`${iframeUrl}${what}`, { signal: AbortSignal.timeout(5_000) })).text();

const until = (task: Started, status: string, ms: number): Promise<void> =>
  eventually(`the task is ${status}`, async () => (await read(task))['status'] === status, ms);

const statuses = async (task: Started): Promise<string[]> =>
  ((await read(task))['history'] as { status: string }[]).map(({ status }) => status);

test('when somebody kills the container, then within 2 s the task says that it crashed, and its neighbour goes on', async () => {
  const [killed, neighbour] = await Promise.all([start(), start()]);
  await promisify(execFile)('docker', ['kill', `task-${killed.taskId}`]);
  await until(killed, 'Error', 2_000);
  expect(await read(killed)).toMatchObject({ reason: 'crashed', exitCode: 137, actor: 'system', status: 'Error' });
  expect(await ask(neighbour, 'healthz')).toBe('ok');
  await expectBalance([user]);
  await stop(neighbour);
});

test('when a program needs more memory than its type allows, then its task says so', async () => {
  const task = await start();
  await ask(task, `eat?bytes=${256 * 1024 * 1024}`).catch(() => undefined); // it dies instead of answering
  await until(task, 'Error', 5_000);
  expect(await read(task)).toMatchObject({
    reason: 'oom_killed',
    exitCode: 137,
    actor: 'system',
    error: { code: 'task.oom_killed' },
  });
});

test('when a program does not hear SIGTERM, then it has its grace, is killed, and the stop counts as one', async () => {
  const task = await start();
  expect(await ask(task, 'deaf')).toBe('deaf');
  const began = Date.now();
  await stop(task);
  expect(Date.now() - began).toBeGreaterThanOrEqual(GRACE_SECONDS * 1000);
  expect(Date.now() - began).toBeLessThan(GRACE_SECONDS * 1000 + 3_000);
  expect(await read(task)).toMatchObject({ status: 'Stopped', reason: 'stopped_by_user', exitCode: 137, actor: user });
});

test('when the service is killed during that grace, then the next process carries the stop on', async () => {
  const task = await start();
  expect(await ask(task, 'deaf')).toBe('deaf');
  const cut = stop(task).catch(() => undefined); // its service dies, which is the point
  await until(task, 'Stopping', 2_000);
  await replica.kill();
  await replica.stop();
  await cut;
  replica = await TaskRunnerReplica.start(types.env);
  await until(task, 'Stopped', 10_000);
  expect(await read(task)).toMatchObject({ reason: 'stopped_by_user', actor: user });
});

test('when a program fills all that it may write to, then it is told so, and goes on, and stops as any other', async () => {
  const task = await start();
  expect(await ask(task, 'write?path=/tmp/full&bytes=4194304')).toContain('no space left on device');
  expect(await ask(task, 'write?path=/tmp/more&bytes=1')).toContain('no space left on device');
  expect(await ask(task, 'write?path=/elsewhere&bytes=1')).toContain('read-only file system');
  expect(await ask(task, 'healthz')).toBe('ok');
  expect(await read(task)).toMatchObject({ status: 'Running' });
  await stop(task);
  expect(await read(task)).toMatchObject({ status: 'Stopped', exitCode: 0 });
});

test('when the image is removed between two tasks, then the one that runs goes on, and the next one pulls it again', async () => {
  const first = await start('pulled');
  expect(await statuses(first)).toEqual(['Pending', 'Pulling', 'Starting', 'Running']);
  await removeImage();
  expect(await ask(first, 'healthz')).toBe('ok');
  await stop(first);
  const second = await start('pulled');
  expect(await statuses(second)).toEqual(['Pending', 'Pulling', 'Starting', 'Running']);
  await stop(second);
});
