import type Docker from 'dockerode';
import { connectDocker, type DockerSettings } from '../../../services/task-runner/adapters/docker-connection';
import { DockerRuntime } from '../../../services/task-runner/adapters/docker-runtime';
import { containerRuntimeContract } from '../../../services/task-runner/test/container-runtime.contract';
import { silentLogger } from '../../../shared/logging/logger';
import { DockerHarness } from '../support/docker-harness';
import { engine } from '../support/docker-relay';
import { SshEngine } from '../support/ssh-engine';
import { TlsEngine } from '../support/tls-engine';

/**
 * Issue 5, point 10: an engine behind TLS, or behind SSH, is used as the docker command line uses it.
 * Slow: a second engine behind TLS and SSH starts, hangs and comes back.
 */

jest.setTimeout(60_000);

const tlsEngine = new TlsEngine();
const sshEngine = new SshEngine();

beforeAll(async () => {
  await tlsEngine.start();
  await sshEngine.start();
}, 60_000);
afterAll(async () => {
  for (const harness of harnesses) await harness.close();
  tlsEngine.stop();
  await sshEngine.stop();
});

const connect = (settings: DockerSettings): Docker => connectDocker(settings, sshEngine.ssh);
const harnesses: DockerHarness[] = [];
function harnessOf(settings: DockerSettings, instance: string): ReturnType<DockerHarness['open']> {
  const harness = new DockerHarness(connect(settings), instance);
  harnesses.push(harness);
  return harness.open();
}
const refusalOf = (settings: DockerSettings): Promise<unknown> =>
  new DockerRuntime({ instance: 'contract', bindAddress: '127.0.0.1', logger: silentLogger }, connect(settings))
    .ping()
    .then(
      () => 'it answered',
      (error: unknown) => error,
    );

/** What the operator finds in the log. */
const refused = (why: RegExp) => ({
  code: 'runtime.unavailable',
  cause: expect.objectContaining({ message: expect.stringMatching(why) }),
});

containerRuntimeContract('docker behind TLS', () => harnessOf(tlsEngine.settings('own'), 'contract-tls'));

describe('TLS', () => {
  test('when the engine has a certificate of another authority, then it counts as away', async () => {
    expect(await refusalOf(tlsEngine.settings('other'))).toMatchObject(
      refused(/self.signed|unable to verify|signature/),
    );
  });

  test('when no client certificate is shown, then the engine refuses, and counts as away', async () => {
    expect(await refusalOf(tlsEngine.anonymous())).toMatchObject(refused(/certificate required|handshake|ECONNRESET/));
  });

  test('when the engine need not prove itself, then it is used whoever it is', async () => {
    const { DOCKER_HOST, DOCKER_CERT_PATH } = tlsEngine.settings('own');
    expect(await refusalOf({ DOCKER_HOST, DOCKER_CERT_PATH, DOCKER_TLS: '1' })).toBe('it answered');
  });
});

containerRuntimeContract('docker behind SSH', () => harnessOf({ DOCKER_HOST: 'ssh://engine' }, 'contract-ssh'));

describe('SSH', () => {
  test('when the path of a socket is named, then that engine is used', async () => {
    const local = engine();
    if (!('path' in local)) throw new Error('the tests need an engine at a socket');
    expect(await refusalOf({ DOCKER_HOST: `ssh://engine${local.path}` })).toBe('it answered');
    expect(await refusalOf({ DOCKER_HOST: 'ssh://engine/no/such/engine.sock' })).toMatchObject(refused(/engine\.sock/));
  });

  test.each([
    ['the host key is another one than the known', 'impostor', /Host key verification failed/],
    ['the key is not authorised', 'locked', /Permission denied/],
    ['there is no such host', 'no-such-host.invalid', /resolve hostname/],
  ])('when %s, then the engine counts as away, and ssh says why', async (_case, host, why) => {
    expect(await refusalOf({ DOCKER_HOST: `ssh://${host}` })).toMatchObject(refused(why));
  });

  test('when requests follow each other, then they share a login', async () => {
    const docker = connect({ DOCKER_HOST: 'ssh://engine' });
    await docker.ping();
    const began = performance.now();
    for (let asked = 0; asked < 50; asked += 1) await docker.ping();
    const shared = (performance.now() - began) / 50;
    const fresh = performance.now();
    await connect({ DOCKER_HOST: 'ssh://engine' }).ping();
    expect(shared).toBeLessThan((performance.now() - fresh) / 3);
  });
});
