import { readFileSync } from 'node:fs';
import { publishedCodes } from './error-codes';

/** docs/errors.md is what a client's author reads of codes: all of them, no other, each with status, meaning and cure. */

const rows = readFileSync('docs/errors.md', 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => line.split('|').slice(1, -1))
  .map((cells) => cells.map((cell) => cell.trim()));
const told = rows.map(([code, status]) => `${code!.replaceAll('`', '')} ${status}`);

test('every code that the services answer with is told, with its status, and no code that is none', () => {
  const published = [...publishedCodes()].flatMap(([code, statuses]) => [...statuses].map((each) => `${code} ${each}`));
  expect([...told].sort()).toEqual(published.sort());
});

test('each has a meaning and a cure, and is told once', () => {
  expect(rows.filter((cells) => cells.length !== 4 || cells.some((cell) => cell === ''))).toEqual([]);
  expect(told.filter((each, index) => told.indexOf(each) !== index)).toEqual([]);
});
