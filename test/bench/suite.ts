import { fork } from 'node:child_process';
import { machine } from './machine';
import type { Fact, Section } from './performance';
import { verdict, type Target } from './target';

/** `quick` tells only that a benchmark works; `full` goes to a million where `usual` goes as far as a minute allows. */
export type Size = 'quick' | 'usual' | 'full';

export interface Benchmark {
  name: string;
  title: string;
  about: string;
}

/** What a benchmark's process answers when it is through. */
export interface Answer {
  targets: Target[];
  /** Of the parts that it ran on. */
  versions: Fact[];
}

export type Run = { printed: string } & ({ answer: Answer } | { failed: string });

/** Runs a benchmark in a process of its own, so that none warms up, or ends, another; shows and keeps what it prints. */
export async function runProcess(program: string, size: Size): Promise<Run> {
  const child = fork(program, [size], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  let interrupted = false;
  const stop = (): void => {
    interrupted = true;
    child.kill('SIGTERM');
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  let [printed, answer] = ['', undefined as Answer | undefined];
  child.on('message', (message) => (answer = message as Answer));
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
    process.stdout.write(text);
  });
  const end = await new Promise<string>((resolve, reject) =>
    child.once('error', reject).once('close', (code, signal) => resolve(signal ?? `exit code ${code}`)),
  );
  process.off('SIGINT', stop).off('SIGTERM', stop);
  if (interrupted) process.exit(130); // nothing is written down, and no other begins
  if (end !== 'exit code 0') return { printed, failed: `it ended with ${end}` };
  return answer ? { printed, answer } : { printed, failed: 'it ended without an answer' };
}

/** Runs one after the other, and writes each down when it has ended. @returns the worst that came of one */
export async function runSuite(
  benchmarks: readonly Benchmark[],
  command: string,
  run: (benchmark: Benchmark) => Promise<Run>,
  write: (section: Section) => Promise<void> | void,
): Promise<'met' | 'missed' | 'failed'> {
  let [missed, failed] = [false, false];
  for (const benchmark of benchmarks) {
    const facts: Fact[] = [['command', `\`${command}\``], ...machine()];
    console.log(`\n${benchmark.title}\n${facts.map(([name, value]) => `${name.padEnd(10)}${value}`).join('\n')}`);
    const done = await run(benchmark);
    const { title, about } = benchmark;
    const found =
      'failed' in done
        ? { facts, outcome: { failed: done.failed } }
        : { facts: [...facts, ...done.answer.versions], outcome: { targets: done.answer.targets } };
    if ('failed' in done) failed = true;
    else missed ||= done.answer.targets.some((target) => verdict(target) === 'missed');
    await write({ title, about, printed: done.printed, ...found });
  }
  return failed ? 'failed' : missed ? 'missed' : 'met';
}
