import fs from 'node:fs';
import path from 'node:path';
import { Client } from 'pg';
import type { DevInfo } from '../../../tools/dev-info';
import { pidDir, runningPid, signal } from '../../../tools/processes';
import { instanceSecrets } from '../../../tools/secrets';
import { mintToken } from '../../../tools/tokens';
import type { Answer } from './system';
import { cleanInstance, runStart, stopInstanceTool, untilReady, type StartTool } from './start-tool';

/** A whole system beside the e2e instance, for what no test may do to the one that the others use. */
export class OwnSystem {
  private constructor(
    readonly info: DevInfo,
    private readonly tool: StartTool,
    private readonly env: Record<string, string>,
  ) {}

  /** @param env RM_INSTANCE and RM_PORT_OFFSET, and what its parts are to know */
  static async start(env: Record<string, string>): Promise<OwnSystem> {
    cleanInstance(env);
    const tool = runStart(env);
    return new OwnSystem(await untilReady(tool, 120_000), tool, env);
  }

  async stop(): Promise<void> {
    await stopInstanceTool(this.tool.instance);
    await this.tool.ended;
    cleanInstance(this.env);
  }

  /** kill -9, as `kill` of system.ts. */
  kill(name: string, options: { hold?: boolean } = {}): { release: () => void } {
    const hold = path.join(this.info.runDir, 'hold', name);
    if (options.hold) {
      fs.mkdirSync(path.dirname(hold), { recursive: true });
      fs.writeFileSync(hold, '');
    }
    const pid = runningPid(this.tool.instance, name);
    if (pid === undefined) {
      throw new Error(`${name} does not run; known: ${fs.readdirSync(pidDir(this.tool.instance)).join(', ')}`);
    }
    signal(pid, 'SIGKILL');
    return { release: () => fs.rmSync(hold, { force: true }) };
  }

  async sql<T extends Record<string, unknown>>(text: string, params: unknown[] = []): Promise<T[]> {
    const client = new Client({ connectionString: this.info.databaseUrl });
    // the database may be killed under a query: the query itself says so
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query<T>(text, params)).rows;
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /** Rows of a service whose key begins so, parsed. */
  async rows<T>(appId: string, prefix: string): Promise<T[]> {
    const found = await this.sql<{ value: T }>(
      `SELECT convert_from(value, 'UTF8')::json AS value FROM state WHERE key LIKE $1`,
      [`${appId}||${prefix}%`],
    );
    return found.map(({ value }) => value);
  }

  token(sub: string, ...roles: string[]): string {
    return mintToken(instanceSecrets(this.tool.instance, {}), sub, roles, 3600);
  }

  async get(to: string, token: string): Promise<Pick<Answer, 'status' | 'body'>> {
    const [appId = '', ...rest] = to.split('/');
    const response = await fetch(`${this.info.services[appId]!.url}/${rest.join('/')}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    return { status: response.status, body: await response.json() };
  }

  log(name: string): string {
    return fs.readFileSync(path.join(this.info.runDir, 'logs', `${name}.log`), 'utf8');
  }

  get environment(): Record<string, string> {
    return this.env;
  }
}
