import { execFileSync } from 'node:child_process';
import os from 'node:os';
import type { Fact } from './performance';

/** On what the figures were taken; without it they say nothing. */
export function machine(): Fact[] {
  const cpus = os.cpus();
  return [
    ['taken', `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC, commit ${commit()}`],
    [
      'machine',
      `${cpus.length} × ${cpus[0]?.model.trim() ?? 'unknown CPU'}, ${(os.totalmem() / 2 ** 30).toFixed(1)} GiB, ${os.type()} ${os.release()}`,
    ],
    [
      'load',
      `${os
        .loadavg()
        .map((load) => load.toFixed(2))
        .join(' ')} (1, 5, 15 min) before the system was started`,
    ],
    ['node', process.versions.node],
  ];
}

function commit(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    // the report itself changes while the sections are written
    const changed = git('status', '--porcelain', '--untracked-files=no', '--', '.', ':!docs/performance.md');
    return git('describe', '--always') + (changed === '' ? '' : ', with changes');
  } catch {
    return 'unknown'; // not a clone
  }
}
