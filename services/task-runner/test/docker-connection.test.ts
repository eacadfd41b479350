import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ConfigError } from '../../../shared/process/config';
import { connectDocker, type DockerSettings } from '../adapters/docker-connection';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'docker-connection-'));
afterAll(() => fs.rmSync(folder, { recursive: true }));

/** A folder below it with these files in it. */
function folderWith(...files: string[]): string {
  const made = fs.mkdtempSync(path.join(folder, 'certificates-'));
  for (const file of files) fs.writeFileSync(path.join(made, file), 'text');
  return made;
}

/** What `docker context create` leaves. */
function contextOf(name: string, host: string): string {
  const config = fs.mkdtempSync(path.join(folder, 'config-'));
  const meta = path.join(config, 'contexts', 'meta', createHash('sha256').update(name).digest('hex'));
  fs.mkdirSync(meta, { recursive: true });
  const written = { Name: name, Metadata: {}, Endpoints: { docker: { Host: host, SkipTLSVerify: false } } };
  fs.writeFileSync(path.join(meta, 'meta.json'), JSON.stringify(written));
  return config;
}

function connected(settings: DockerSettings): object {
  const { socketPath, host, port, protocol, agent } = connectDocker(settings).modem as unknown as Record<
    string,
    unknown
  >;
  return { socketPath, host, port, protocol, agent: agent?.constructor.name };
}

test.each<[string, DockerSettings, object]>([
  ['a socket', { DOCKER_HOST: 'unix:///run/own.sock' }, { socketPath: '/run/own.sock', host: undefined }],
  ['TCP', { DOCKER_HOST: 'tcp://engine' }, { host: 'engine', port: 2375, protocol: 'http' }],
  ['TCP without its scheme', { DOCKER_HOST: '10.0.0.1:9999' }, { host: '10.0.0.1', port: '9999', protocol: 'http' }],
  [
    'TLS that is verified',
    {
      DOCKER_HOST: 'tcp://engine',
      DOCKER_TLS_VERIFY: '1',
      DOCKER_CERT_PATH: folderWith('ca.pem', 'cert.pem', 'key.pem'),
    },
    { host: 'engine', port: 2376, protocol: 'https', agent: 'Agent' },
  ],
  [
    'TLS that is not verified and shows no certificate',
    { DOCKER_HOST: 'tcp://engine:1', DOCKER_TLS: '1', DOCKER_CERT_PATH: folderWith() },
    { host: 'engine', port: '1', protocol: 'https', agent: 'Agent' },
  ],
  ['SSH', { DOCKER_HOST: 'ssh://me@engine:2222' }, { protocol: 'http', agent: 'SshAgent', socketPath: undefined }],
  [
    'a context',
    { DOCKER_CONTEXT: 'far', DOCKER_CONFIG: contextOf('far', 'ssh://engine') },
    { protocol: 'http', agent: 'SshAgent' },
  ],
  [
    'DOCKER_HOST before a context',
    { DOCKER_HOST: 'unix:///run/own.sock', DOCKER_CONTEXT: 'far', DOCKER_CONFIG: folder },
    { socketPath: '/run/own.sock' },
  ],
])('when the engine is %s, then the client goes there', (_name, settings, expected) => {
  expect(connected(settings)).toMatchObject(expected);
});

test.each<[DockerSettings, RegExp]>([
  [{ DOCKER_HOST: 'unix://relative.sock' }, /DOCKER_HOST must be unix/],
  [{ DOCKER_HOST: 'http://engine' }, /DOCKER_HOST must be/],
  [{ DOCKER_HOST: 'tcp://' }, /DOCKER_HOST must be/],
  [{ DOCKER_HOST: 'tcp://engine:port' }, /DOCKER_HOST must be/],
  [{ DOCKER_HOST: 'tcp://engine/prefix' }, /DOCKER_HOST must be/],
  [{ DOCKER_HOST: 'ssh://' }, /DOCKER_HOST must be/],
  [{ DOCKER_HOST: 'ssh://me:secret@engine' }, /DOCKER_HOST must be ssh/],
  [{ DOCKER_HOST: 'ssh://engine/run/$(reboot)' }, /DOCKER_HOST must be ssh/],
  [{ DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: folderWith('cert.pem', 'key.pem') }, /DOCKER_CERT_PATH: .*no ca\.pem/],
  [{ DOCKER_TLS: '1', DOCKER_CERT_PATH: folderWith('cert.pem') }, /DOCKER_CERT_PATH: .*only one/],
  [{ DOCKER_CONTEXT: 'nowhere', DOCKER_CONFIG: folder }, /DOCKER_CONTEXT: there is no usable context/],
])('when the settings are %j, then the start is refused with %s', (settings, fault) => {
  expect(() => connectDocker(settings)).toThrow(ConfigError);
  expect(() => connectDocker(settings)).toThrow(fault);
  expect(() => connectDocker(settings)).not.toThrow(/secret|reboot/);
});
