// Slow: whole systems are started and stopped.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { type DevInfo } from '../../../tools/dev-info';
import { root } from '../../../tools/instance';
import { commandLine, runningPid, signal } from '../../../tools/processes';
import { until } from '../../../tools/progress';
import { DockerRelay } from '../support/docker-relay';
import { E2E_PORT_OFFSET } from '../support/e2e-instance';
import { listeningAddresses, processesOf } from '../support/processes';
import { cleanInstance, runStart, untilReady, type StartTool } from '../support/start-tool';

// an instance of its own, beside the one that the other tests use
const ENV = { RM_INSTANCE: 'start-stop', RM_PORT_OFFSET: String(E2E_PORT_OFFSET + 1000) };
const STOP_MS = 10_000;

jest.setTimeout(120_000);

let tool: StartTool;
let info: DevInfo;
let owner: ChildProcess;

async function start(env: Record<string, string> = {}): Promise<number> {
  const began = Date.now();
  tool = runStart({ ...ENV, ...env });
  info = await untilReady(tool, 90_000);
  return (Date.now() - began) / 1000;
}

/** Asks npm, and so the tool, to stop and says how long it took, in ms. */
async function stopBy(name: NodeJS.Signals): Promise<number> {
  const began = Date.now();
  tool.process.kill(name);
  expect(await tool.ended).toBe(0);
  return Date.now() - began;
}

const get = (url: string, token: string): Promise<Response> =>
  fetch(url, { headers: { authorization: `Bearer ${token}` } });

async function poolNames(): Promise<string[]> {
  const response = await get(`${info.services['resource-pool']?.url}/resource_pools`, info.tokens.admin);
  expect(response.status).toBe(200);
  return ((await response.json()) as { name: string }[]).map(({ name }) => name).sort();
}

async function run(env: Record<string, string>): Promise<{ code: number | null; output: string }> {
  const other = runStart({ ...ENV, ...env }, { bare: true });
  const code = await other.ended;
  return { code, output: other.output() };
}

describe('npm start', () => {
  beforeAll(() => cleanInstance(ENV));
  afterAll(async () => {
    tool.process.kill('SIGTERM');
    await tool.ended;
    cleanInstance(ENV);
  });

  test('with Dapr cached, the system is ready within 30 s, from nothing', async () => {
    const seconds = await start();
    console.log(`ready after ${seconds.toFixed(1)} s (first start)`);
    expect(seconds).toBeLessThanOrEqual(30);
  });

  test('dev.json and the console tell where everything is', async () => {
    expect(Object.keys(info.services).sort()).toEqual([
      'allocation',
      'blockchain-forwarder',
      'resource-pool',
      'task-runner',
    ]);
    expect(Object.keys(info.tokens).sort()).toEqual(['admin', 'owner', 'service', 'user']);
    expect(fs.statSync(path.join(info.runDir, 'dev.json')).mode & 0o077).toBe(0);
    for (const { url, daprHttpUrl } of Object.values(info.services)) {
      expect((await fetch(`${url}/livez`)).status).toBe(200);
      expect((await fetch(`${url}/openapi.json`)).status).toBe(200);
      expect((await fetch(`${url}/docs`)).status).toBe(200);
      const unknown = await fetch(`${daprHttpUrl}/v1.0/metadata`);
      expect(unknown.status).toBe(401);
      const known = await fetch(`${daprHttpUrl}/v1.0/metadata`, { headers: { 'dapr-api-token': info.daprApiToken } });
      expect(known.status).toBe(200);
      expect(tool.output()).toContain(url);
    }
    const code = await fetch(info.evm!.rpcUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_getCode', params: [info.evm!.contract, 'latest'] }),
    });
    expect(((await code.json()) as { result: string }).result.length).toBeGreaterThan(10);
    expect(tool.output()).toContain(info.tokens.user);
  });

  test('the pool that the shipped service types take from is there', async () => {
    expect(await poolNames()).toEqual(['local-cpu']);
  });

  test('nothing listens beyond loopback', () => {
    const addresses = listeningAddresses([...processesOf(info.runDir), ...Object.values(info.pids)]);
    // database, broker, chain; four services; four sidecars with four ports each
    expect(addresses.length).toBeGreaterThanOrEqual(3 + 4 + 16);
    expect(addresses.filter((address) => !address.startsWith('127.'))).toEqual([]);
  });

  test('npm run token mints a token that the services take', async () => {
    const sub = '7d0a1b61-7a0a-4f0e-9d3c-0f3b7f3f6a10';
    const mint = (...args: string[]) =>
      spawnSync(process.execPath, ['tools/run.mjs', 'token', ...args], {
        cwd: root,
        env: { ...process.env, ...ENV },
        encoding: 'utf8',
      });
    const { stdout } = mint('--sub', sub, '--role', 'admin', '--ttl', '5m');
    const claims = JSON.parse(Buffer.from(stdout.split('.')[1] ?? '', 'base64url').toString()) as Record<
      string,
      unknown
    >;
    expect(claims).toMatchObject({ sub, roles: ['admin'] });
    expect(Number(claims['exp']) - Number(claims['iat'])).toBe(300);
    expect((await get(`${info.services['resource-pool']?.url}/resource_pools`, stdout.trim())).status).toBe(200);

    const refused = mint('--sub', 'me', '--role', 'admin');
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('--sub must be a UUID');
  });

  test('when it runs already, a second one says so and ends, and clean refuses', async () => {
    const { code, output } = await run({});
    expect(code).toBe(1);
    expect(output).toContain('is running already');
    expect(() => cleanInstance(ENV)).toThrow('The system is running');
    expect((await fetch(`${info.services.allocation?.url}/livez`)).status).toBe(200);
  });

  test('when the start tool is killed with -9, the next start ends what it left and finds the same data', async () => {
    const before = info;
    const pid = runningPid(tool.instance, 'start');
    if (pid === undefined) throw new Error('the start tool does not run');
    signal(pid, 'SIGKILL');
    await tool.ended;
    fs.rmSync(path.join(info.runDir, 'dev.json'));
    const seconds = await start();
    console.log(`ready after ${seconds.toFixed(1)} s (second start)`);
    expect(tool.output()).toContain('left behind');
    expect(Object.values(before.pids).filter((pid) => Object.values(info.pids).includes(pid))).toEqual([]);
    expect(await poolNames()).toEqual(['local-cpu']);
    expect(info.evm).toEqual(before.evm);
  });

  test.each(['SIGTERM', 'SIGINT'] as const)(
    '%s stops everything within 10 s and leaves nothing behind',
    async (name) => {
      if (runningPid(tool.instance, 'start') === undefined) await start();
      const parts = Object.entries(info.pids);
      expect(parts.length).toBeGreaterThanOrEqual(12);
      const ms = await stopBy(name);
      console.log(`stopped after ${(ms / 1000).toFixed(1)} s`);
      expect(ms).toBeLessThan(STOP_MS);
      expect(processesOf(info.runDir)).toEqual([]);
      // by name; a process that has ended and waits to be reaped by init has no command line any more
      expect(parts.filter(([, pid]) => commandLine(pid) !== undefined)).toEqual([]);
      expect(fs.existsSync(path.join(info.runDir, 'dev.json'))).toBe(false);
    },
  );

  test.each([
    ['SIGTERM comes', () => tool.process.kill('SIGTERM')],
    ['the process that it is to end with has ended', () => owner.kill()],
  ])('when %s while it is starting, nothing is left behind', async (_what, happens) => {
    owner = spawn('sleep', ['300']);
    tool = runStart({ ...ENV, RM_ENDS_WITH: String(owner.pid) });
    await until(() => tool.output().includes('PostgreSQL: ready'), 30_000);
    expect(tool.output()).toContain('PostgreSQL: ready');
    happens();
    expect(await tool.ended).toBe(0);
    owner.kill();
    // the start tool waits for what it started; what those had started themselves may need a moment more
    const left = () => processesOf(tool.instance.runDir).map((pid) => commandLine(pid) ?? pid);
    await until(() => left().length === 0, 2_000);
    expect(left()).toEqual([]);
  });

  test('without a Docker Engine everything but tasks works, and tasks answer 503; when one comes, they work', async () => {
    const relay = new DockerRelay();
    await start({ DOCKER_HOST: relay.dockerHost });
    expect(tool.output()).toContain('no engine answers, so tasks answer 503');
    expect(await poolNames()).toEqual(['local-cpu']);
    const startTask = (): Promise<Response> =>
      fetch(`${info.services['task-runner']?.url}/api/tasks`, {
        method: 'POST',
        headers: { authorization: `Bearer ${info.tokens.user}`, 'content-type': 'application/json' },
        body: JSON.stringify({ userId: '00000000-0000-4000-8000-000000000004', serviceType: 'demo' }),
      });
    const response = await startTask();
    expect({ status: response.status, body: await response.json() }).toMatchObject({
      status: 503,
      body: { code: 'runtime.unavailable' },
    });
    expect(response.headers.get('retry-after')).not.toBeNull();

    await relay.start();
    const prepared = await until(() => tool.output().includes('Docker and the demo image: ready, image'), 30_000);
    expect([prepared, (await startTask()).status]).toEqual([true, 201]);
    await stopBy('SIGTERM');
    await relay.remove();
  });

  test('when a port is taken, one sentence names it and the cure', async () => {
    const port = 8102 + Number(ENV.RM_PORT_OFFSET);
    const squatter = net.createServer().listen(port, '127.0.0.1');
    try {
      const { code, output } = await run({});
      expect(code).toBe(1);
      expect(output).toContain(`Port ${port} on 127.0.0.1, which allocation needs, is taken`);
      expect(output).toContain('stop that program, or start with RM_PORT_OFFSET');
      expect(processesOf(tool.instance.runDir)).toEqual([]);
    } finally {
      squatter.close();
    }
  });

  test('with neither Dapr nor Go, one sentence says what to install', async () => {
    const bare = fs.mkdtempSync(path.join(os.tmpdir(), 'bare-'));
    // a PATH of what every system has, whatever else is installed beside it
    for (const name of ['sh', 'id', 'setpriv', 'date', 'sleep', 'mkdir', 'rm', 'locale']) {
      const file = spawnSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).stdout.trim();
      if (file.startsWith('/')) fs.symlinkSync(file, path.join(bare, name));
    }
    const { code, output } = await run({ PATH: bare, HOME: bare, XDG_CACHE_HOME: bare, DAPR_RUNTIME_PATH: bare });
    expect(code).toBe(1);
    expect(output).toMatch(/daprd is not installed, and there is no Go .*install Dapr \(https:.*or Go 1\.\d+/);
    expect(processesOf(tool.instance.runDir)).toEqual([]);
    fs.rmSync(bare, { recursive: true });
  });

  test('clean removes the data', () => {
    cleanInstance(ENV);
    expect(fs.existsSync(tool.instance.runDir) ? fs.readdirSync(tool.instance.runDir) : []).toEqual([]);
  });
});
