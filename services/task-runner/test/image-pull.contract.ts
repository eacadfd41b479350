import type { PullProgress } from '../ports/container-runtime';
import type { RuntimeHarness } from './runtime-harness';

/** What every adapter of ports/container-runtime.ts must do with images; a part of its contract suite. */
export function pullContract(harness: () => RuntimeHarness): void {
  /** A pull of the image, and what it has told so far. */
  function pull(image: string, signal = new AbortController().signal) {
    const told: PullProgress[] = [];
    return { told, done: harness().runtime.pull(image, (progress) => told.push(progress), signal) };
  }

  test('when the image is there, then a pull is done at once and tells nothing', async () => {
    expect(await harness().runtime.hasImage(harness().image)).toBe(true);
    const { told, done } = pull(harness().image);
    await done;
    expect(told).toEqual([]);
  });

  test('when it comes from a registry, then bytes and per cent rise to the whole, and it is there', async () => {
    const { image } = await harness().publish({ silent: false });
    expect(await harness().runtime.hasImage(image)).toBe(false);
    const { told, done } = pull(image);
    await done;
    expect(await harness().runtime.hasImage(image)).toBe(true);
    expect(told.length).toBeGreaterThan(3);
    expect(told.map(({ bytes }) => bytes)).toEqual(told.map(({ bytes }) => bytes).sort((a, b) => a - b));
    expect(told.map(({ percent }) => percent)).toEqual(told.map(({ percent }) => percent).sort((a, b) => a - b));
    const last = told.at(-1)!;
    expect(last.percent).toBe(100);
    expect(last.bytes).toBe(last.totalBytes);
    expect(last.bytes).toBeGreaterThan(1024 * 1024);
  }, 30_000);

  test('when the registry falls silent, then nothing is told, and it goes on when the registry does', async () => {
    const { image, speak } = await harness().publish({ silent: true });
    const { told, done } = pull(image);
    await untilStill(told, harness().stillMs);
    const before = told.length;
    await new Promise((resolve) => setTimeout(resolve, 2 * harness().stillMs));
    expect(told).toHaveLength(before);
    expect(told.at(-1)!.percent).toBeLessThan(100);
    speak();
    await done;
    expect(told.at(-1)!.percent).toBe(100);
  }, 30_000);

  test('when the caller gives up, then the pull ends at once with its reason, and the image is not there', async () => {
    const { image } = await harness().publish({ silent: true });
    const caller = new AbortController();
    const { told, done } = pull(image, caller.signal);
    await untilStill(told, harness().stillMs);
    const reason = new Error('changed my mind');
    const began = Date.now();
    caller.abort(reason);
    await expect(done).rejects.toBe(reason);
    expect(Date.now() - began).toBeLessThan(1_000);
    expect(await harness().runtime.hasImage(image)).toBe(false);
    await expect(pull(image, caller.signal).done).rejects.toBe(reason);
  }, 30_000);

  test.each([
    ['missing', 'runtime.image_missing', /unknown|not found/],
    ['refused', 'runtime.pull_failed', /repaired|500/],
    ['unreachable', 'runtime.pull_failed', /registry does not answer/],
  ] as const)(
    'when the image is %s, then %s in words that may be shown',
    async (which, code, words) => {
      const image = harness()[which];
      await expect(pull(image).done).rejects.toMatchObject({ code, message: expect.stringMatching(words) });
      await expect(pull(image).done).rejects.toMatchObject({ message: expect.stringContaining(image) });
      await expect(pull(image).done).rejects.not.toMatchObject({ message: expect.stringMatching(/dial|tcp|http:/) });
      expect(await harness().runtime.hasImage(image)).toBe(false);
    },
    30_000,
  );
}

/** Waits until something was told, and then nothing for a while. */
async function untilStill(told: readonly unknown[], stillMs: number): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (let before = -1; before !== told.length || told.length === 0;) {
    if (Date.now() > deadline) throw new Error('it did not fall silent within 10 s');
    before = told.length;
    await new Promise((resolve) => setTimeout(resolve, stillMs));
  }
}
