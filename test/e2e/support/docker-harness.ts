import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type Docker from 'dockerode';
import { DockerRuntime } from '../../../services/task-runner/adapters/docker-runtime';
import { silentLogger } from '../../../shared/logging/logger';
import type { RuntimeHarness } from '../../../services/task-runner/test/container-runtime.contract';

/** The contract suite's view of an engine that is reached by `docker`; what happens behind its back goes the usual way. */
export function dockerHarness(docker: Docker, instance: string): RuntimeHarness {
  const options = { bindAddress: '127.0.0.1', logger: silentLogger };
  const runtime = new DockerRuntime({ instance, ...options }, docker);
  const urlOf = async (taskId: string): Promise<string> => `http://127.0.0.1:${(await runtime.inspect(taskId))?.port}`;
  return {
    runtime,
    stranger: new DockerRuntime({ instance: `${instance}-stranger`, ...options }, docker),
    image: 'resource-manager/demo:1',
    containerPort: 8080,
    untilServing: async (taskId) => untilServed(`${await urlOf(taskId)}/healthz`),
    exit: async (taskId, code) => {
      await fetch(`${await urlOf(taskId)}/exit?code=${code}`, { method: 'POST' });
    },
    vanish: async (taskId) => {
      await promisify(execFile)('docker', ['rm', '-f', `task-${taskId}`]);
    },
  };
}

async function untilServed(url: string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    // an own limit a try: a connection made while the container comes up may hang for seconds
    const answer = await fetch(url, { signal: AbortSignal.timeout(500) }).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${url} did not answer within 5 s`);
}
