import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Docker from 'dockerode';
import { DockerRuntime } from '../../services/task-runner/adapters/docker-runtime';
import { containerRuntimeContract } from '../../services/task-runner/test/container-runtime.contract';
import { dockerHarness } from './support/docker-harness';

const docker = new Docker();
const options = { instance: 'contract', bindAddress: '127.0.0.1' };
const runtime = new DockerRuntime(options);

containerRuntimeContract('docker', async () => dockerHarness(docker, options.instance));

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
  await docker.getNetwork('resource-manager-contract').remove();
});
