import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { parse, stringify } from 'yaml';
import { Failure } from './failure';
import { root, type Instance } from './instance';
import { logFile, pidDir } from './processes';
import { until } from './progress';
import type { Toolchain } from './toolchain';

/** `dapr run -f` under way. */
export interface DaprRun {
  /** set when the CLI has ended, with what it left */
  ended: () => string | undefined;
}

/**
 * Starts sidecars and services by `dapr run -f .`; another instance than the default one from a run file derived from the
 * same dapr.yaml. `env` is what sidecars and services are to know. Returns once the CLI runs; services are not ready yet.
 */
export function startDapr(instance: Instance, toolchain: Toolchain, env: NodeJS.ProcessEnv): DaprRun {
  const runtimePath = writeSidecarCommand(instance, toolchain.daprd);
  const runFile = instance.isDefault ? '.' : writeRunFile(instance);
  fs.mkdirSync(path.dirname(logFile(instance, 'dapr')), { recursive: true });
  const log = fs.openSync(logFile(instance, 'dapr'), 'w');
  const child = spawn(toolchain.dapr, ['run', '-f', runFile], {
    cwd: root,
    detached: true,
    stdio: ['ignore', log, log],
    env: {
      // sidecars collect garbage less often: 15 % less CPU for 50 MB
      GOGC: '400',
      ...env,
      RM_RUN_DIR: instance.runDir,
      DAPR_RUNTIME_PATH: runtimePath,
      DAPR_HOST_IP: '127.0.0.1',
    },
  });
  fs.closeSync(log);
  fs.mkdirSync(pidDir(instance), { recursive: true });
  fs.writeFileSync(path.join(pidDir(instance), 'dapr'), String(child.pid));
  let ended: string | undefined;
  child.on('error', (error) => (ended = error.message));
  child.on(
    'exit',
    (code, signal) => (ended = `dapr run ended (${signal ?? `code ${code}`}), see ${logFile(instance, 'dapr')}`),
  );
  return { ended: () => ended };
}

/**
 * The CLI takes daprd from DAPR_RUNTIME_PATH. There it finds a script of ours that starts the real one under
 * supervise.sh, with what a run file has no key for:
 * - internal gRPC and metrics on loopback: whoever reaches the internal port reaches every app route, app token added;
 * - no scheduler address: the CLI gives one, whatever the file says, and without a scheduler daprd then never gets healthy.
 */
function writeSidecarCommand(instance: Instance, daprd: string): string {
  const runtimePath = path.join(instance.runDir, 'dapr-home');
  const file = path.join(runtimePath, '.dapr', 'bin', 'daprd');
  const names = instance.apps.map((app) => `    ${app.ports.daprHTTPPort}) name=daprd-${app.name} ;;`).join('\n');
  const script = `#!/bin/sh
# Written by tools/dapr.ts at every start.
[ "$1" = --version ] && exec '${daprd}' --version
name=daprd
previous=
for argument in "$@"; do
  shift
  if [ "$previous" = --scheduler-host-address ]; then previous=; continue; fi
  if [ "$previous" = --dapr-http-port ]; then
    case "$argument" in
${names}
    esac
  fi
  previous=$argument
  case "$argument" in
    --scheduler-host-address) continue ;;
    --scheduler-host-address=*) continue ;;
  esac
  set -- "$@" "$argument"
done
exec sh '${path.join(root, 'tools', 'supervise.sh')}' "$name" '${daprd}' \\
  --dapr-internal-grpc-listen-address 127.0.0.1 --metrics-listen-address 127.0.0.1 "$@"
`;
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, script, { mode: 0o755 });
  return runtimePath;
}

/** dapr.yaml with the instance's ports, name table and absolute paths, in the instance's folder. */
function writeRunFile(instance: Instance): string {
  const configuration: unknown = parse(
    fs.readFileSync(path.join(root, 'components/configuration/local.yaml'), 'utf8'),
    (key, value: unknown) => (key === 'connectionString' ? path.join(instance.runDir, 'names.db') : value),
  );
  const configFilePath = path.join(instance.runDir, 'configuration.yaml');
  fs.writeFileSync(configFilePath, stringify(configuration));
  const runFile = path.join(instance.runDir, 'dapr.yaml');
  const { common, apps } = instance.runFile;
  fs.writeFileSync(
    runFile,
    stringify({
      ...instance.runFile,
      common: { ...common, resourcesPaths: [path.join(root, 'components')], configFilePath },
      apps: apps.map((app) => ({ ...app, appDirPath: root })),
    }),
  );
  return runFile;
}

/** Returns once every sidecar reaches its components and every service says it is ready. Failure: names who is not, and why. */
export async function waitUntilReady(instance: Instance, run: DaprRun, timeoutMs: number): Promise<void> {
  const waiting = new Map<string, string>();
  const ready = await until(
    async () => {
      if (run.ended() !== undefined) throw new Failure(`The services could not be started: ${run.ended()}.`);
      for (const app of instance.apps) {
        const refusal = refusalOf(instance, app.name);
        if (refusal) throw new Failure(`${app.name} does not start with this configuration:\n${refusal}`);
        // outbound: the plain health check stays 500 for lack of a scheduler where daprd was given one
        const sidecar = await probe(`http://127.0.0.1:${app.ports.daprHTTPPort}/v1.0/healthz/outbound`);
        const service = await probe(`http://127.0.0.1:${app.ports.appPort}/readyz`);
        if (sidecar === '' && service === '') waiting.delete(app.name);
        else waiting.set(app.name, service === '' ? `its sidecar: ${sidecar}` : service);
      }
      return waiting.size === 0;
    },
    timeoutMs,
    200,
  );
  if (ready) return;
  const reasons = [...waiting].map(
    ([name, reason]) => `  ${name}: ${reason} (see ${logFile(instance, name)} and daprd-${name}.log)`,
  );
  throw new Failure(`Not ready after ${timeoutMs / 1000} s:\n${reasons.join('\n')}`);
}

/** What a service said when it ended for what it was told (exit code 78, EX_CONFIG of sysexits.h): no new try mends that. */
function refusalOf(instance: Instance, name: string): string | undefined {
  const file = logFile(instance, name);
  const log = fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
  const end = log.indexOf(`supervise: ${name} ended with code 78`);
  return end < 0 ? undefined : log.slice(0, end).trimEnd().split('\n').slice(-20).join('\n');
}

/** An empty string when the answer is 2xx, otherwise what is wrong. */
async function probe(url: string): Promise<string> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
    const body = await response.text();
    return response.ok ? '' : `${response.status} ${body.slice(0, 300)}`;
  } catch (error) {
    const cause = error instanceof Error ? (error.cause ?? error) : error;
    return cause instanceof Error ? cause.message : String(cause);
  }
}
