import { parseTtl } from '../tokens';

test.each([
  ['90s', 90],
  ['30m', 1800],
  ['1h', 3600],
  ['7d', 604_800],
])('a time to live of %s is %d seconds', (text, seconds) => {
  expect(parseTtl(text)).toBe(seconds);
});

test.each(['', '1', 'h', '1w', '-1h', '1.5h', '1h30m'])('"%s" is no time to live', (text) => {
  expect(parseTtl(text)).toBeUndefined();
});
