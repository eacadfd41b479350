import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { DOCUMENTS } from '../e2e/support/documents';

/** What documents point to is there; test/e2e/docs.test.ts runs what they tell a reader to run. */

test.each(DOCUMENTS)('%s: every link leads somewhere', (file) => {
  const text = readFileSync(file, 'utf8').replace(/```[\s\S]*?```/g, '');
  const links = [...text.matchAll(/\]\(([^)#]+)(#[^)]*)?\)/g)]
    .map((match) => match[1]!)
    .filter((link) => !/^\w+:/.test(link));
  expect(links.filter((link) => !existsSync(path.join(path.dirname(file), link)))).toEqual([]);
});

test('files that the documents name exist', () => {
  const missing = DOCUMENTS.flatMap((file) => {
    const text = readFileSync(file, 'utf8');
    const named = [...text.matchAll(/`((?:services|shared|components|tools|test|docs|deploy)\/[\w./-]+\.\w+)`/g)].map(
      (match) => match[1]!,
    );
    return named
      .filter((name) => !['.', path.dirname(file)].some((from) => existsSync(path.join(from, name))))
      .map((name) => `${file}: ${name}`);
  });
  expect(missing).toEqual([]);
});
