import { execFileSync } from 'node:child_process';
import os from 'node:os';

/** On what the figures were taken; without it they say nothing. */
export function machine(command: string): string[] {
  const cpus = os.cpus();
  return [
    `command   ${['npm run', command, ...process.argv.slice(2)].join(' ')}`,
    `machine   ${cpus.length} x ${cpus[0]?.model ?? 'unknown CPU'}, ${(os.totalmem() / 2 ** 30).toFixed(1)} GiB, ${os.type()} ${os.release()}`,
    `load      ${os
      .loadavg()
      .map((load) => load.toFixed(2))
      .join(' ')} (1, 5, 15 min) before the system was started`,
    `versions  node ${process.versions.node}, commit ${commit()}`,
    `note      clients, services, sidecars, database and broker share this machine`,
  ];
}

function commit(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return 'unknown'; // not a clone
  }
}
