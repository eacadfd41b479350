import { MemoryRuntime } from '../adapters/memory-runtime';
import { buildSpec } from './build-spec';
import { containerRuntimeContract } from './container-runtime.contract';
import { volumesContract } from './volumes.contract';

containerRuntimeContract('memory', async () => {
  const now = (): string => new Date().toISOString();
  const runtime = new MemoryRuntime(now);
  return {
    runtime,
    stranger: new MemoryRuntime(now),
    image: 'memory/web',
    containerPort: 8080,
    untilServing: () => Promise.resolve(),
    exit: async (taskId, code) => runtime.exit(taskId, code),
    vanish: async (taskId) => runtime.vanish(taskId),
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
