import { randomUUID } from 'node:crypto';
import { MemoryRuntime } from '../adapters/memory-runtime';
import { buildSpec } from './build-spec';
import { pullFailed } from '../domain/errors';
import { containerRuntimeContract } from './container-runtime.contract';
import { volumesContract } from './volumes.contract';

containerRuntimeContract('memory', async () => {
  const now = (): string => new Date().toISOString();
  const runtime = new MemoryRuntime(now);
  runtime.registry.set('memory/refused', {
    layers: [4],
    piece: () => {
      throw pullFailed('memory/refused', 'the shelves are being repaired');
    },
  });
  runtime.registry.set('memory/unreachable', {
    layers: [4],
    piece: () => {
      throw pullFailed('memory/unreachable', 'its registry does not answer');
    },
  });
  return {
    runtime,
    stranger: new MemoryRuntime(now),
    image: 'memory/web',
    containerPort: 8080,
    untilServing: () => Promise.resolve(),
    exit: async (taskId, code) => runtime.exit(taskId, code),
    vanish: async (taskId) => runtime.vanish(taskId),
    print: async (taskId, stream, text) => runtime.print(taskId, text, stream),
    exhaustMemory: async (taskId) => runtime.exit(taskId, 137, { oomKilled: true }),
    publish: async ({ silent }) => {
      let speak = (): void => undefined;
      const silence = new Promise<void>((resolve) => (speak = resolve));
      const image = `memory/${randomUUID()}`;
      const layers = [1_048_576, 524_288];
      runtime.registry.set(image, { layers, piece: (bytes) => (silent && bytes > 524_288 ? silence : undefined) });
      return { image, speak };
    },
    stillMs: 20,
    missing: 'memory/missing',
    refused: 'memory/refused',
    unreachable: 'memory/unreachable',
  };
});

volumesContract('memory', async () => {
  const now = (): string => new Date().toISOString();
  const runtime = new MemoryRuntime(now);
  return { runtime, volumes: runtime.volumes, stranger: new MemoryRuntime(now).volumes, image: 'memory/web' };
});

test('when the memory runtime is told to be away, then calls and watches fail, and its containers go on', async () => {
  const runtime = new MemoryRuntime(() => new Date().toISOString());
  const spec = buildSpec({ taskId: 'a' });
  await runtime.start(spec);
  const watch = runtime.watch(
    { onReady: () => runtime.goAway(), onExit: () => undefined },
    new AbortController().signal,
  );
  await expect(watch).rejects.toMatchObject({ code: 'runtime.unavailable' });
  await expect(runtime.inspect('a')).rejects.toMatchObject({ code: 'runtime.unavailable' });
  runtime.comeBack();
  expect(await runtime.inspect('a')).toMatchObject({ running: true });
});
