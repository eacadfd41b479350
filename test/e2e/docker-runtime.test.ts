import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import Docker from 'dockerode';
import { DockerRuntime } from '../../services/task-runner/adapters/docker-runtime';
import { ensureGoImage } from '../../tools/demo-image';
import { containerRuntimeContract } from '../../services/task-runner/test/container-runtime.contract';
import { SlowRegistry } from './support/slow-registry';

const docker = new Docker();
const options = { instance: 'contract', bindAddress: '127.0.0.1' };
const runtime = new DockerRuntime(options);

const registry = new SlowRegistry();
const published: string[] = [];

containerRuntimeContract('docker', async () => {
  await registry.start();
  const image = 'resource-manager/contract:1';
  const folder = path.join(__dirname, 'images', 'contract');
  await ensureGoImage(docker, { tag: image, folder, program: 'program' });
  return {
    runtime,
    stranger: new DockerRuntime({ ...options, instance: 'contract-stranger' }),
    image,
    containerPort: 8080,
    untilServing: async (taskId) => untilServed(`${await urlOf(taskId)}/healthz`),
    exit: (taskId, code) => tell(taskId, `exit?code=${code}`),
    print: (taskId, stream, text) => tell(taskId, `print?stream=${stream}&text=${encodeURIComponent(text)}`),
    exhaustMemory: (taskId) => tell(taskId, 'eat'),
    vanish: async (taskId) => {
      await promisify(execFile)('docker', ['rm', '-f', `task-${taskId}`]);
    },
    publish: async (how) => {
      const name = registry.publish(`image-${published.length}`, [1_200_000, 300_000, 40_000], how);
      published.push(name);
      return { image: name, speak: () => registry.speak() };
    },
    missing: `${registry.host}/is-not-there:1`,
    refused: `${registry.host}/refused:1`,
    // the port of "discard": nobody listens
    unreachable: '127.0.0.1:9/image:1',
  };
});

test('when a task runs on Docker, then it is fenced in: capabilities, privileges, memory, processes, network, port', async () => {
  const taskId = '5b3c1a52-0000-4000-8000-000000000001';
  try {
    await runtime.start({
      taskId,
      userId: 'u',
      serviceType: 'demo',
      image: 'resource-manager/demo:1',
      command: null,
      env: {},
      containerPort: 8080,
      cpuMillis: 250,
      memoryBytes: 64 * 1024 * 1024,
      pids: 32,
    });
    const found = await docker.getContainer(`task-${taskId}`).inspect();
    expect(found.HostConfig).toMatchObject({
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      Memory: 67_108_864,
      MemorySwap: 67_108_864,
      NanoCpus: 250_000_000,
      PidsLimit: 32,
      Privileged: false,
      NetworkMode: 'resource-manager-contract',
    });
    expect(found.NetworkSettings.Ports['8080/tcp']).toEqual([{ HostIp: '127.0.0.1', HostPort: expect.any(String) }]);
    expect(found.Config.Labels).toMatchObject({
      'resource-manager.task': taskId,
      'resource-manager.user': 'u',
      'resource-manager.service-type': 'demo',
      'resource-manager.instance': 'contract',
    });
    const network = await docker.getNetwork('resource-manager-contract').inspect();
    expect(network.Options).toMatchObject({ 'com.docker.network.bridge.enable_icc': 'false' });
  } finally {
    await runtime.remove(taskId);
  }
});

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
  for (const image of published) if (await runtime.hasImage(image)) await docker.getImage(image).remove();
  await registry.stop();
  await docker.getNetwork('resource-manager-contract').remove();
});

async function tell(taskId: string, what: string): Promise<void> {
  await fetch(`${await urlOf(taskId)}/${what}`, { method: 'POST' });
}

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
