import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { devInfoFile, devInfoSchema, type DevInfo } from '../../tools/dev-info';
import { currentInstance, root, type Instance } from '../../tools/instance';
import { until } from '../../tools/progress';

/** Brings an instance of its own up, from nothing, beside whatever else runs, and takes it down again. */
export async function withSystem<T>(
  settings: NodeJS.ProcessEnv,
  work: (system: DevInfo, instance: Instance) => Promise<T>,
): Promise<T> {
  const place = { RM_INSTANCE: 'bench', RM_PORT_OFFSET: process.env.RM_PORT_OFFSET ?? '2000' };
  const env = { ...process.env, ...place, ...settings };
  const instance = currentInstance(env);
  fs.rmSync(instance.runDir, { recursive: true, force: true });
  const tool = spawn(process.execPath, ['tools/run.mjs', 'start'], {
    cwd: root,
    env,
    stdio: ['ignore', 'ignore', 'inherit'],
    detached: true,
  });
  const ended = new Promise<void>((resolve) => tool.on('exit', () => resolve()));
  try {
    if (
      !(await until(() => tool.exitCode !== null || fs.existsSync(devInfoFile(instance)), 180_000)) ||
      tool.exitCode !== null
    ) {
      throw new Error('the system did not come up (see above)');
    }
    return await work(devInfoSchema.parse(JSON.parse(fs.readFileSync(devInfoFile(instance), 'utf8'))), instance);
  } finally {
    tool.kill('SIGTERM');
    await ended;
  }
}
