import { durationBetween, isoDuration } from '../duration';
import { duration } from '../fields';

/** Reads back what the function wrote, by another way than it was written. */
function milliseconds(text: string): number {
  const [, hours, minutes, seconds] = /^PT(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?$/.exec(text) ?? [];
  return Number(hours ?? 0) * 3_600_000 + Number(minutes ?? 0) * 60_000 + Math.round(Number(seconds ?? 0) * 1000);
}

/** A small generator with a seed, so that a failure can be repeated. */
function* numbers(seed: number, count: number): Generator<number> {
  let state = seed;
  for (let index = 0; index < count; index += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield Math.floor((state / 2 ** 32) * 10 ** (index % 12));
  }
}

test.each([
  [0, 'PT0S'],
  [1, 'PT0.001S'],
  [250, 'PT0.25S'],
  [60_000, 'PT1M'],
  [3_600_000, 'PT1H'],
  [3_800_000, 'PT1H3M20S'],
  [90_061_001, 'PT25H1M1.001S'],
])('%i ms is %s', (ms, text) => {
  expect(isoDuration(ms)).toBe(text);
});

test('whatever whole number of milliseconds comes in, the text fits its schema and reads back as that number', () => {
  for (const ms of numbers(7, 5_000)) {
    const text = isoDuration(ms);
    if (!duration.safeParse(text).success || milliseconds(text) !== ms) throw new Error(`${ms} became ${text}`);
  }
});

test.each([-1, 0.5, Number.NaN, Infinity])('%p is refused', (ms) => {
  expect(() => isoDuration(ms)).toThrow(RangeError);
});

test('between two times; a clock that went backwards counts as no time', () => {
  expect(durationBetween('2026-11-23T09:30:00.000Z', '2026-11-23T10:30:01.500Z')).toBe('PT1H1.5S');
  expect(durationBetween('2026-11-23T09:30:00.001Z', '2026-11-23T09:30:00.000Z')).toBe('PT0S');
});
