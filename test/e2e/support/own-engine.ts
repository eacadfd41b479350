import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import Docker from 'dockerode';
import { eventually } from './system';

/** Where its tasks are reached: of the network that is for documentation, so nobody has it. */
const [NEAR, FAR] = ['198.51.100.1', '198.51.100.2'];

/**
 * A second dockerd beside the one that all others use, to be killed and restarted. It has a network namespace of its own: on
 * the host's it would delete the bridge of the first one, and its firewall rules with it.
 */
export class OwnEngine {
  readonly docker: Docker;
  private readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), 'own-engine-'));
  private readonly namespace = `rm-test-${process.pid}`;
  private readonly link = `rmtest${process.pid}`;
  private child: ChildProcess | undefined;

  constructor() {
    this.docker = new Docker({ socketPath: this.in('docker.sock') });
    fs.writeFileSync(this.in('daemon.json'), '{}');
    ip('netns', 'add', this.namespace);
    ip('link', 'add', this.link, 'type', 'veth', 'peer', 'name', 'outside', 'netns', this.namespace);
    ip('address', 'add', `${NEAR}/24`, 'dev', this.link);
    ip('link', 'set', this.link, 'up');
    ip('-n', this.namespace, 'address', 'add', `${FAR}/24`, 'dev', 'outside');
    for (const link of ['outside', 'lo']) ip('-n', this.namespace, 'link', 'set', link, 'up');
  }

  /** Whether a dockerd can be started here: as root, on Linux, where one is installed. */
  static isPossible(): boolean {
    if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
    try {
      for (const program of ['dockerd', 'ip', 'nsenter']) execFileSync('sh', ['-c', `command -v ${program}`]);
      return true;
    } catch {
      return false; // a remote engine, or none of Debian's
    }
  }

  /** What makes a task-runner use it. Its own label: it knows no other's containers. */
  get env(): Record<string, string> {
    return { DOCKER_HOST: this.dockerHost, TASK_HOST: FAR, TASK_BIND: FAR, INSTANCE: this.namespace };
  }

  private get dockerHost(): string {
    return `unix://${this.in('docker.sock')}`;
  }

  /** @param liveRestore containers outlive dockerd */
  async start(liveRestore: boolean): Promise<void> {
    const log = fs.openSync(this.in('log'), 'a');
    const options = {
      'config-file': this.in('daemon.json'),
      'data-root': this.in('data'),
      'exec-root': this.in('exec'),
      pidfile: this.in('pid'),
      host: this.dockerHost,
      'live-restore': String(liveRestore),
    };
    const args = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
    const inside = [`--net=/run/netns/${this.namespace}`, 'dockerd', ...args];
    this.child = spawn('nsenter', inside, { stdio: ['ignore', log, log] });
    fs.closeSync(log);
    const answers = () =>
      this.docker.ping().then(
        () => true,
        () => false,
      );
    await eventually('the second dockerd answers', answers, 60_000).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${fs.readFileSync(this.in('log'), 'utf8').slice(-3_000)}`);
    });
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const { child } = this;
    if (!child) return;
    this.child = undefined;
    const containerd = Number(fs.readFileSync(this.in('exec/containerd/containerd.pid'), 'utf8'));
    const ended = new Promise((resolve) => child.once('exit', resolve));
    if (child.exitCode === null && child.signalCode === null && child.kill(signal)) await ended;
    // that goes with it, a moment later; one that is just about to go would be taken for the next one's own
    await eventually('its containerd is gone', () => !fs.existsSync(`/proc/${containerd}`));
  }

  /** Ids of the tasks that have a container, running or not. */
  async tasks(): Promise<string[]> {
    const found = await this.docker.listContainers({ all: true });
    return found.flatMap(({ Labels }) => Labels['resource-manager.task'] ?? []);
  }

  /** Ends it with all that it holds, in whatever state a failed test left it. */
  async remove(): Promise<void> {
    if (!this.child) await this.start(false);
    const containers = await this.docker.listContainers({ all: true });
    await Promise.all(containers.map(({ Id }) => this.docker.getContainer(Id).remove({ force: true })));
    await this.docker.pruneNetworks();
    await this.end('SIGTERM');
    ip('link', 'delete', this.link);
    ip('netns', 'delete', this.namespace);
    // one that was killed has left some
    const mounts = fs.readFileSync('/proc/self/mounts', 'utf8').split('\n');
    const left = mounts.flatMap((line) => line.split(' ')[1] ?? []).filter((at) => at.startsWith(`${this.folder}/`));
    for (const at of left.reverse()) execFileSync('umount', [at]);
    fs.rmSync(this.folder, { recursive: true, force: true });
  }

  private in(name: string): string {
    return path.join(this.folder, name);
  }
}

function ip(...args: string[]): void {
  execFileSync('ip', args);
}
