import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import type { ServiceType } from '../../../services/task-runner/domain/service-type';

const docker = async (...args: string[]): Promise<string> => (await promisify(execFile)('docker', args)).stdout.trim();

/** The other side of the comparison: what a person types to get the same container, with the same limits. */
export async function dockerRun(type: ServiceType, network: string): Promise<{ container: string; url: string }> {
  const container = await docker(
    ...['run', '--detach', '--init', '--name', `bench-${randomUUID()}`, '--network', network],
    ...['--publish', `127.0.0.1::${type.containerPort}`, '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'],
    ...['--memory', String(type.fence.memoryBytes), '--memory-swap', String(type.fence.memoryBytes)],
    ...['--cpus', String(type.fence.cpuMillis / 1000), '--pids-limit', String(type.fence.pids)],
    ...['--log-opt', 'max-size=10m', '--log-opt', 'max-file=2'],
    ...Object.keys(type.env).flatMap((name) => ['--env', `${name}=bench`]),
    type.image,
  );
  return { container, url: `http://${await docker('port', container, `${type.containerPort}/tcp`)}` };
}

/** `docker rm -f` has no grace: it is `stop` that gives it. */
export async function dockerRemove(container: string, graceSeconds: number): Promise<void> {
  await docker('stop', '--time', String(graceSeconds), container);
  await docker('rm', '--volumes', container);
}

/** Resolves when the page answers below 500, as the probe of a service type has it. */
export async function serves(url: string): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (performance.now() < deadline) {
    const answers = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(500) }).then(
      async (response) => {
        await response.body?.cancel();
        return response.status < 500;
      },
      () => false,
    );
    if (answers) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${url} does not answer`);
}
