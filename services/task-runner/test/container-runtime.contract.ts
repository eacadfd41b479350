import { randomUUID } from 'node:crypto';
import type { ContainerExit, ContainerRuntime, ContainerSpec } from '../ports/container-runtime';
import { buildFence } from './build-spec';

/** What the suite needs of a runtime beside the port: ways to make things happen inside and behind its back. */
export interface RuntimeHarness {
  runtime: ContainerRuntime;
  /** The same engine with another instance's eyes. */
  stranger: ContainerRuntime;
  /** A program that listens on `containerPort`, runs until told, and ends with 0 on the polite signal. */
  image: string;
  containerPort: number;
  /** Resolves when the program listens, and so handles signals. */
  untilServing(taskId: string): Promise<void>;
  /** Makes the serving program end by itself. */
  exit(taskId: string, code: number): Promise<void>;
  /** Removes the container as an operator would. */
  vanish(taskId: string): Promise<void>;
}

/** What every adapter of ports/container-runtime.ts must do. */
export function containerRuntimeContract(name: string, open: () => Promise<RuntimeHarness>): void {
  describe(`container runtime: ${name}`, () => {
    let harness: RuntimeHarness;
    let made: string[] = [];

    beforeAll(async () => {
      harness = await open();
    });
    afterEach(async () => {
      await Promise.all(made.map((taskId) => harness.runtime.remove(taskId)));
      made = [];
    });

    function buildSpec(overrides: Partial<ContainerSpec> = {}): ContainerSpec {
      const taskId = randomUUID();
      made.push(taskId);
      return {
        taskId,
        userId: randomUUID(),
        serviceType: 'demo',
        image: harness.image,
        command: null,
        env: { TASK_ID: taskId },
        containerPort: harness.containerPort,
        fence: buildFence(),
        ...overrides,
      };
    }

    test('when a container is started, then it runs with a port, and inspect and list know it', async () => {
      const spec = buildSpec();
      const started = await harness.runtime.start(spec);
      expect(started).toMatchObject({ taskId: spec.taskId, running: true, exitCode: null, finishedAt: null });
      expect(started.port).toBeGreaterThan(0);
      expect(await harness.runtime.inspect(spec.taskId)).toEqual(started);
      expect(await harness.runtime.list()).toContainEqual(
        expect.objectContaining({ taskId: spec.taskId, running: true, createdAt: expect.stringMatching(/Z$/) }),
      );
    });

    test('when the same task is started twice, also at once, then there is one container', async () => {
      const spec = buildSpec();
      const [first, second] = await Promise.all([harness.runtime.start(spec), harness.runtime.start(spec)]);
      expect(second.containerId).toBe(first.containerId);
      expect((await harness.runtime.start(spec)).containerId).toBe(first.containerId);
      expect((await harness.runtime.list()).filter(({ taskId }) => taskId === spec.taskId)).toHaveLength(1);
    });

    test('when two tasks are started, then they have two ports', async () => {
      const states = await Promise.all([buildSpec(), buildSpec()].map((spec) => harness.runtime.start(spec)));
      expect(new Set(states.map(({ port }) => port)).size).toBe(2);
    });

    test('when the image is missing, then runtime.image_missing names it and no container is left', async () => {
      const spec = buildSpec({ image: 'resource-manager/is-not-there:1' });
      await expect(harness.runtime.start(spec)).rejects.toMatchObject({
        code: 'runtime.image_missing',
        message: expect.stringContaining('resource-manager/is-not-there:1'),
      });
      expect(await harness.runtime.inspect(spec.taskId)).toBeUndefined();
    });

    test('when the program cannot be run, then task.start_failed, and remove leaves nothing', async () => {
      const spec = buildSpec({ command: ['does-not-exist'], env: { DEMO_EXIT_AFTER: 'not a number' } });
      const outcome = await harness.runtime.start(spec).then(
        () => 'started',
        (error: { code?: string }) => error.code,
      );
      // some runtimes only notice once the program runs; then it has ended with its own code
      if (outcome === 'started') {
        await eventually(async () => (await harness.runtime.inspect(spec.taskId))?.running === false);
        expect((await harness.runtime.inspect(spec.taskId))?.exitCode).toBeGreaterThan(0);
      } else expect(outcome).toBe('task.start_failed');
      await harness.runtime.remove(spec.taskId);
      expect(await harness.runtime.inspect(spec.taskId)).toBeUndefined();
    });

    test('when a program ends by itself, then inspect tells code and time, and start does not start it again', async () => {
      const spec = buildSpec();
      await harness.runtime.start(spec);
      await harness.untilServing(spec.taskId);
      await harness.exit(spec.taskId, 3);
      await eventually(async () => (await harness.runtime.inspect(spec.taskId))?.running === false);
      const state = await harness.runtime.inspect(spec.taskId);
      expect(state).toMatchObject({ running: false, exitCode: 3, port: null, oomKilled: false });
      expect(Math.abs(Date.parse(state?.finishedAt ?? '') - Date.now())).toBeLessThan(60_000);
      expect(await harness.runtime.start(spec)).toEqual(state);
    });

    test('when a container is stopped, then it ended politely, and stopping again keeps the first end', async () => {
      const spec = buildSpec();
      await harness.runtime.start(spec);
      await harness.untilServing(spec.taskId);
      const state = await harness.runtime.stop(spec.taskId, 5);
      expect(state).toMatchObject({ running: false, exitCode: 0 });
      expect(await harness.runtime.stop(spec.taskId, 5)).toEqual(state);
    });

    test('when a container is removed, running or not, then it is gone, and removing again is no error', async () => {
      const spec = buildSpec();
      await harness.runtime.start(spec);
      await Promise.all([harness.runtime.remove(spec.taskId), harness.runtime.remove(spec.taskId)]);
      expect(await harness.runtime.inspect(spec.taskId)).toBeUndefined();
      await harness.runtime.remove(spec.taskId);
      expect((await harness.runtime.list()).map(({ taskId }) => taskId)).not.toContain(spec.taskId);
    });

    test('when there is no container, then inspect and stop say so', async () => {
      expect(await harness.runtime.inspect(randomUUID())).toBeUndefined();
      expect(await harness.runtime.stop(randomUUID(), 1)).toBeUndefined();
    });

    test('when another instance looks, then it does not see ours', async () => {
      const spec = buildSpec();
      await harness.runtime.start(spec);
      expect((await harness.stranger.list()).map(({ taskId }) => taskId)).not.toContain(spec.taskId);
    });

    test('when containers end, by themselves or by others, then the watch tells each', async () => {
      const exits: ContainerExit[] = [];
      const end = new AbortController();
      const spec = buildSpec();
      const removed = buildSpec();
      await Promise.all([harness.runtime.start(spec), harness.runtime.start(removed)]);
      const ready = new Promise<void>((onReady) => {
        watching = harness.runtime.watch({ onReady, onExit: (exit) => exits.push(exit) }, end.signal);
      });
      await ready;
      await harness.untilServing(spec.taskId);
      await harness.exit(spec.taskId, 4);
      await harness.runtime.remove(removed.taskId);
      await eventually(() => Promise.resolve(exits.length >= 2));
      expect(exits).toContainEqual(expect.objectContaining({ taskId: spec.taskId, exitCode: 4 }));
      expect(exits.map(({ taskId }) => taskId)).toContain(removed.taskId);
      end.abort();
      await watching;
    });

    test('when somebody removes the container behind our back, then inspect says it is gone', async () => {
      const spec = buildSpec();
      await harness.runtime.start(spec);
      await harness.vanish(spec.taskId);
      expect(await harness.runtime.inspect(spec.taskId)).toBeUndefined();
    });

    let watching: Promise<void> | undefined;
  });
}

async function eventually(holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error('it did not come true within 5 s');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
