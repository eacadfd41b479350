import { spawn, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { root } from '../../../tools/instance';
import { instanceSecrets } from '../../../tools/secrets';
import { AUDIENCE, ISSUER } from '../../../tools/tokens';
import { e2eInstance } from './e2e-instance';
import { eventually, system } from './system';

/**
 * A second task-runner beside the instance's own one, at the same sidecar, with an environment of the test's choice: for
 * what no test may do to the one that the others use.
 */
export class TaskRunnerReplica {
  private constructor(
    readonly url: string,
    private readonly child: ChildProcess,
    private readonly logFile: string,
  ) {}

  static async start(env: Record<string, string>): Promise<TaskRunnerReplica> {
    const replica = await TaskRunnerReplica.spawn(env);
    await eventually('the replica is ready', () => replica.isReady());
    return replica;
  }

  /** Does not wait until it is ready: it may die before. */
  static async spawn(env: Record<string, string>): Promise<TaskRunnerReplica> {
    const secrets = instanceSecrets(e2eInstance(), {});
    const port = await freePort();
    const logFile = path.join(os.tmpdir(), `task-runner-replica-${port}.log`);
    const log = fs.openSync(logFile, 'w');
    const child = spawn(process.execPath, ['dist/services/task-runner/main.js'], {
      cwd: root,
      stdio: ['ignore', log, log],
      env: {
        ...process.env,
        APP_PORT: String(port),
        DAPR_HTTP_PORT: new URL(system().services['task-runner']?.daprHttpUrl ?? '').port,
        DAPR_API_TOKEN: secrets.daprApiToken,
        APP_API_TOKEN: secrets.appApiToken,
        JWT_SECRET: secrets.jwtSecret,
        JWT_ISSUER: ISSUER,
        JWT_AUDIENCE: AUDIENCE,
        INSTANCE: e2eInstance().label,
        ...env,
      },
    });
    fs.closeSync(log);
    return new TaskRunnerReplica(`http://127.0.0.1:${port}`, child, logFile);
  }

  isReady(): Promise<boolean> {
    return fetch(`${this.url}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
  }

  log(): string {
    return fs.readFileSync(this.logFile, 'utf8');
  }

  /** kill -9; what it printed stays until `stop`. */
  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  async stop(): Promise<void> {
    await this.end('SIGTERM');
    fs.rmSync(this.logFile, { force: true });
  }

  private async end(signal: NodeJS.Signals): Promise<void> {
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    const runs = this.child.exitCode === null && this.child.signalCode === null;
    if (runs && this.child.kill(signal)) await ended;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
