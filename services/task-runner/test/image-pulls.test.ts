import { MemoryRuntime } from '../adapters/memory-runtime';
import { ImagePulls } from '../application/image-pulls';
import type { PullProgress } from '../ports/container-runtime';
import { eventually } from './support/build';

const IMAGE = 'memory/remote';

/** A registry that sends half of an image and then waits for `speak`. */
function open(silenceMs?: number) {
  const runtime = new MemoryRuntime(() => new Date().toISOString());
  let speak = (): void => undefined;
  const silence = new Promise<void>((resolve) => (speak = resolve));
  runtime.registry.set(IMAGE, { layers: [400], piece: (bytes) => (bytes >= 200 ? silence : undefined) });
  const pulls = new ImagePulls(runtime, silenceMs);
  const wait = (signal = new AbortController().signal) => {
    const told: PullProgress[] = [];
    const done = pulls.pull(IMAGE, (progress) => told.push(progress), signal);
    done.catch(() => undefined);
    return { told, done };
  };
  return { runtime, speak, wait, asked: () => runtime.calls.filter((call) => call === `pull ${IMAGE}`).length };
}

test('when several wait for one image, then it is pulled once, and who comes later hears at once how far it is', async () => {
  const { speak, wait, asked } = open();
  const first = wait();
  await eventually(() => first.told.length === 2);
  const second = wait();
  expect(second.told).toEqual([{ bytes: 200, totalBytes: 400, percent: 50 }]);
  speak();
  await Promise.all([first.done, second.done]);
  expect([asked(), first.told.at(-1)?.percent, second.told.at(-1)?.percent]).toEqual([1, 100, 100]);
});

test('when one of those who wait gives up, then the pull goes on for the others', async () => {
  const { runtime, speak, wait, asked } = open();
  const caller = new AbortController();
  const [first, second] = [wait(caller.signal), wait()];
  await eventually(() => second.told.length === 2);
  const reason = new Error('cancelled');
  caller.abort(reason);
  await expect(first.done).rejects.toBe(reason);
  speak();
  await second.done;
  expect([asked(), first.told.length, await runtime.hasImage(IMAGE)]).toEqual([1, 2, true]);
});

test('when all give up, then the pull is cut off, and the next one begins anew', async () => {
  const { runtime, speak, wait, asked } = open();
  const caller = new AbortController();
  const first = wait(caller.signal);
  await eventually(() => first.told.length === 2);
  caller.abort(new Error('cancelled'));
  await expect(first.done).rejects.toThrow('cancelled');
  const next = wait();
  speak();
  await next.done;
  expect([asked(), next.told.map(({ percent }) => percent), await runtime.hasImage(IMAGE)]).toEqual([
    2,
    [25, 50, 75, 100],
    true,
  ]);
});

test('when nothing moves for too long, then runtime.pull_failed says so, and the next one is asked for anew', async () => {
  const { speak, wait, asked } = open(60);
  await expect(wait().done).rejects.toMatchObject({
    code: 'runtime.pull_failed',
    message: expect.stringContaining('nothing arrived'),
  });
  speak();
  await wait().done;
  expect(asked()).toBe(2);
});
