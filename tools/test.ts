// npm test: everything that proves the system works, cheapest first, ending with the first group of steps of which one fails.
// `npm test -- eslint unit` runs only the steps whose names begin so.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { z } from 'zod';
import { provideDocker } from './docker-engine';
import { explain, Failure } from './failure';
import { root } from './instance';
import { step } from './progress';
import { provideSshServer } from './ssh-server';
import { jestResultsSchema, tooSlow } from './test-times';
import { ensureToolchain } from './toolchain';

const totalsSchema = z.looseObject({
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  numPendingTests: z.number(),
  success: z.boolean(),
  testResults: jestResultsSchema,
});

interface Totals {
  passed: number;
  failed: number;
}
interface Step {
  name: string;
  /** a failed one throws, or returns what failed */
  run: () => Promise<Totals | undefined> | Totals | undefined;
}

const bin = (name: string): string => path.join(root, 'node_modules', '.bin', name);

let stopDocker = (): Promise<void> => Promise.resolve();
const running = new Set<ChildProcess>();

/** One group after the other; the steps of one side by side. */
const GROUPS: Step[][] = [
  [
    { name: 'eslint', run: () => command('eslint', '.', '--max-warnings', '0') },
    { name: 'prettier', run: () => command('prettier', '--check', '--log-level', 'warn', '.') },
    { name: 'house: borders, dead code, duplicates, graph', run: () => command('npm', 'run', 'house') },
    { name: 'typecheck', run: () => command('tsc', '--noEmit') },
  ],
  [{ name: 'unit tests', run: () => jest('unit') }],
  [{ name: 'proofs', run: () => jest('proofs') }],
  [
    {
      name: 'Dapr and nats-server',
      run: async () => {
        // before the tests, which would wait three minutes for a start that builds for ten
        await step('Dapr and nats-server', () => ensureToolchain({ nats: true }));
        return undefined;
      },
    },
  ],
  [
    {
      name: 'Docker Engine',
      run: async () => {
        stopDocker = await provideDocker();
        return undefined;
      },
    },
  ],
  [
    {
      name: 'SSH server',
      run: () => {
        provideSshServer();
        return undefined;
      },
    },
  ],
  // each of them waits for much of its time
  [
    { name: 'e2e tests', run: () => jest('e2e', '--runInBand') },
    { name: 'e2e tests on own systems', run: () => jest('own', '--runInBand') },
  ],
];

/** What it says is shown when it has ended, so that those of a group do not speak at once. */
async function command(name: string, ...args: string[]): Promise<undefined> {
  const child = spawn(name === 'npm' ? name : bin(name), args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: childEnvironment(),
  });
  running.add(child);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (piece: string) => void (said += piece));
  }
  const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  running.delete(child);
  process.stdout.write(said);
  if (status !== 0) throw new Failure(`${name}: ${signal ?? `exit code ${status}`} (see above)`);
  return undefined;
}

/** A child that writes into a pipe shows colours where this process would. */
function childEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, ...(process.stderr.isTTY && { FORCE_COLOR: '1' }) };
}

async function jest(project: string, ...args: string[]): Promise<Totals> {
  const file = path.join(os.tmpdir(), `resource-manager-jest-${process.pid}-${project}.json`);
  // in CI nothing may be skipped, so a skipped test is a failed one there
  const child = spawn(bin('jest'), ['--selectProjects', project, '--json', '--outputFile', file, ...args], {
    cwd: root,
    // not the terminal itself, where two of them would paint over each other
    stdio: ['ignore', 'ignore', 'pipe'],
    env: childEnvironment(),
  });
  running.add(child);
  child.stderr.pipe(process.stderr, { end: false });
  const [status] = (await once(child, 'close')) as [number | null];
  running.delete(child);
  if (!fs.existsSync(file)) throw new Failure(`jest ended with ${status} and without a result`);
  const result = totalsSchema.parse(JSON.parse(fs.readFileSync(file, 'utf8')));
  fs.rmSync(file);
  const skipped = process.env.CI ? result.numPendingTests : 0;
  const slow = tooSlow(project, result.testResults, root);
  for (const sentence of slow) console.error(sentence);
  // a suite that does not even load counts no failed test
  const failed = result.numFailedTests + skipped + slow.length;
  return { passed: result.numPassedTests, failed: failed === 0 && (status !== 0 || !result.success) ? 1 : failed };
}

async function main(): Promise<number> {
  const rows: string[] = [];
  const totals: Totals = { passed: 0, failed: 0 };
  const chosen = process.argv.slice(2);

  /** @returns its row */
  async function take({ name, run }: Step): Promise<string> {
    const began = Date.now();
    let outcome: string;
    try {
      const result = await run();
      outcome = result === undefined ? 'ok' : `${result.passed} passed, ${result.failed} failed`;
      totals.passed += result?.passed ?? 0;
      totals.failed += result?.failed ?? 0;
    } catch (error) {
      console.error(explain(error));
      outcome = 'failed';
      totals.failed += 1;
    }
    return `${name.padEnd(46)} ${((Date.now() - began) / 1000).toFixed(1).padStart(6)} s  ${outcome}`;
  }

  for (const all of GROUPS) {
    const group = all.filter(({ name }) => chosen.length === 0 || chosen.some((word) => name.startsWith(word)));
    if (group.length === 0) continue;
    if (totals.failed > 0) {
      rows.push(...group.map(({ name }) => `${name.padEnd(46)} ${''.padStart(8)}  not run`));
      continue;
    }
    console.log(`\n== ${group.map(({ name }) => name).join(' | ')}`);
    rows.push(...(await Promise.all(group.map(take))));
  }
  await stopDocker();
  console.log(`\n${rows.join('\n')}\n\n${totals.passed} passed, ${totals.failed} failed`);
  return totals.failed === 0 ? 0 : 1;
}

/** Broken off: the systems that tests have started see it, and end by themselves (RM_ENDS_WITH). */
async function breakOff(): Promise<void> {
  for (const child of running) child.kill();
  await stopDocker();
  process.exit(130);
}
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => void breakOff());

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    console.error(explain(error));
    process.exit(1);
  },
);
