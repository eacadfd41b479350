import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Docker from 'dockerode';
import { DockerRuntime } from '../../../services/task-runner/adapters/docker-runtime';
import { containerRuntimeContract } from '../../../services/task-runner/test/container-runtime.contract';
import { volumesContract } from '../../../services/task-runner/test/volumes.contract';
import { silentLogger } from '../../../shared/logging/logger';
import { DockerHarness, IMAGE } from '../support/docker-harness';

const docker = new Docker();
const options = { instance: 'contract', bindAddress: '127.0.0.1', logger: silentLogger };
const runtime = new DockerRuntime(options);

const harness = new DockerHarness(docker, options.instance);
containerRuntimeContract('docker', () => harness.open());

volumesContract('docker', async () => ({
  runtime,
  volumes: runtime.volumes,
  stranger: new DockerRuntime({ ...options, instance: 'contract-stranger' }).volumes,
  image: IMAGE,
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
  await harness.close();
});
