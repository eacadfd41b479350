import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { devInfoFile, devInfoSchema, type DevInfo } from '../../../tools/dev-info';
import { currentInstance, root, type Instance } from '../../../tools/instance';
import { runningPid, signal } from '../../../tools/processes';
import { until } from '../../../tools/progress';

/** The start tool of another instance, run as a person would run it. */
export interface StartTool {
  instance: Instance;
  process: ChildProcess;
  /** what it has printed */
  output: () => string;
  /** the exit code once it has ended */
  ended: Promise<number | null>;
}

/**
 * Runs `npm start` with these variables beside our own, or, with `bare`, what npm would run; returns at once. It stops when
 * the tests are broken off, but for one that is to be kept (RM_E2E_KEEP).
 */
export function runStart(env: Record<string, string>, options: { bare?: boolean } = {}): StartTool {
  const instance = currentInstance({ ...process.env, ...env });
  // a file, not a pipe: jest would wait for a pipe's end
  const printed = path.join(os.tmpdir(), `resource-manager-start-${instance.name}-${process.pid}.log`);
  const log = fs.openSync(printed, 'w');
  const [command, args] = options.bare ? [process.execPath, ['tools/run.mjs', 'start']] : ['npm', ['start']];
  const child = spawn(command, args, {
    cwd: root,
    env: { ...process.env, ...(!process.env.RM_E2E_KEEP && { RM_ENDS_WITH: String(process.pid) }), ...env },
    stdio: ['ignore', log, log],
    // of its own group: Ctrl-C on the tests reaches it through the tear-down only
    detached: true,
  });
  fs.closeSync(log);
  const ended = new Promise<number | null>((resolve) => child.on('exit', resolve));
  return { instance, process: child, output: () => fs.readFileSync(printed, 'utf8'), ended };
}

/** Waits for dev.json. @throws with all that the tool printed when it ends or takes longer */
export async function untilReady(tool: StartTool, timeoutMs: number): Promise<DevInfo> {
  let ended = false;
  void tool.ended.then(() => (ended = true));
  await until(() => ended || fs.existsSync(devInfoFile(tool.instance)), timeoutMs);
  if (!fs.existsSync(devInfoFile(tool.instance))) throw new Error(`The system did not come up:\n${tool.output()}`);
  return readDevInfo(tool.instance);
}

export function readDevInfo(instance: Instance): DevInfo {
  return devInfoSchema.parse(JSON.parse(fs.readFileSync(devInfoFile(instance), 'utf8')));
}

/** Sends TERM to whatever start tool runs this instance, and waits until it has ended. @throws after 15 s */
export async function stopInstanceTool(instance: Instance): Promise<void> {
  const pid = runningPid(instance, 'start');
  if (pid === undefined) return;
  signal(pid, 'SIGTERM');
  if (!(await until(() => runningPid(instance, 'start') === undefined, 15_000))) {
    throw new Error(`The start tool of instance ${instance.name} (pid ${pid}) did not end within 15 s`);
  }
}

/** `npm run clean` of an instance: its data, containers and networks. @throws when it could not */
export function cleanInstance(env: Record<string, string>): void {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['tools/run.mjs', 'clean'], {
    cwd: root,
    env: { ...process.env, ...env },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`clean failed: ${stdout}${stderr}`);
}
