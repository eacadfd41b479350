// Slow: an engine is killed and restarted with ten tasks on it.
import { randomUUID } from 'node:crypto';
import { ensureDemoImage } from '../../tools/demo-image';
import { holdOwnTaskRunner } from './support/lone-task-runner';
import { OwnEngine } from './support/own-engine';
import { call, eventually, tokenFor } from './support/system';
import { expectBalance, expectEventsOnce } from './support/task-books';
import { TaskRunnerReplica } from './support/task-runner-replica';
import type { Started } from './support/tasks';

/**
 * Issue 5, proof: dockerd dies, or is restarted, with ten tasks running. It is one of this test's own, which needs root on
 * Linux; what an engine that is away does to tasks, task-faults.test.ts tells everywhere.
 */

jest.setTimeout(120_000);

const TEN = Array.from({ length: 10 }, (_, nth) => nth);
const user = randomUUID();
const token = tokenFor(user, 'user');

interface Read {
  id: string;
  status: string;
  reason: string | null;
  exitCode: number | null;
  stopTime: string | null;
  containerId: string;
}

if (OwnEngine.isPossible()) describe('a dockerd with ten tasks running', tenTasks);
else {
  test('when no dockerd can be started here, then it is said that these stories were not told', () => {
    console.warn('task-engine.test.ts needs root on Linux with dockerd, ip and nsenter: nothing of it was tested');
    expect(OwnEngine.isPossible()).toBe(false);
  });
}

function tenTasks(): void {
  let engine: OwnEngine;
  let release: () => Promise<void>;
  let replica: TaskRunnerReplica;
  let tasks: Started[];

  beforeAll(async () => {
    engine = new OwnEngine();
    await engine.start(true);
    await ensureDemoImage(engine.docker);
    ({ release } = await holdOwnTaskRunner());
    replica = await TaskRunnerReplica.start(engine.env);
  });
  afterAll(async () => {
    try {
      await replica.stop();
      await engine.remove();
    } finally {
      await release();
    }
  });

  beforeEach(async () => {
    const answers = await Promise.all(
      TEN.map(() => call('POST', `${replica.url}/api/tasks`, { token, body: { userId: user, serviceType: 'demo' } })),
    );
    expect(answers.map(({ status }) => status)).toEqual(TEN.map(() => 201));
    tasks = answers.map(({ body }) => body as Started);
  });

  async function read(): Promise<Read[]> {
    const answers = await Promise.all(
      tasks.map(({ taskId }) => call('GET', `${replica.url}/api/tasks/${taskId}`, { token })),
    );
    return answers.map(({ body }) => body as Read);
  }

  const balance = async (): Promise<void> => expectBalance([user], await engine.tasks());

  test('when it is killed and its containers live on, then so do all tasks, each with its page, and none was declared dead', async () => {
    const before = await read();
    await engine.end('SIGKILL');
    // long enough for several tries to reach it
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    expect((await read()).map(({ status }) => status)).toEqual(TEN.map(() => 'Running'));
    await engine.start(true);
    await eventually('the replica watches again', () => replica.log().includes('the container runtime is back'));
    // a look at everything follows
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect(await read()).toEqual(before);
    await balance();
    for (const { iframeUrl, taskId } of tasks) expect(await (await fetch(iframeUrl)).text()).toContain(taskId);

    const stops = await Promise.all(
      tasks.map(({ taskId }) => call('DELETE', `${replica.url}/api/tasks/${taskId}`, { token })),
    );
    expect(stops.map(({ status }) => status)).toEqual(TEN.map(() => 200));
    await balance();
    await expectEventsOnce([user]);
  });

  /** All ended by themselves, at the time when their containers did. */
  async function expectEnds(from: number, to: number): Promise<void> {
    const ended = async (): Promise<boolean> => (await read()).every(({ stopTime }) => stopTime !== null);
    await eventually('all tasks have ended', ended, 60_000);
    for (const { status, reason, exitCode, stopTime } of await read()) {
      expect({ status, reason, exitCode }).toEqual({ status: 'Stopped', reason: 'exited', exitCode: 0 });
      expect(Date.parse(stopTime ?? '')).toBeGreaterThanOrEqual(from);
      expect(Date.parse(stopTime ?? '')).toBeLessThanOrEqual(to);
    }
    await balance();
    await expectEventsOnce([user]);
  }

  test('when it comes back and takes its containers down then, then each task ends once, at the time its container did', async () => {
    await engine.end('SIGKILL');
    const from = Date.now();
    // live-restore is off from here on
    await engine.start(false);
    await expectEnds(from, Date.now());
  });

  test('when it is told to end, then the same, though it goes while the ends are written down', async () => {
    const from = Date.now();
    await engine.end('SIGTERM');
    const to = Date.now();
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    await engine.start(false);
    await expectEnds(from, to);
  });
}
