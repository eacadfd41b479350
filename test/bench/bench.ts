// npm run bench: figures of this machine, without targets. `npm run bench -- allocate 10` runs one part, 10 s a measurement.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { devInfoFile, devInfoSchema, type DevInfo } from '../../tools/dev-info';
import { findDocker, removeContainers } from '../../tools/docker';
import { currentInstance, root } from '../../tools/instance';
import { until } from '../../tools/progress';
import { benchAllocate } from './allocate';
import { machine } from './machine';
import { benchTasks } from './tasks';
import { benchUsage, openReceiver } from './usage';

/** An instance of its own, from nothing, beside whatever else runs. */
const RECEIVER_PORT = 10_790;
const ENV = {
  RM_INSTANCE: 'bench',
  RM_PORT_OFFSET: '2000',
  BLOCKCHAIN_SERVICE_URL: `http://127.0.0.1:${RECEIVER_PORT}/usage`,
  LOG_LEVEL: 'warn',
};
const PARTS = ['allocate', 'tasks', 'usage'];
const say = (line: string): void => console.log(line);

async function withSystem(work: (system: DevInfo) => Promise<void>): Promise<void> {
  const env = { ...process.env, ...ENV };
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
    await work(devInfoSchema.parse(JSON.parse(fs.readFileSync(devInfoFile(instance), 'utf8'))));
  } finally {
    tool.kill('SIGTERM');
    await ended;
    const docker = await findDocker();
    if (docker) await removeContainers(docker, instance);
  }
}

async function main(): Promise<void> {
  const [chosen, seconds = '5'] = process.argv.slice(2);
  if (chosen !== undefined && !PARTS.includes(chosen)) throw new Error(`"${chosen}" is none of ${PARTS.join(', ')}`);
  const runs = (part: string): boolean => chosen === undefined || chosen === part;
  for (const line of machine()) say(line);
  const receiver = await openReceiver(RECEIVER_PORT);
  try {
    await withSystem(async (system) => {
      if (runs('allocate')) {
        say('\nallocate + release, pairs on one hot pool');
        await benchAllocate(system, Number(seconds), say);
      }
      if (runs('tasks')) {
        say('\nstart of a task until its page answers (image of the type demo), one after the other');
        if (await findDocker()) await benchTasks(system, say);
        else say('  no Docker Engine answers: not measured');
      }
      if (runs('usage')) {
        say('\nusage events to the http sink');
        await benchUsage(system, receiver, say);
      }
    });
  } finally {
    receiver.server.closeAllConnections();
    receiver.server.close();
  }
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
