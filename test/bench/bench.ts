// npm run bench: all benchmarks, one after the other, into docs/performance.md; `npm run bench -- allocation ledger` some of them.
// `--quick` only tries whether they work: its figures mean nothing, and are not written down. `--full` takes the time for
// 1,000,000 allocations and events before it looks at memory. Ends with 1 when a must is missed, or a benchmark fails.
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { root } from '../../tools/instance';
import { withSection, type Section } from './performance';
import { runProcess, runSuite, type Benchmark, type Size } from './suite';

const BENCHMARKS: readonly Benchmark[] = [
  {
    name: 'allocation',
    title: 'Allocation',
    about:
      'A pair is a grant and its release, over HTTP and through the sidecar, events relayed; beside it the same row by row in SQL, prepared, on the same database.',
  },
  {
    name: 'tasks',
    title: 'Tasks',
    about:
      'Containers beside `docker run` with the same limits and the same probe; lists of a million tasks beside SQL.',
  },
  {
    name: 'ledger',
    title: 'Ledger',
    about:
      'Ends of uses, published to stored and batched; beside it canonical JSON, SHA-256 and an insert of 500 rows a statement, by one process.',
  },
];
const FILE = path.join(root, 'docs', 'performance.md');

async function main(): Promise<boolean> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { quick: { type: 'boolean' }, full: { type: 'boolean' } },
  });
  const unknown = positionals.find((name) => !BENCHMARKS.some((benchmark) => benchmark.name === name));
  if (unknown !== undefined)
    throw new Error(`"${unknown}" is none of ${BENCHMARKS.map(({ name }) => name).join(', ')}`);
  const size: Size = values.quick ? 'quick' : values.full ? 'full' : 'usual';
  const wanted = BENCHMARKS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  const command = ['npm run bench', ...(process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : [])].join(' ');
  if (size === 'quick') console.log('quick, not for the record');
  const result = await runSuite(
    wanted,
    command,
    ({ name }) => runProcess(path.join(__dirname, name, 'bench.js'), size),
    (section) => (size === 'quick' ? undefined : record(section)),
  );
  return result === 'met' || (result === 'missed' && size === 'quick');
}

async function record(section: Section): Promise<void> {
  const { format, resolveConfig } = await import('prettier');
  const old = fs.existsSync(FILE) ? fs.readFileSync(FILE, 'utf8') : '';
  const titles = BENCHMARKS.map(({ title }) => title);
  const text = withSection(old, section, titles);
  fs.writeFileSync(FILE, await format(text, { ...(await resolveConfig(FILE)), parser: 'markdown' }));
  console.log(`docs/performance.md: ${section.title} is written down`);
}

main().then(
  (good) => process.exit(good ? 0 : 1),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
