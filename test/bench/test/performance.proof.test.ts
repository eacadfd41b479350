import { execFileSync } from 'node:child_process';
import { withSection, type Section } from '../performance';
import { table, verdict, type Target } from '../target';

const TITLES = ['Allocation', 'Tasks', 'Ledger'];

const slow: Target = {
  ...{ measure: 'hot pool, service / SQL', measured: 1.2, must: 1.5, aim: 3, more: true },
  beside: { what: 'SQL', own: 600, bare: 500, unit: 'pairs/s' },
  limit: 'A transaction is 20 round trips.',
};
const small: Target = { measure: 'memory', measured: 149.6, must: 250, aim: 150, unit: 'MB', limit: 'V8.' };

const section = (title: string, outcome: Section['outcome']): Section => ({
  ...{ title, about: `About ${title}.`, facts: [['commit', 'abc']], outcome },
  printed: `round 1 of ${title} 540/s\n`,
});

describe('a verdict', () => {
  it.each([
    [3, true, 'met, the aim too'],
    [2.99, true, 'met'],
    [1.5, true, 'met'],
    [1.49, true, 'missed'],
    [NaN, true, 'missed'],
    [1.5, false, 'met, the aim too'],
    [3, false, 'met'],
    [3.01, false, 'missed'],
  ])('of %d, more is better: %s, is %s', (measured, more, expected) => {
    const [must, aim] = more ? [1.5, 3] : [3, 1.5];
    expect(verdict({ measure: 'x', measured, must, aim, more })).toBe(expected);
  });
});

test('a row says what had to be, what was, and how the bare work did in the same run', () => {
  const [, , first, second] = table([slow, small]).map((line) => line.split('|').map((cell) => cell.trim()));
  expect(first).toEqual([
    ...['', 'hot pool, service / SQL', '≥ 1.5', '≥ 3', '1.20', '600 to 500 pairs/s (SQL): 1.20', 'missed', ''],
  ]);
  expect(second).toEqual(['', 'memory', '≤ 250 MB', '≤ 150 MB', '149.60 MB', '', 'met, the aim too', '']);
});

describe('the report', () => {
  const written = withSection('', section('Tasks', { targets: [slow, small] }), TITLES);

  it('says of what is missed what holds it back, and of nothing else', () => {
    expect(written).toContain('**Missed: hot pool, service / SQL.** A transaction is 20 round trips.');
    expect(written).not.toContain('V8.');
  });

  it('admits that nobody knows yet what holds a missed one back', () => {
    const { limit: _, ...unknown } = slow;
    expect(withSection('', section('Tasks', { targets: [unknown] }), TITLES)).toContain(
      '**Missed: hot pool, service / SQL.** Nobody has written down yet',
    );
  });

  it('has what was printed, folded', () => {
    expect(written).toContain('<details>');
    expect(written).toContain('```text\nround 1 of Tasks 540/s\n```');
  });

  it('takes a section in at its place, and keeps the others to the letter', () => {
    const both = withSection(written, section('Allocation', { targets: [{ ...small, measured: 160 }] }), TITLES);
    expect(both.indexOf('## Allocation')).toBeLessThan(both.indexOf('## Tasks'));
    expect(both.slice(both.indexOf('## Tasks'))).toBe(written.slice(written.indexOf('## Tasks')));
    const again = withSection(both, section('Allocation', { targets: [{ ...small, measured: 240 }] }), TITLES);
    expect(again).toContain('240 MB');
    expect(again).not.toContain('160 MB');
    expect(again.match(/^## /gm)).toHaveLength(2);
    expect(again.slice(again.indexOf('## Tasks'))).toBe(written.slice(written.indexOf('## Tasks')));
  });

  it('keeps a section as Prettier has written it, too', () => {
    const prettier = require.resolve('prettier/bin/prettier.cjs');
    const pretty = execFileSync(process.execPath, [prettier, '--parser', 'markdown'], {
      input: written,
      encoding: 'utf8',
    });
    const both = withSection(pretty, section('Ledger', { targets: [small] }), TITLES);
    expect(both.slice(both.indexOf('## Tasks'), both.indexOf('## Ledger')).trim()).toBe(
      pretty.slice(pretty.indexOf('## Tasks')).trim(),
    );
  });

  it('says failed where a benchmark failed, and shows no figure of an earlier run there', () => {
    const failed = withSection(written, section('Tasks', { failed: 'it ended with exit code 1' }), TITLES);
    expect(failed).toContain('**failed**: it ended with exit code 1. There are no figures.');
    expect(failed).not.toContain('| measure');
    expect(failed).not.toContain('1.20');
  });
});
