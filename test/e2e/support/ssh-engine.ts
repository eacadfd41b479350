import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { openSshServer } from '../../../tools/ssh-server';
import { eventually } from './system';

/**
 * An SSH server of the test's own on loopback, beside the engine, and a user who knows it as `engine`: host, port, key and
 * known hosts stand only in that user's ssh configuration.
 */
export class SshEngine {
  private readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ssh-engine-'));
  /** What the user's `ssh` is: with the configuration of this test. */
  readonly ssh = path.join(this.folder, 'ssh');
  private server: ChildProcess | undefined;

  async start(): Promise<void> {
    const file = (name: string): string => path.join(this.folder, name);
    for (const key of ['host', 'user', 'stranger']) {
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file(key)]);
    }
    const port = await freePort();
    fs.copyFileSync(file('user.pub'), file('authorized_keys'));
    fs.writeFileSync(
      file('sshd_config'),
      [
        `Port ${port}`,
        'ListenAddress 127.0.0.1',
        `HostKey ${file('host')}`,
        `AuthorizedKeysFile ${file('authorized_keys')}`,
        'PidFile none',
        'UsePAM no',
        'StrictModes no',
        'PasswordAuthentication no',
        'PermitRootLogin prohibit-password',
        'MaxStartups 100',
      ].join('\n'),
    );
    if (process.getuid?.() === 0) fs.mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
    this.server = spawn(openSshServer(), ['-D', '-e', '-f', file('sshd_config')], { stdio: 'ignore' });
    await eventually('the SSH server listens', () => connects(port));

    const known = (key: string): string => `[127.0.0.1]:${port} ${fs.readFileSync(file(`${key}.pub`), 'utf8')}`;
    fs.writeFileSync(file('known_hosts'), known('host'));
    fs.writeFileSync(file('wrong_hosts'), known('stranger'));
    const host = (name: string, key: string, hosts: string): string =>
      `Host ${name}\n  HostName 127.0.0.1\n  Port ${port}\n  User ${os.userInfo().username}\n  IdentityFile ${file(key)}\n` +
      `  IdentitiesOnly yes\n  StrictHostKeyChecking yes\n  UserKnownHostsFile ${file(hosts)}\n`;
    fs.writeFileSync(
      file('config'),
      host('engine', 'user', 'known_hosts') +
        host('impostor', 'user', 'wrong_hosts') +
        host('locked', 'stranger', 'known_hosts'),
    );
    // ssh has no variable for its configuration, and takes the home folder from the user database
    const ssh = execFileSync('sh', ['-c', 'command -v ssh'], { encoding: 'utf8' }).trim();
    fs.writeFileSync(this.ssh, `#!/bin/sh\nexec ${ssh} -F ${file('config')} "$@"\n`, { mode: 0o755 });
  }

  /** Ends the server and every session. */
  async stop(): Promise<void> {
    const { server } = this;
    if (server && server.exitCode === null && server.kill()) await once(server, 'exit');
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
