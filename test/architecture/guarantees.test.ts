import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import ts from 'typescript';

/** docs/guarantees.md names tests that are there and run. */

const LINE = /^- `([^`]+\.ts)`: (.+)$/gm;
const named = [...readFileSync('docs/guarantees.md', 'utf8').matchAll(LINE)].map(
  (match) => [match[1]!, match[2]!] as const,
);

interface Titles {
  run: string[];
  skipped: string[];
}

/** Titles of the tests of a file as they are written, `each` tables and templates unfilled. */
function titlesIn(source: string): Titles {
  const file = ts.createSourceFile('a.ts', source, ts.ScriptTarget.Latest);
  const titles: Titles = { run: [], skipped: [] };
  const walk = (node: ts.Node, isSkipped: boolean): void => {
    const [kind, title] = ts.isCallExpression(node) ? calledTest(node) : [];
    const skips = isSkipped || (kind !== undefined && /^x|\.(skip|todo|failing)\b/.test(kind));
    if (kind !== undefined && title !== undefined && !/describe/.test(kind))
      titles[skips ? 'skipped' : 'run'].push(title);
    node.forEachChild((child) => walk(child, skips));
  };
  walk(file, false);
  return titles;

  function calledTest({ expression, arguments: [first] }: ts.CallExpression): [kind?: string, title?: string] {
    const text = expression.getText(file);
    if (!/^x?(it|test|describe)\b/.test(text) || first === undefined) return [];
    if (ts.isStringLiteralLike(first)) return [text.slice(0, 30), first.text];
    return ts.isTemplateExpression(first) ? [text.slice(0, 30), first.getText(file).slice(1, -1)] : [];
  }
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) => join(folder, file));
}

test('a title is found as it is written; one that is skipped is told apart', () => {
  // in one piece it would be one that is left out here
  const skip = 'sk' + 'ip';
  const source = `
    describe('a pool', () => {
      // a comment before it
      it('is', () => {});
      test.each([[1]])('takes %d', () => {});
      test(\`runs \${SEEDS} times\`, () => {});
      it.${skip}('is not', () => {});
      xit('is neither', () => {});
    });
    describe.${skip}('another', () => { it.each\`a\`('is there', () => {}); });`;
  expect(titlesIn(source)).toEqual({
    run: ['is', 'takes %d', 'runs ${SEEDS} times'],
    skipped: ['is not', 'is neither', 'is there'],
  });
});

test('every promise names a test', () => {
  const parts = readFileSync('docs/guarantees.md', 'utf8').split(/^\*\*/m).slice(1);
  expect(parts.length).toBeGreaterThan(50);
  expect(parts.filter((part) => !/^- `/m.test(part))).toEqual([]);
});

test.each([...new Set(named.map(([file]) => file))])('%s has the tests that are named of it, and runs them', (file) => {
  const { run } = titlesIn(readFileSync(file, 'utf8'));
  const wanted = named.filter(([of]) => of === file).map(([, title]) => title);
  expect(wanted.filter((title) => !run.includes(title))).toEqual([]);
});

test('a contract that is named is run by a test', () => {
  const contracts = [...new Set(named.map(([file]) => file))].filter((file) => file.endsWith('.contract.ts'));
  const tests = [...filesBelow('services'), ...filesBelow('test/e2e')].filter((file) => file.endsWith('.test.ts'));
  const sources = tests.map((file) => readFileSync(file, 'utf8'));
  const isImported = (contract: string) => sources.some((source) => source.includes(`/${basename(contract, '.ts')}'`));
  expect(contracts.filter((contract) => !isImported(contract))).toEqual([]);
});
