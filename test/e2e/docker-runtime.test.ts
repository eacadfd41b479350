import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import Docker from 'dockerode';
import { DockerRuntime } from '../../services/task-runner/adapters/docker-runtime';
import { containerRuntimeContract } from '../../services/task-runner/test/container-runtime.contract';
import { volumesContract } from '../../services/task-runner/test/volumes.contract';
import { silentLogger } from '../../shared/logging/logger';

const docker = new Docker();
const options = { instance: 'contract', bindAddress: '127.0.0.1', logger: silentLogger };
const runtime = new DockerRuntime(options);

containerRuntimeContract('docker', async () => ({
  runtime,
  stranger: new DockerRuntime({ ...options, instance: 'contract-stranger' }),
  image: 'resource-manager/demo:1',
  containerPort: 8080,
  untilServing: async (taskId) => untilServed(`${await urlOf(taskId)}/healthz`),
  exit: async (taskId, code) => {
    await fetch(`${await urlOf(taskId)}/exit?code=${code}`, { method: 'POST' });
  },
  vanish: async (taskId) => {
    await promisify(execFile)('docker', ['rm', '-f', `task-${taskId}`]);
  },
}));

volumesContract('docker', async () => ({
  runtime,
  volumes: runtime.volumes,
  stranger: new DockerRuntime({ ...options, instance: 'contract-stranger' }).volumes,
  image: 'resource-manager/demo:1',
}));

test('when an engine takes the call and never answers, then it counts as away within seconds', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'silent-docker-'));
  const server = net.createServer().listen(path.join(folder, 'docker.sock'));
  await once(server, 'listening');
  const given = process.env['DOCKER_HOST'];
  process.env['DOCKER_HOST'] = `unix://${folder}/docker.sock`;
  try {
    const silent = new DockerRuntime(options);
    const began = Date.now();
    await expect(silent.ping()).rejects.toMatchObject({ code: 'runtime.unavailable' });
    await expect(silent.inspect('x')).rejects.toMatchObject({ code: 'runtime.unavailable' });
    expect(Date.now() - began).toBeLessThan(11_000);
  } finally {
    if (given === undefined) delete process.env['DOCKER_HOST'];
    else process.env['DOCKER_HOST'] = given;
    server.close();
    rmSync(folder, { recursive: true });
  }
}, 20_000);

afterAll(async () => {
  await docker.getNetwork('resource-manager-contract-closed').remove();
});

async function urlOf(taskId: string): Promise<string> {
  return `http://127.0.0.1:${(await runtime.inspect(taskId))?.port}`;
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
