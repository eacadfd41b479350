// Slow: an image with a Jupyter server is made of packages.
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import Docker from 'dockerode';
import { parse } from 'yaml';
import { root } from '../../tools/instance';
import { JupyterClient, type Kernel } from './support/jupyter-client';
import { ensureJupyterImage, JUPYTER_IMAGE } from './support/jupyter-image';
import { holdOwnTaskRunner, serviceTypes, type TypeGiven } from './support/lone-task-runner';
import { readStream } from './support/stream';
import { call, eventually, tokenFor } from './support/system';
import { expectBalance, expectEventsOnce, stopAllTasks } from './support/task-books';
import { TaskRunnerReplica } from './support/task-runner-replica';
import { freeUnits, type Started } from './support/tasks';

/**
 * Issue 5, proof: a real Jupyter server. The service type is the one that is shipped, but for its image, which is made
 * here of packages (support/jupyter-image.ts), and for its times.
 */

jest.setTimeout(600_000);

const IDLE_TIMEOUT = 20;
const WARN_BEFORE = 5;
const user = randomUUID();
const token = tokenFor(user, 'user');
let held: { release: () => Promise<void> } | undefined;
let types: ReturnType<typeof serviceTypes> | undefined;
let replica: TaskRunnerReplica | undefined;

interface Task {
  iframeUrl: string;
  expiresAt: string;
  history: { at: string; status: string; reason: string }[];
}

beforeAll(async () => {
  await ensureJupyterImage(new Docker());
  const file = fs.readFileSync(path.join(root, 'services/task-runner/service-types.yaml'), 'utf8');
  const shipped = (parse(file) as { serviceTypes: { jupyter: TypeGiven } }).serviceTypes.jupyter;
  const times = { idleTimeout: IDLE_TIMEOUT, warnBefore: WARN_BEFORE };
  types = serviceTypes({ jupyter: { ...shipped, ...times, image: JUPYTER_IMAGE } });
  held = await holdOwnTaskRunner();
  replica = await TaskRunnerReplica.start(types.env);
});
afterAll(async () => {
  try {
    if (replica) await stopAllTasks(replica.url);
    await replica?.stop();
  } finally {
    types?.remove();
    await held?.release();
  }
});

const url = (): string => replica?.url ?? 'http://no-replica';
const ask = (taskId: string): Promise<Task> =>
  call('GET', `${url()}/api/tasks/${taskId}`, { token }).then(({ body }) => body as Task);

test('when somebody runs code in Jupyter and forgets it with its page open, then a warning comes, and it is stopped in order', async () => {
  const free = await freeUnits('local-cpu');
  const accepted = await call('POST', `${url()}/api/tasks`, {
    ...{ token, body: { userId: user, serviceType: 'jupyter' }, headers: { prefer: 'respond-async' } },
  });
  expect(accepted.status).toBe(202);
  const { taskId } = accepted.body as Started;
  const events = readStream(`${url()}/api/tasks/${taskId}/events`, token);
  await eventually('it runs', () => events.text.includes('data: {"status":"Running"'), 60_000);
  expect(await freeUnits('local-cpu')).toBe(free - 1000);
  const { iframeUrl } = await ask(taskId);
  const jupyter = new JupyterClient(iframeUrl);

  // its page may be framed, and its token is the only way in
  const page = await fetch(iframeUrl);
  expect(page.headers.get('content-security-policy')).toMatch(/^frame-ancestors 'self' http:/);
  expect(await page.text()).toContain('<title>JupyterLab</title>');
  expect((await jupyter.call('GET', '/api/kernels', null)).status).toBe(403);
  expect((await jupyter.call('GET', '/api/kernels', '0'.repeat(32))).status).toBe(403);

  const kernel = await jupyter.startKernel();
  const results = (await kernel.execute('6*7')).filter(({ msg_type: type }) => type === 'execute_result');
  expect(results).toMatchObject([{ content: { data: { 'text/plain': '42' } } }]);
  expect(replyOf(await kernel.execute('open("work/kept.txt", "w").write("kept")'))).toMatchObject({ status: 'ok' });
  expect(replyOf(await kernel.execute('open("/usr/kept.txt", "w")'))).toMatchObject({ ename: 'PermissionError' });

  // computes for longer than it may idle, and nobody asks it anything
  await kernel.execute(`import time\nend = time.time() + ${IDLE_TIMEOUT + 5}\nwhile time.time() < end: pass`, 90_000);
  expect(await ask(taskId)).toMatchObject({ status: 'Running' });
  expect(events.text).not.toContain('event: warning');

  const openPage = await jupyter.openPage();
  await eventually('the warning', () => events.text.includes('event: warning'), 40_000);
  expect(events.text).toMatch(/event: warning\ndata: \{"status":"Running".*"reason":"idle_soon","actor":"system"\}/);
  const { expiresAt, history: soFar } = await ask(taskId);
  expect(soFar.at(-1)).toMatchObject({ status: 'Running', reason: 'idle_soon' });
  expect(kernel.isConnected).toBe(true);
  const log = await call('GET', `${url()}/api/tasks/${taskId}/logs`, { token });
  expect(log.body).toContain('Kernel started');
  expect(log.body).not.toContain(jupyter.token);

  await eventually('the end of the stream', () => events.ended, 40_000);
  const { history, ...ended } = await ask(taskId);
  // it heard the signal and ended by itself, with its kernel
  expect(ended).toMatchObject({ status: 'Stopped', reason: 'idle_timeout', actor: 'system', exitCode: 0 });
  const timeOf = (reason: string): number => Date.parse(history.find((step) => step.reason === reason)?.at ?? '');
  expect(timeOf('idle_timeout') - timeOf('idle_soon')).toBeGreaterThanOrEqual(WARN_BEFORE * 1000);
  expect(Math.abs(timeOf('idle_timeout') - Date.parse(expiresAt))).toBeLessThan(5_000);
  expect(openPage.answers).toBeGreaterThan(4);
  expect(kernel.isConnected).toBe(false);
  expect(await freeUnits('local-cpu')).toBe(free);
  await expectBalance([user]);
  await expectEventsOnce([user]);

  // what was kept of it can be dropped
  const { body: volumes } = await call('GET', `${url()}/api/volumes`, { token });
  expect(volumes).toMatchObject([{ name: `${user}_jupyter_work`, inUse: false }]);
  expect((await call('DELETE', `${url()}/api/volumes/${user}_jupyter_work`, { token })).status).toBe(204);
});

function replyOf(said: Awaited<ReturnType<Kernel['execute']>>): object | undefined {
  return said.find(({ msg_type: type }) => type === 'execute_reply')?.content;
}
