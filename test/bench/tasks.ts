import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { DevInfo } from '../../tools/dev-info';
import { PEOPLE } from '../../tools/tokens';
import { send } from './http';
import { percentile, shown, times } from './measure';

const run = promisify(execFile);
/** What the service type demo runs (services/task-runner/service-types.yaml). */
const DEMO_IMAGE = 'resource-manager/demo:1';
const COUNT = 10;

/** From the request to a page that answers: a task of the type demo, and `docker run` of the same image, in turns. */
export async function benchTasks(system: DevInfo, say: (line: string) => void): Promise<void> {
  // the first of each fills caches
  await taskOnce(system);
  await dockerRunOnce();
  const tasks = await times(COUNT, () => taskOnce(system));
  const direct = await times(COUNT, dockerRunOnce);
  say(`  POST /api/tasks   ${shown(tasks)}`);
  say(`  docker run        ${shown(direct)}`);
  say(`  median task / median docker run = ${(percentile(tasks, 0.5) / percentile(direct, 0.5)).toFixed(2)}`);
}

async function taskOnce({ services, tokens }: DevInfo): Promise<number> {
  const url = `${services['task-runner']!.url}/api/tasks`;
  const started = performance.now();
  const task = await send('POST', url, tokens.user, 201, { userId: PEOPLE.user.sub, serviceType: 'demo' });
  const ms = performance.now() - started;
  await send('DELETE', `${url}/${String(task['taskId'])}`, tokens.user, 200);
  return ms;
}

async function dockerRunOnce(): Promise<number> {
  const started = performance.now();
  const { stdout } = await run('docker', ['run', '-d', '-p', '127.0.0.1::8080', '--init', DEMO_IMAGE]);
  const container = stdout.trim();
  try {
    const { stdout: published } = await run('docker', ['port', container, '8080/tcp']);
    await answers(`http://${published.trim()}/healthz`);
    return performance.now() - started;
  } finally {
    await run('docker', ['rm', '-f', container]);
  }
}

async function answers(url: string): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (performance.now() < deadline) {
    const ok = await fetch(url).then(
      (response) => response.ok,
      () => false,
    );
    if (ok) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${url} does not answer`);
}
