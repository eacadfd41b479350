import { readFileSync } from 'node:fs';
import { isPermissive, licencesPage, productionLicences } from '../licences';

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as Parameters<typeof productionLicences>[0];
const all = productionLicences(lock);

test('nothing that runs in production has a copyleft licence, or none', () => {
  expect(all.length).toBeGreaterThan(100);
  expect(all.filter(({ licence }) => !isPermissive(licence))).toEqual([]);
});

test('docs/licences.md is what `npm run licences` writes', () => {
  expect(readFileSync('docs/licences.md', 'utf8')).toBe(licencesPage(all));
});

test.each([
  ['MIT', true],
  ['(MIT OR GPL-3.0-only)', true],
  ['MIT AND GPL-3.0-only', false],
  ['LGPL-2.1-or-later', false],
  ['unknown', false],
])('%s may be used: %s', (expression, may) => {
  expect(isPermissive(expression)).toBe(may);
});
