import { randomUUID } from 'node:crypto';
import type { ContainerExit, ContainerSpec, LogLine, LogsWanted } from '../ports/container-runtime';
import { buildFence } from './support/build-spec';
import { pullContract } from './image-pull.contract';
import type { RuntimeHarness } from './support/runtime-harness';

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
      expect(exits).toContainEqual(expect.objectContaining({ taskId: spec.taskId, exitCode: 4, oomKilled: false }));
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

    test('when memory runs out, then the watch and inspect say so', async () => {
      const exits: ContainerExit[] = [];
      const end = new AbortController();
      const spec = buildSpec();
      await harness.runtime.start(spec);
      await harness.untilServing(spec.taskId);
      await new Promise<void>((onReady) => {
        watching = harness.runtime.watch({ onReady, onExit: (exit) => exits.push(exit) }, end.signal);
      });
      await harness.exhaustMemory(spec.taskId);
      await eventually(() => Promise.resolve(exits.length > 0));
      expect(exits[0]).toMatchObject({ taskId: spec.taskId, exitCode: 137, oomKilled: true });
      expect(await harness.runtime.inspect(spec.taskId)).toMatchObject({ running: false, oomKilled: true });
      end.abort();
      await watching;
    }, 20_000);

    async function linesOf(taskId: string, wanted: LogsWanted): Promise<LogLine[]> {
      const lines: LogLine[] = [];
      for await (const line of harness.runtime.logs(taskId, wanted, new AbortController().signal)) lines.push(line);
      return lines;
    }

    test('when a program writes lines, then logs tells them with stream and time, and tail and since choose', async () => {
      const spec = buildSpec();
      await harness.runtime.start(spec);
      await harness.untilServing(spec.taskId);
      for (const text of ['one', 'zwei ä €', '']) await harness.print(spec.taskId, 'stdout', text);
      const text = (lines: LogLine[]): string[] => lines.map((line) => line.text);
      await eventually(async () => (await linesOf(spec.taskId, {})).length === 3);
      const before = new Date(Date.now() + 1).toISOString();
      await new Promise((resolve) => setTimeout(resolve, 20));
      await harness.print(spec.taskId, 'stderr', 'four');
      await eventually(async () => (await linesOf(spec.taskId, {})).length === 4);
      const lines = await linesOf(spec.taskId, {});
      expect(text(lines)).toEqual(['one', 'zwei ä €', '', 'four']);
      expect(lines.map(({ stream }) => stream)).toEqual(['stdout', 'stdout', 'stdout', 'stderr']);
      for (const { at } of lines) expect(Math.abs(Date.parse(at) - Date.now())).toBeLessThan(60_000);
      expect(text(await linesOf(spec.taskId, { tail: 2 }))).toEqual(['', 'four']);
      expect(text(await linesOf(spec.taskId, { since: before }))).toEqual(['four']);
    });

    test('when logs are followed, then lines come as they are written, and it ends with the program or the caller', async () => {
      const spec = buildSpec();
      await harness.runtime.start(spec);
      await harness.untilServing(spec.taskId);
      await harness.print(spec.taskId, 'stdout', 'early');
      const seen: string[] = [];
      const follow = async (signal: AbortSignal, onLine: (text: string) => void): Promise<void> => {
        for await (const { text } of harness.runtime.logs(spec.taskId, { follow: true }, signal)) onLine(text);
      };
      const caller = new AbortController();
      const left = follow(caller.signal, () => caller.abort());
      const stayed = follow(new AbortController().signal, (text) => seen.push(text));
      await left;
      await harness.print(spec.taskId, 'stderr', 'late');
      await eventually(() => Promise.resolve(seen.length === 2));
      await harness.exit(spec.taskId, 0);
      await stayed;
      expect(seen).toEqual(['early', 'late']);
      // what it wrote is there until it is removed
      expect(await linesOf(spec.taskId, {})).toHaveLength(2);
    });

    test('when a container runs, then stats tells what it uses; when it has ended or is not there, nothing', async () => {
      const spec = buildSpec();
      await harness.runtime.start(spec);
      await harness.untilServing(spec.taskId);
      const sample = await harness.runtime.stats(spec.taskId);
      expect(sample).toMatchObject({ memoryLimitBytes: spec.fence.memoryBytes, pids: expect.any(Number) });
      expect(Math.abs(Date.parse(sample!.at) - Date.now())).toBeLessThan(60_000);
      expect([sample!.cpuNanos > 0, sample!.memoryBytes > 0, sample!.networkRxBytes >= 0]).toEqual([true, true, true]);
      await harness.runtime.stop(spec.taskId, 1);
      expect(await harness.runtime.stats(spec.taskId)).toBeUndefined();
      expect(await harness.runtime.stats(randomUUID())).toBeUndefined();
      expect(await linesOf(randomUUID(), { follow: true })).toEqual([]);
    });

    pullContract(() => harness);

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
