import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { root, type Instance } from './instance';
import { until } from './progress';

/** Where tools/supervise.sh writes the process ids of what it runs: NAME and NAME.supervisor. */
export function pidDir(instance: Instance): string {
  return path.join(instance.runDir, 'pids');
}

/** The log of a supervised process of this name. */
export function logFile(instance: Instance, name: string): string {
  return path.join(instance.runDir, 'logs', `${name}.log`);
}

/**
 * Starts `command` under tools/supervise.sh, in a process group of its own: Ctrl-C reaches only the start tool, which
 * stops everything in its order. Returns at once; whether the command works is for the caller to find out.
 */
export function startSupervised(
  instance: Instance,
  name: string,
  command: string[],
  options: { stopSignal?: 'TERM' | 'INT'; env?: NodeJS.ProcessEnv } = {},
): void {
  const child = spawn('sh', [path.join(root, 'tools', 'supervise.sh'), name, ...command], {
    cwd: root,
    detached: true,
    stdio: 'ignore',
    env: { ...(options.env ?? process.env), RM_RUN_DIR: instance.runDir, RM_STOP_SIGNAL: options.stopSignal ?? 'TERM' },
  });
  child.unref();
  // supervise.sh writes the same; here at once, so that a stop that comes now finds it
  fs.mkdirSync(pidDir(instance), { recursive: true });
  fs.writeFileSync(path.join(pidDir(instance), `${name}.supervisor`), String(child.pid));
}

/** Names of all processes that pid files tell of, running or not. */
export function recordedNames(instance: Instance): string[] {
  if (!fs.existsSync(pidDir(instance))) return [];
  const files = fs.readdirSync(pidDir(instance)).map((file) => file.replace(/\.supervisor$/, ''));
  return [...new Set(files)];
}

/** The process id in a pid file, when a process of ours still has it; undefined otherwise. */
export function runningPid(instance: Instance, file: string): number | undefined {
  let pid: number;
  try {
    pid = Number(fs.readFileSync(path.join(pidDir(instance), file), 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  // the number may belong to somebody else by now: only what looks like the process that was recorded is ours
  return pid > 1 && commandLine(pid)?.includes(markerOf(file)) ? pid : undefined;
}

/** A word that the command line of the process behind a pid file holds. */
function markerOf(file: string): string {
  if (file.endsWith('.supervisor')) return 'supervise.sh';
  if (file.startsWith('daprd-')) return 'daprd';
  return (
    { postgres: 'postgres', nats: 'nats-server', chain: 'anvil', dapr: 'dapr', start: 'run.mjs' }[file] ?? 'main.js'
  );
}

/** The command line of a live process; undefined when there is none (a zombie counts as none). */
export function commandLine(pid: number): string | undefined {
  try {
    if (fs.existsSync('/proc/self')) {
      const text = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
      return text === '' ? undefined : text;
    }
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
  } catch {
    return undefined; // no such process
  }
}

/** Sends a signal to a process that may have ended already. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/**
 * Stops the processes of these names: TERM to their supervisors, which pass it on, and after `timeoutMs` KILL to
 * supervisor and process. Afterwards none of them runs and their pid files are gone.
 */
export async function stopProcesses(instance: Instance, names: string[], timeoutMs: number): Promise<void> {
  const files = names.flatMap((name) => [`${name}.supervisor`, name]);
  const running = (): number[] => files.flatMap((file) => runningPid(instance, file) ?? []);
  for (const name of names) {
    const pid = runningPid(instance, `${name}.supervisor`) ?? runningPid(instance, name);
    if (pid !== undefined) signal(pid, 'SIGTERM');
  }
  if (!(await until(() => running().length === 0, timeoutMs, 50))) {
    for (const pid of running()) signal(pid, 'SIGKILL');
    await until(() => running().length === 0, 1000, 50);
  }
  for (const file of files) fs.rmSync(path.join(pidDir(instance), file), { force: true });
}
