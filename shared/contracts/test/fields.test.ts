import type { z } from 'zod';
import { capacity, displayName, duration, instant, timestamp, uuid } from '../fields';

const accepts = (schema: z.ZodType, value: unknown): boolean => schema.safeParse(value).success;

test.each([1, 100, Number.MAX_SAFE_INTEGER])('a capacity of %p', (value) => {
  expect(accepts(capacity, value)).toBe(true);
});

test.each([0, -1, 1.5, 2 ** 53, 1e308, Number.NaN, '5', null, true, [1]])('no capacity: %p', (value) => {
  expect(accepts(capacity, value)).toBe(false);
});

test.each(['gpu-a100', 'Größe 3', '東京', 'a'.repeat(200), '👩‍🔬'])('a name: %p', (value) => {
  expect(accepts(displayName, value)).toBe(true);
});

test.each(['', ' ', ' a', 'a ', 'a\nb', 'a\u0000b', 'a\u2028b', '\ud800', 'a'.repeat(201), 'a'.repeat(10_000), 5])(
  'no name: %j',
  (value) => {
    expect(accepts(displayName, value)).toBe(false);
  },
);

test.each(['PT0S', 'PT1H', 'PT1H3M20S', 'PT0.25S'])('a duration: %s', (value) => {
  expect(accepts(duration, value)).toBe(true);
});

test.each(['PT', 'P1D', 'PT1.2345S', 'PT1S1M', '1H', ''])('no duration: %p', (value) => {
  expect(accepts(duration, value)).toBe(false);
});

test.each(['2026-11-23T09:30:00Z', '2026-11-23T09:30:00.123456Z'])('a time: %s', (value) => {
  expect(accepts(timestamp, value)).toBe(true);
});

test.each(['2026-11-23T09:30:00', '2026-11-23T09:30:00+01:00', '2026-13-01T00:00:00Z', '2026-11-23'])(
  'no time in UTC: %s',
  (value) => {
    expect(accepts(timestamp, value)).toBe(false);
  },
);

test.each([
  ['2026-11-23T09:30:00+01:00', '2026-11-23T08:30:00.000Z'],
  ['2026-11-23T09:30:00.123456Z', '2026-11-23T09:30:00.123Z'],
])('a moment that a caller gives, %s, is %s', (given, stored) => {
  expect(instant.parse(given)).toBe(stored);
});

test.each(['7', '', 'admin', '0b0f9a52-4c0e-4f5e-9a39-5d2a1a6f3c1', "0b0f9a52-4c0e-4f5e-9a39-5d2a1a6f3c11' OR 1=1"])(
  'no id: %p',
  (value) => {
    expect(accepts(uuid, value)).toBe(false);
  },
);
