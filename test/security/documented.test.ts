import { existsSync, readFileSync } from 'node:fs';

const page = readFileSync('docs/security.md', 'utf8');
const rows = page.split('\n').filter((line) => line.startsWith('| API'));
const testsIn = (text: string): string[] => [...text.matchAll(/`([\w/.-]+\.test\.ts)`/g)].map((match) => match[1]!);

test('docs/security.md has the ten risks in order, and each names a test', () => {
  expect(rows.map((row) => /^\| API(\d+) /.exec(row)?.[1])).toEqual([
    '1',
    '2',
    '3',
    '4',
    '5',
    '6',
    '7',
    '8',
    '9',
    '10',
  ]);
  expect(rows.filter((row) => testsIn(row).length === 0)).toEqual([]);
});

test('every test that it names exists, and tests something', () => {
  const named = [...new Set(testsIn(page))];
  expect(named.length).toBeGreaterThan(10);
  const real = (file: string) => existsSync(file) && /\b(test|it)\b[.(]/.test(readFileSync(file, 'utf8'));
  expect(named.filter((file) => !real(file))).toEqual([]);
});
