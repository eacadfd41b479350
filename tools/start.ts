// npm start: brings the whole system up on this machine, and down again at Ctrl-C. The order is the story below.
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type Docker from 'dockerode';
import { banner } from './banner';
import { startChain } from './chain';
import { startDapr, waitUntilReady } from './dapr';
import { ensureDemoImage } from './demo-image';
import { devInfoFile, writeDevInfo } from './dev-info';
import { findDocker, removeContainers } from './docker';
import { explain, Failure } from './failure';
import { currentInstance, type Instance } from './instance';
import { watchLogs } from './log-watch';
import { startNats } from './nats';
import { ensureLocalPools } from './pools';
import { demandFreePorts } from './ports';
import { startPostgres } from './postgres';
import { commandLine, pidDir, recordedNames, runningPid } from './processes';
import { elapsed, say, step } from './progress';
import { instanceSecrets } from './secrets';
import { serviceEnvironment } from './service-environment';
import { stopInstance } from './stop-instance';
import { closeTasksOff } from './task-firewall';
import { readyMadeTokens } from './tokens';
import { ensureToolchain } from './toolchain';

const READY_MS = 90_000;
const LOOK_FOR_DOCKER_MS = 3_000;

async function bringUp(instance: Instance, stopping: () => boolean): Promise<void> {
  const secrets = instanceSecrets(instance);
  const runs = (appId: string): boolean => instance.apps.some((app) => app.appId === appId);
  const docker = runs('task-runner') ? findDocker() : undefined;
  // not waited for: with a cold Go cache the image takes longer than all the rest, and only tasks of the type demo need it
  if (docker) void prepareDocker(instance, docker, stopping);
  // what is started after the stop has looked round would stay behind
  const unlessStopping = <T>(work: () => T): T => {
    if (stopping()) throw new Failure('stopped while it was starting');
    return work();
  };
  const postgres = step(
    'PostgreSQL',
    () => startPostgres(instance, secrets.postgresPassword),
    source('DATABASE_URL', instance.ports.postgres),
  );
  const chain = runs('blockchain-forwarder')
    ? postgres.then(({ url }) =>
        unlessStopping(() =>
          step('chain and contract', () => startChain(instance, url), source('EVM_RPC_URL', instance.ports.chain)),
        ),
      )
    : undefined;
  const toolchain = step(
    'Dapr and nats-server',
    () => ensureToolchain({ nats: !process.env.NATS_URL }),
    (tools) => tools.daprd,
  );
  const nats = toolchain.then((tools) =>
    unlessStopping(() =>
      step('broker and streams', () => startNats(instance, tools.natsServer), source('NATS_URL', instance.ports.nats)),
    ),
  );
  const [{ url: databaseUrl }, { url: natsUrl }, evm, tools] = await Promise.all([postgres, nats, chain, toolchain]);
  if (stopping()) return;

  const run = startDapr(instance, tools, serviceEnvironment(instance, secrets, { databaseUrl, natsUrl, chain: evm }));
  const unwatch = watchLogs(instance, (text) => say(`  ${text}`));
  process.once('exit', unwatch);
  await step('services (dapr run -f .)', () => waitUntilReady(instance, run, READY_MS));
  const tokens = readyMadeTokens(secrets);
  if (runs('resource-pool') && runs('allocation'))
    await step('pools of this machine', () => ensureLocalPools(urlOf(instance, 'resource-pool'), tokens.admin));
  const tasks = (await docker) !== undefined;
  if (stopping()) return;

  const { daprApiToken } = secrets;
  const known = { daprApiToken, tokens, databaseUrl, natsUrl };
  const info = writeDevInfo(instance, {
    ...known,
    ...(evm && { evm: { rpcUrl: evm.rpcUrl, contract: evm.contract } }),
  });
  console.log(banner(info, { runDir: path.relative(process.cwd(), instance.runDir), elapsed: elapsed(), tasks }));
}

/** Uses the engine that is there, or the one that comes later; without one all but tasks works. Never fails: says how it is. */
async function prepareDocker(
  instance: Instance,
  found: Promise<Docker | undefined>,
  stopping: () => boolean,
): Promise<void> {
  let docker = await found;
  if (!docker) {
    say(
      'Docker: no engine answers, so tasks answer 503 runtime.unavailable: start a Docker Engine, or set DOCKER_HOST',
    );
  }
  while (!docker) {
    await sleep(LOOK_FOR_DOCKER_MS);
    if (stopping()) return;
    docker = await findDocker();
  }
  const engine = docker;
  await step(
    'Docker and the demo image',
    () => readyForTasks(instance, engine),
    (text) => text,
  );
}

async function readyForTasks(instance: Instance, docker: Docker): Promise<string> {
  const closed = await closeTasksOff(instance.label);
  const fence = closed
    ? 'this host is closed off from tasks'
    : 'tasks reach what listens on all addresses of the container host (services/task-runner/README.md, Network)';
  try {
    return `ready, image ${await ensureDemoImage(docker)}; ${fence}`;
  } catch (error) {
    const noGo = (error as NodeJS.ErrnoException).code === 'ENOENT';
    return `ready, but the image of the service type demo could not be built: ${noGo ? 'Go is not installed (https://go.dev/dl/)' : explain(error)}; ${fence}`;
  }
}

function source(variable: string, port: number): (part: { ours: boolean }) => string {
  return ({ ours }) => (ours ? `ready, port ${port}` : `${variable} is used`);
}

function urlOf(instance: Instance, name: string): string {
  const app = instance.apps.find((candidate) => candidate.name === name);
  if (!app) throw new Error(`dapr.yaml has no app ${name}`);
  return `http://127.0.0.1:${app.ports.appPort}`;
}

async function removeAllContainers(instance: Instance): Promise<void> {
  const docker = await findDocker();
  if (docker) await removeContainers(docker, instance);
}

/** One start tool an instance; what a killed one left behind is ended first. */
async function takeOver(instance: Instance): Promise<void> {
  const other = runningPid(instance, 'start');
  if (other !== undefined && other !== process.pid) {
    throw new Failure(
      `This instance is running already (pid ${other}): stop it first, or start another with RM_INSTANCE=two RM_PORT_OFFSET=100.`,
    );
  }
  const leftovers = recordedNames(instance).filter(
    (name) => runningPid(instance, name) ?? runningPid(instance, `${name}.supervisor`),
  );
  if (leftovers.length > 0) {
    await step(
      `what an earlier start left behind (${leftovers.join(', ')})`,
      () => stopInstance(instance),
      () => 'ended',
    );
  }
  fs.rmSync(pidDir(instance), { recursive: true, force: true });
  fs.rmSync(path.join(instance.runDir, 'hold'), { recursive: true, force: true });
  fs.rmSync(devInfoFile(instance), { force: true });
  await demandFreePorts(instance);
  const logs = path.join(instance.runDir, 'logs');
  if (fs.existsSync(logs)) {
    fs.rmSync(`${logs}.previous`, { recursive: true, force: true });
    fs.renameSync(logs, `${logs}.previous`);
  }
  fs.mkdirSync(logs, { recursive: true });
  fs.mkdirSync(pidDir(instance), { recursive: true });
  fs.writeFileSync(path.join(pidDir(instance), 'start'), String(process.pid));
}

async function main(): Promise<void> {
  const instance = currentInstance();
  process.stdout.on('error', () => undefined); // whoever read our output has gone; stopping in order matters more
  await takeOver(instance);

  let stopping: Promise<void> | undefined;
  const stop = (code: number, afterwards: () => Promise<unknown> = () => Promise.resolve()): void => {
    stopping ??= step(
      'stopping',
      () => stopInstance(instance).then(afterwards),
      () => 'everything has stopped',
    ).then(() => process.exit(code));
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stop(0));
  // npm that is killed with -9 passes nothing on
  const { ppid } = process;
  const orphaned = (): boolean => process.env.npm_lifecycle_event !== undefined && process.ppid !== ppid;
  const owner = Number(process.env.RM_ENDS_WITH || process.pid);
  setInterval(() => {
    if (orphaned()) stop(0);
    // nobody will want the tasks of a test that was broken off
    if (commandLine(owner) === undefined) stop(0, () => removeAllContainers(instance));
  }, 500);
  try {
    await bringUp(instance, () => stopping !== undefined);
  } catch (error) {
    if (stopping === undefined) console.error(`\n${explain(error)}\n`);
    stop(1);
  }
}

main().catch((error: unknown) => {
  console.error(explain(error));
  process.exit(1);
});
