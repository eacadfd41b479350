import { createHash } from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import Docker from 'dockerode';
import { z } from 'zod';
import { messageOf } from '../../../shared/errors';
import { ConfigError } from '../../../shared/process/config';
import { SshAgent } from './ssh-agent';

/** The variables by which the docker command line finds its engine. Absent and empty are the same. */
export interface DockerSettings {
  DOCKER_HOST?: string | undefined;
  DOCKER_CONTEXT?: string | undefined;
  DOCKER_CONFIG?: string | undefined;
  DOCKER_CERT_PATH?: string | undefined;
  DOCKER_TLS?: string | undefined;
  DOCKER_TLS_VERIFY?: string | undefined;
}

interface Endpoint {
  /** The variable that says so, for faults. */
  variable: 'DOCKER_HOST' | 'DOCKER_CONTEXT';
  host: string;
  /** Undefined: no TLS. */
  tls: { verify: boolean; ca?: Buffer | undefined; cert?: Buffer | undefined; key?: Buffer | undefined } | undefined;
}

/**
 * A client for the engine that the docker command line would use with the same variables: a socket, TCP with or without
 * TLS, or SSH by the `ssh` program with its own configuration, known hosts and agent. Nothing is connected yet.
 * @throws ConfigError that names the variable
 */
export function connectDocker(settings: DockerSettings, sshProgram = 'ssh'): Docker {
  const { variable, host, tls } = endpointOf(settings);
  const fault = (what: string): ConfigError => new ConfigError([`${variable} ${what}`]);
  if (host.startsWith('unix://')) {
    const socketPath = host.slice('unix://'.length);
    if (!path.isAbsolute(socketPath))
      throw fault('must be unix:// with an absolute path, as in unix:///run/docker.sock');
    return client({ socketPath });
  }
  const text = host.includes('://') ? host : `tcp://${host}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === 'ssh:') {
    if (url.hostname === '' || url.password !== '' || url.search + url.hash !== '' || !/^[\w./-]*$/.test(url.pathname))
      throw fault('must be ssh://[user@]host[:port][/path of the socket], without a password');
    const agent = new SshAgent(url, sshProgram);
    // the name is only seen in the Host header
    return client({ host: 'docker', port: 80, protocol: 'http', agent });
  }
  if (url?.protocol !== 'tcp:' || url.hostname === '' || url.username + url.search + url.hash !== '' || !isRoot(url))
    throw fault('must be unix://PATH, tcp://HOST[:PORT] or ssh://[USER@]HOST[:PORT]');
  if (!tls) return client({ host: url.hostname, port: url.port || 2375, protocol: 'http' });
  const { verify, ...files } = tls;
  const agent = new https.Agent({ keepAlive: true, rejectUnauthorized: verify, ...files });
  return client({ host: url.hostname, port: url.port || 2376, protocol: 'https', agent });
}

function isRoot({ pathname }: URL): boolean {
  return pathname === '' || pathname === '/';
}

/** Everything is said, also what does not apply: dockerode reads the environment by itself for what is left out. */
function client(given: Docker.DockerOptions & { agent?: https.Agent | SshAgent }): Docker {
  const options = { socketPath: undefined, host: undefined, port: undefined, protocol: 'http' as const, ...given };
  try {
    return new Docker(options);
  } catch (error) {
    throw new ConfigError([`DOCKER_CERT_PATH: ${messageOf(error)}`]);
  }
}

function endpointOf(settings: DockerSettings): Endpoint {
  const folder = settings.DOCKER_CONFIG || path.join(os.homedir(), '.docker');
  const context = settings.DOCKER_CONTEXT || 'default';
  if (!settings.DOCKER_HOST && context !== 'default') return endpointOfContext(folder, context);
  const verify = Boolean(settings.DOCKER_TLS_VERIFY);
  const wanted = verify || Boolean(settings.DOCKER_TLS);
  return {
    variable: 'DOCKER_HOST',
    host: settings.DOCKER_HOST || usualSocket(),
    tls: wanted ? { verify, ...readTls('DOCKER_CERT_PATH', settings.DOCKER_CERT_PATH || folder, verify) } : undefined,
  };
}

/** Where Docker Desktop puts its socket for one user, or the one of the whole machine. */
function usualSocket(): string {
  const own = path.join(os.homedir(), '.docker', 'run', 'docker.sock');
  return `unix://${fs.existsSync(own) ? own : '/var/run/docker.sock'}`;
}

const contextFile = z.object({
  Endpoints: z.object({ docker: z.object({ Host: z.string().min(1), SkipTLSVerify: z.boolean().default(false) }) }),
});

/** What `docker context create` wrote. */
function endpointOfContext(folder: string, name: string): Endpoint {
  const id = createHash('sha256').update(name).digest('hex');
  const contexts = path.join(folder, 'contexts');
  let docker;
  try {
    const text = fs.readFileSync(path.join(contexts, 'meta', id, 'meta.json'), 'utf8');
    docker = contextFile.parse(JSON.parse(text)).Endpoints.docker;
  } catch {
    throw new ConfigError([`DOCKER_CONTEXT: there is no usable context of that name in DOCKER_CONFIG (${contexts})`]);
  }
  const files = path.join(contexts, 'tls', id, 'docker');
  const verify = !docker.SkipTLSVerify;
  const tls = fs.existsSync(files) ? { verify, ...readTls('DOCKER_CONTEXT', files, false) } : undefined;
  return { variable: 'DOCKER_CONTEXT', host: docker.Host, tls };
}

/** A client certificate is shown when there is one. */
function readTls(variable: string, folder: string, needsCa: boolean) {
  const read = (name: string): Buffer | undefined => {
    const file = path.join(folder, name);
    try {
      return fs.existsSync(file) ? fs.readFileSync(file) : undefined;
    } catch (error) {
      throw new ConfigError([`${variable}: ${name} cannot be read: ${messageOf(error)}`]);
    }
  };
  const [ca, cert, key] = [read('ca.pem'), read('cert.pem'), read('key.pem')];
  if (needsCa && !ca) throw new ConfigError([`${variable}: there is no ca.pem in ${folder} to verify the engine by`]);
  if (!cert !== !key) throw new ConfigError([`${variable}: of cert.pem and key.pem only one is in ${folder}`]);
  return { ca, cert, key };
}
