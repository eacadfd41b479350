import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

/**
 * A door to the real Docker Engine that can be shut: whoever uses `dockerHost` then finds no engine, while it goes on for
 * everybody else and its containers run.
 */
export class DockerRelay {
  private readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), 'docker-relay-'));
  private readonly socket = path.join(this.folder, 'docker.sock');
  private readonly open = new Set<net.Socket>();
  private server: net.Server | undefined;

  get dockerHost(): string {
    return `unix://${this.socket}`;
  }

  async start(): Promise<void> {
    const server = net.createServer((near) => {
      const far = net.connect(engine());
      for (const [socket, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.open.add(socket);
        socket.pipe(other);
        socket.on('error', () => other.destroy()); // cut off, which is the point
        socket.on('close', () => {
          this.open.delete(socket);
          other.destroy();
        });
      }
    });
    this.server = server;
    await new Promise<void>((resolve) => server.listen(this.socket, resolve));
  }

  /** Cuts off what is under way, and refuses what comes. */
  async shut(): Promise<void> {
    const { server } = this;
    if (!server) return;
    this.server = undefined;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of this.open) socket.destroy();
    await closed;
  }

  async remove(): Promise<void> {
    await this.shut();
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Where the tests' own engine listens. */
export function engine(): net.NetConnectOpts {
  const host = new URL(process.env.DOCKER_HOST || 'unix:///var/run/docker.sock');
  return host.protocol === 'unix:' ? { path: host.pathname } : { host: host.hostname, port: Number(host.port || 2375) };
}
