import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import type { DockerSettings } from '../../../services/task-runner/adapters/docker-connection';
import { engine } from './docker-relay';

/**
 * The Docker Engine behind TCP with TLS, as dockerd --tlsverify serves it: whoever has no certificate of its authority is
 * refused. Two authorities, so that each side can meet a stranger.
 */
export class TlsEngine {
  private readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tls-engine-'));
  private readonly open = new Set<net.Socket>();
  private server: tls.Server | undefined;

  async start(): Promise<void> {
    for (const authority of ['own', 'other']) this.createAuthority(authority);
    const read = (name: string): Buffer => fs.readFileSync(path.join(this.folder, 'own', name));
    this.issue('own', 'server', 'subjectAltName=IP:127.0.0.1');
    const server = tls.createServer(
      {
        ca: read('ca.pem'),
        cert: read('server-cert.pem'),
        key: read('server-key.pem'),
        requestCert: true,
        rejectUnauthorized: true,
      },
      (near) => {
        const far = net.connect(engine());
        near.pipe(far).pipe(near);
        for (const [socket, other] of [
          [near, far],
          [far, near],
        ] as const) {
          this.open.add(socket);
          socket.on('error', () => other.destroy());
          socket.on('close', () => {
            this.open.delete(socket);
            other.destroy();
          });
        }
      },
    );
    server.on('tlsClientError', () => undefined); // refused, which is the point
    this.server = server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }

  /** The way to it with that authority's certificates. */
  settings(authority: 'own' | 'other'): DockerSettings {
    const { port } = this.server?.address() as net.AddressInfo;
    return {
      DOCKER_HOST: `tcp://127.0.0.1:${port}`,
      DOCKER_TLS_VERIFY: '1',
      DOCKER_CERT_PATH: path.join(this.folder, authority),
    };
  }

  /** The engine's own authority is trusted, and no certificate is shown. */
  anonymous(): DockerSettings {
    const folder = fs.mkdtempSync(path.join(this.folder, 'anonymous-'));
    fs.copyFileSync(path.join(this.folder, 'own', 'ca.pem'), path.join(folder, 'ca.pem'));
    return { ...this.settings('own'), DOCKER_CERT_PATH: folder };
  }

  stop(): void {
    this.server?.close();
    for (const socket of this.open) socket.destroy();
    fs.rmSync(this.folder, { recursive: true, force: true });
  }

  private createAuthority(name: string): void {
    const folder = path.join(this.folder, name);
    fs.mkdirSync(folder);
    const days = ['-days', '2', '-subj', `/CN=${name}`];
    openssl(
      folder,
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      'ca-key.pem',
      '-out',
      'ca.pem',
      ...days,
    );
    this.issue(name, 'client', 'extendedKeyUsage=clientAuth');
    fs.renameSync(path.join(folder, 'client-cert.pem'), path.join(folder, 'cert.pem'));
    fs.renameSync(path.join(folder, 'client-key.pem'), path.join(folder, 'key.pem'));
  }

  private issue(authority: string, name: string, extension: string): void {
    const folder = path.join(this.folder, authority);
    fs.writeFileSync(path.join(folder, 'extensions'), extension);
    const [key, request, certificate] = [`${name}-key.pem`, 'request.pem', `${name}-cert.pem`];
    openssl(folder, 'req', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', request, '-subj', `/CN=${name}`);
    const by = ['-CA', 'ca.pem', '-CAkey', 'ca-key.pem', '-CAcreateserial', '-days', '2', '-extfile', 'extensions'];
    openssl(folder, 'x509', '-req', '-in', request, '-out', certificate, ...by);
  }
}

function openssl(folder: string, ...args: string[]): void {
  execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
}
