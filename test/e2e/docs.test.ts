import { spawn } from 'node:child_process';
import { root } from '../../tools/instance';
import { E2E } from './support/e2e-instance';
import { DOCUMENTS, forE2e, kindOf, stepsOf } from './support/documents';

/** Issue 3, G20 and 24: what README and docs tell a reader to run is run, and shows what they say that it shows. */

jest.setTimeout(180_000);

/** Blocks that bring up or test a whole system of their own: start-stop.test.ts and CI run these. */
const ELSEWHERE = ['npm start', 'npm test'];

/** Ends a shell that took too long, and what a block that failed half-way left running. */
function endGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGTERM');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Runs blocks one after the other in one shell, as a reader would, and gives what each has printed. */
async function runInOneShell(blocks: string[]): Promise<{ outputs: string[]; code: number | null; errors: string }> {
  const mark = '=== end of block ===';
  const script = ['set -e', ...blocks.flatMap((block) => [block, `printf '\\n%s\\n' '${mark}'`])].join('\n');
  const shell = spawn('bash', ['-c', script], {
    cwd: root,
    env: { ...process.env, ...E2E },
    stdio: ['ignore', 'pipe', 'pipe'],
    // a group of its own, to end whatever a block left running
    detached: true,
  });
  let printed = '';
  let errors = '';
  shell.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  shell.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  const late = setTimeout(() => endGroup(shell.pid), 120_000);
  const code = await new Promise<number | null>((resolve) => shell.on('exit', resolve));
  clearTimeout(late);
  endGroup(shell.pid);
  return { outputs: printed.split(mark).map((output) => output.trim()), code, errors };
}

test.each(DOCUMENTS.filter((file) => stepsOf(file).some(({ commands }) => !ELSEWHERE.includes(commands))))(
  '%s: every command works and shows what stands below it',
  async (file) => {
    const steps = stepsOf(file).filter(({ commands }) => !ELSEWHERE.includes(commands));
    const { outputs, code, errors } = await runInOneShell(steps.map(({ commands }) => forE2e(commands)));
    // curl and npm may warn; only a failure is of interest
    expect(code === 0 ? '' : `block ${outputs.length} of ${steps.length} failed: ${errors}`).toBe('');
    for (const [index, { line, result }] of steps.entries()) {
      if (result === undefined) continue;
      const shown = `${file}:${line} shows ${outputs[index]}`;
      expect([shown, kindOf(JSON.parse(outputs[index]!))]).toEqual([shown, kindOf(result)]);
    }
  },
);
