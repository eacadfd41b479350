import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { instanceSecrets } from '../../tools/secrets';
import { mintToken } from '../../tools/tokens';
import { e2eInstance } from './support/e2e-instance';
import { holdOwnTaskRunner, serviceTypes } from './support/lone-task-runner';
import { call, eventually } from './support/system';
import { expectBalance, expectEventsOnce } from './support/task-books';
import { TaskRunnerReplica } from './support/task-runner-replica';
import type { Started } from './support/tasks';

/** Issue 5, proof: the clock of task-runner's host jumps by an hour, forth and back, while tasks start, run and end. */

jest.setTimeout(120_000);

const HOUR = 3_600_000;
const image = 'resource-manager/demo:1';
const types = serviceTypes({
  demo: { image },
  slow: { image, env: { DEMO_START_DELAY: '2' } },
  never: { image, env: { DEMO_START_DELAY: '600' }, readiness: { path: '/healthz', timeoutSeconds: 4 } },
});
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'set-clock-'));
const file = path.join(folder, 'ahead');
const user = randomUUID();
// longer than any jump
const token = mintToken(instanceSecrets(e2eInstance(), {}), user, ['user'], 10 * 3600);
let release: () => Promise<void>;
let replica: TaskRunnerReplica;

async function setClock(ahead: number): Promise<void> {
  fs.writeFileSync(`${file}.new`, String(ahead));
  fs.renameSync(`${file}.new`, file);
  // it looks every 20 ms
  await new Promise((resolve) => setTimeout(resolve, 100));
}

beforeAll(async () => {
  ({ release } = await holdOwnTaskRunner());
  await setClock(0);
  replica = await TaskRunnerReplica.start({
    ...types.env,
    // renewed every second
    TASK_LEASE_SECONDS: '3',
    SET_CLOCK_FILE: file,
    NODE_OPTIONS: `--require ${path.join(__dirname, 'support', 'set-clock.cjs')}`,
  });
});
afterAll(async () => {
  await replica.stop();
  types.remove();
  fs.rmSync(folder, { recursive: true });
  await release();
});

async function start(serviceType: string): Promise<string> {
  const headers = { prefer: 'respond-async' };
  const body = { userId: user, serviceType };
  const answer = await call('POST', `${replica.url}/api/tasks`, { token, headers, body });
  expect(answer.status).toBe(202);
  return (answer.body as Started).taskId;
}

async function read(taskId: string): Promise<Record<string, unknown>> {
  return (await call('GET', `${replica.url}/api/tasks/${taskId}`, { token })).body as Record<string, unknown>;
}

const until = (taskId: string, status: string, ms = 10_000): Promise<void> =>
  eventually(`the task is ${status}`, async () => (await read(taskId))['status'] === status, ms);

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

test.each([
  ['an hour forth', 0, HOUR],
  ['an hour back', 2 * HOUR, HOUR],
])(
  'when it jumps %s, then what runs or starts goes on, what cannot start is given up, and ends are told',
  async (_, from, to) => {
    await setClock(from);
    const [runs, dies] = [await start('demo'), await start('demo')];
    await Promise.all([until(runs, 'Running'), until(dies, 'Running')]);
    const { allocationId } = await read(runs);
    const [starts, hangs] = [await start('slow'), await start('never')];
    await Promise.all([until(starts, 'Starting'), until(hangs, 'Starting')]);

    await setClock(to);
    await until(starts, 'Running');
    await until(hangs, 'Error');
    expect(await read(hangs)).toMatchObject({ reason: 'start_failed' });
    // longer than a lease
    await pause(4_000);
    expect(await read(runs)).toMatchObject({ status: 'Running', allocationId });
    await promisify(execFile)('docker', ['kill', `task-${dies}`]);
    await until(dies, 'Error', 2_000);
    const { startTime, stopTime } = await read(dies);
    expect(Date.parse(String(stopTime))).toBeGreaterThanOrEqual(Date.parse(String(startTime)));
    await expectBalance([user]);

    for (const taskId of [runs, starts]) {
      expect((await call('DELETE', `${replica.url}/api/tasks/${taskId}`, { token })).status).toBe(200);
    }
    await expectBalance([user]);
    await expectEventsOnce([user]);
  },
);
