import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { tooSlow } from '../test-times';

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'test-times-'));
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

function ran(source: string, fileMs: number, testMs: number) {
  const name = path.join(folder, 'a.test.ts');
  fs.writeFileSync(name, source);
  const assertionResults = [{ fullName: 'a pool is', duration: testMs }];
  return [{ name, startTime: 5, endTime: 5 + fileMs, assertionResults }];
}

test('a unit test may take five seconds, any other as long as it likes', () => {
  expect(tooSlow('unit', ran('', 6_000, 5_001), folder)).toEqual([
    'a.test.ts: 5001 ms: a pool is: make it a *.proof.test.ts',
  ]);
  expect(tooSlow('unit', ran('', 6_000, 5_000), folder)).toEqual([]);
  expect(tooSlow('proofs', ran('', 6_000, 5_001), folder)).toEqual([]);
});

test('a file that takes a minute says why', () => {
  const silent = ['a.test.ts: 60001 ms: say why at its top: Slow: …'];
  expect(tooSlow('e2e', ran('/** A pool. */', 60_001, 1), folder)).toEqual(silent);
  expect(tooSlow('e2e', ran('/** Slow: */', 60_001, 1), folder)).toEqual(silent);
  expect(tooSlow('e2e', ran('/** A pool. */', 60_000, 1), folder)).toEqual([]);
  for (const top of ['// Slow: 300 seeds', '/** Slow: 300 seeds */', '/**\n * A pool.\n * Slow: 300 seeds\n */'])
    expect(tooSlow('e2e', ran(top, 60_001, 1), folder)).toEqual([]);
});
