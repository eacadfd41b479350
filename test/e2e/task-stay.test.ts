import { randomUUID } from 'node:crypto';
import { eventsOf } from './support/event-stream';
import { holdOwnTaskRunner, serviceTypes } from './support/lone-task-runner';
import { PROBE_IMAGE, ProbeTasks } from './support/probe-tasks';
import { readStream } from './support/stream';
import { call, eventually, tokenFor } from './support/system';
import { TaskRunnerReplica } from './support/task-runner-replica';
import { containersOf, freeUnits, type Started } from './support/tasks';

/**
 * Issue 5, points 6 and 7: a task that nobody uses is warned and stopped, and its owner looks in meanwhile, on the real system.
 * Slow: idle times run out.
 */

jest.setTimeout(120_000);

const WARN_BEFORE_MS = 4_000;
const user = randomUUID();
const token = tokenFor(user, 'user');
const stay = { idleTimeout: 10, warnBefore: WARN_BEFORE_MS / 1000, maxExtension: 120 };
const types = serviceTypes({
  brief: { image: PROBE_IMAGE, resources: { cpu: 0.5, memory: '64Mi', pids: 32 }, ...stay },
});
let replica: TaskRunnerReplica;
let own: Awaited<ReturnType<typeof holdOwnTaskRunner>>;

beforeAll(async () => {
  await new ProbeTasks('stay-test').prepare();
  // it does not know the type, and would end a start that it finds in its round of looking
  own = await holdOwnTaskRunner();
  replica = await TaskRunnerReplica.start(types.env);
});
afterAll(async () => {
  await replica.stop();
  types.remove();
  await own.release();
});

const ask = async <T>(method: 'GET' | 'POST', what: string, body?: object) => {
  const answer = await call(method, `${replica.url}/api/tasks${what}`, { token, ...(body ? { body } : {}) });
  return { status: answer.status, body: answer.body as T };
};

async function start(): Promise<Started> {
  const { status, body } = await ask<Started>('POST', '', { userId: user, serviceType: 'brief' });
  if (status !== 201) throw new Error(`POST answered ${status} ${JSON.stringify(body)}`);
  return body;
}

const stream = (what: string) => readStream(`${replica.url}/api/tasks${what}`, token);

interface Stats {
  series: { cpuCores: number | null; memoryBytes: number }[];
}
interface Detail {
  status: string;
  reason: string;
  actor: string;
  expiresAt: string | null;
  idleSince: string | null;
  history: { at: string; reason: string }[];
}

test('when nobody uses a task, then its owner is warned in the stream, and the system stops it when it said it would', async () => {
  const free = await freeUnits('local-cpu');
  const { taskId } = await start();
  const events = stream(`/${taskId}/events`);
  expect(Date.parse((await ask<Detail>('GET', `/${taskId}`)).body.expiresAt ?? '')).toBeGreaterThan(Date.now());
  await eventually('the warning', () => events.text.includes('event: warning'), 20_000);
  const { expiresAt } = (await ask<Detail>('GET', `/${taskId}`)).body;
  await eventually('the end of the stream', () => events.ended, 30_000);
  expect(events.text).toMatch(/event: warning\ndata: \{"status":"Running".*"reason":"idle_soon","actor":"system"\}/);
  expect(events.text).toContain('"reason":"idle_timeout"');
  const { body } = await ask<Detail>('GET', `/${taskId}`);
  expect(body).toMatchObject({ status: 'Stopped', reason: 'idle_timeout', actor: 'system', expiresAt: null });
  const timeOf = (reason: string): number => Date.parse(body.history.find((step) => step.reason === reason)?.at ?? '');
  expect(timeOf('idle_timeout') - timeOf('idle_soon')).toBeGreaterThanOrEqual(WARN_BEFORE_MS);
  expect(timeOf('idle_timeout') - Date.parse(expiresAt ?? '')).toBeLessThan(5_000);
  expect(await containersOf([taskId])).toEqual([]);
  expect(await freeUnits('local-cpu')).toBe(free);
  await eventually('its event', async () =>
    (await eventsOf('task.stopped')).some(({ data }) => data.taskId === taskId && data.reason === 'idle_timeout'),
  );
  expect(await ask('GET', `/${taskId}/logs`)).toMatchObject({ status: 409, body: { code: 'task.no_container' } });
});

test('when a task computes, then stats show it and it stays; its log is followed to the end; and it is extended', async () => {
  const { taskId, iframeUrl } = await start();
  const logs = stream(`/${taskId}/logs?follow=true`);
  const until = Date.now() + 16_000;
  while (Date.now() < until) await fetch(`${iframeUrl}burn?ms=700`).then((answer) => answer.text());
  const busy = (await ask<Detail>('GET', `/${taskId}`)).body;
  expect(busy).toMatchObject({ status: 'Running' });
  const { body: stats } = await ask<Stats>('GET', `/${taskId}/stats`);
  const cores = stats.series.flatMap(({ cpuCores }) => cpuCores ?? []);
  expect(Math.max(...cores)).toBeGreaterThan(0.2);
  expect(Math.max(...cores)).toBeLessThan(1);
  expect(stats.series.at(-1)?.memoryBytes).toBeGreaterThan(0);

  const extended = await ask<Detail>('POST', `/${taskId}/extend`, { minutes: 1 });
  expect(extended.status).toBe(200);
  const later = Date.parse(extended.body.expiresAt ?? '') - Date.parse(busy.expiresAt ?? '');
  expect(later).toBeGreaterThanOrEqual(60_000);
  expect(await ask('POST', `/${taskId}/extend`, { minutes: 2 })).toMatchObject({
    status: 409,
    body: { code: 'task.extension_refused', leftMinutes: 1 },
  });
  expect((await ask('POST', `/${taskId}/activity`)).status).toBe(204);

  await fetch(`${iframeUrl}say?bytes=50`);
  await eventually('the line', () => logs.text.includes('"stream":"stdout"'));
  expect((await call('DELETE', `${replica.url}/api/tasks/${taskId}`, { token })).status).toBe(200);
  await eventually('the end of the log', () => logs.ended);
  expect(JSON.parse(logs.text.split('\n')[0] ?? '')).toMatchObject({ at: expect.any(String), stream: 'stdout' });
});
