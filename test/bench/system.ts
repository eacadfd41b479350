import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { Client } from 'pg';
import { devInfoFile, devInfoSchema, type DevInfo } from '../../tools/dev-info';
import { currentInstance, root, type Instance } from '../../tools/instance';
import { until } from '../../tools/progress';
import { ranOn } from './run';

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
  const stop = (): void => {
    if (!tool.killed) tool.kill('SIGTERM'); // a second one would cut its stop short
    void ended.then(() => process.exit(130));
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    if (
      !(await until(() => tool.exitCode !== null || fs.existsSync(devInfoFile(instance)), 180_000)) ||
      tool.exitCode !== null
    ) {
      throw new Error('the system did not come up (see above)');
    }
    const system = devInfoSchema.parse(JSON.parse(fs.readFileSync(devInfoFile(instance), 'utf8')));
    await noteVersions(system);
    return await work(system, instance);
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
    tool.kill('SIGTERM');
    await ended;
  }
}

async function noteVersions({ databaseUrl, services, daprApiToken }: DevInfo): Promise<void> {
  const database = new Client({ connectionString: databaseUrl });
  await database.connect();
  const { rows } = await database.query<{ server_version: string }>('SHOW server_version');
  await database.end();
  ranOn('PostgreSQL', rows[0]!.server_version);
  const sidecar = Object.values(services)[0]!.daprHttpUrl;
  const answer = await fetch(`${sidecar}/v1.0/metadata`, { headers: { 'dapr-api-token': daprApiToken } });
  const { runtimeVersion } = (await answer.json()) as { runtimeVersion: string };
  // what npm start builds has no version of its own: tools/toolchain.ts says why
  ranOn(
    'Dapr',
    runtimeVersion === 'edge' ? `built from tools/daprd/go.mod (it says ${runtimeVersion})` : runtimeVersion,
  );
}
