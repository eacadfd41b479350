import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import Docker from 'dockerode';
import type { DevInfo } from '../../../tools/dev-info';
import { currentInstance, root } from '../../../tools/instance';
import { startPostgres } from '../../../tools/postgres';
import { runningPid, signal, stopProcesses } from '../../../tools/processes';
import { copyDatabase } from '../support/copy-database';
import { E2E_PORT_OFFSET } from '../support/e2e-instance';
import { processesOf } from '../support/processes';
import { cleanInstance, runStart, stopInstanceTool, untilReady, type StartTool } from '../support/start-tool';
import { eventually } from '../support/system';

/**
 * Issue 7, 1, the operator's half, as docs/operating.md tells it: one system with what it holds through a power loss, another
 * PostgreSQL, another policy and another catalogue.
 * Slow: five starts of the whole system.
 */

jest.setTimeout(180_000);

const INSTANCE = { RM_INSTANCE: 'operator', RM_PORT_OFFSET: String(E2E_PORT_OFFSET + 540) };
const NEW_DATABASE = { RM_INSTANCE: 'operator-database', RM_PORT_OFFSET: String(E2E_PORT_OFFSET + 560) };
const instance = currentInstance({ ...process.env, ...INSTANCE });
const databaseInstance = currentInstance({ ...process.env, ...NEW_DATABASE });
const folder = path.join(root, '.run', 'operator-files');
const policyFile = path.join(folder, 'policy.csv');
const typesFile = path.join(folder, 'service-types.yaml');

let env: Record<string, string> = {
  ...INSTANCE,
  POLICY_FILE: policyFile,
  SERVICE_TYPES_FILE: typesFile,
  LEDGER_BATCH_AGE_MS: '500',
};
let tool: StartTool;
let info: DevInfo;

async function start(): Promise<void> {
  tool = runStart(env);
  info = await untilReady(tool, 120_000);
}

/** Everything of the instance at once, as when the plug is pulled; the engine and its containers lose their power too. */
async function losePower(): Promise<void> {
  const startPid = runningPid(instance, 'start');
  for (const pid of [...(startPid === undefined ? [] : [startPid]), ...processesOf(instance.runDir)]) {
    signal(pid, 'SIGKILL');
  }
  await tool.ended;
  fs.rmSync(path.join(instance.runDir, 'dev.json'));
  const ours = { label: [`resource-manager.instance=${instance.label}`] };
  for (const { Id } of await new Docker().listContainers({ filters: ours })) await new Docker().getContainer(Id).kill();
}

async function ask<T>(to: string, token: string, method = 'GET', body?: unknown): Promise<{ status: number; body: T }> {
  const [appId = '', ...rest] = to.split('/');
  const response = await fetch(`${info.services[appId]!.url}/${rest.join('/')}`, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: (text === '' ? undefined : JSON.parse(text)) as T };
}

/** A command of tools/run.mjs on this instance. */
function command(...args: string[]): { code: number | null; printed: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['tools/run.mjs', ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    encoding: 'utf8',
  });
  return { code: status, printed: stdout + stderr };
}

async function expectCleanBooks(): Promise<void> {
  expect(command('audit')).toEqual({ code: 0, printed: expect.stringContaining('clean') as unknown });
  await eventually('the ledger is anchored', () => command('audit:ledger').code === 0, 40_000);
}

interface Pool {
  id: string;
  name: string;
  available_capacity: number;
}
const pools = async (): Promise<Pool[]> =>
  (await ask<Pool[]>('resource-pool/resource_pools', info.tokens.admin)).body.sort((a, b) =>
    a.name < b.name ? -1 : 1,
  );
const chainState = path.join(instance.runDir, 'chain', 'state.json');

let poolId: string;
let heldId: string;
let taskId: string;

beforeAll(async () => {
  cleanInstance(INSTANCE);
  cleanInstance(NEW_DATABASE);
  fs.mkdirSync(folder, { recursive: true });
  fs.copyFileSync(path.join(root, 'shared/authz/policy.csv'), policyFile);
  fs.copyFileSync(path.join(root, 'services/task-runner/service-types.yaml'), typesFile);
  await start();
  // the chain as it is before any anchor
  await eventually('the contract is on the disk', () => fs.existsSync(chainState));
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  fs.copyFileSync(chainState, `${chainState}.early`);

  poolId = (
    await ask<{ id: string }>('resource-pool/resource_pools', info.tokens.owner, 'POST', {
      name: 'a100',
      resource_type: 'GPU',
      total_capacity: 8,
      location: 'rack-1',
    })
  ).body.id;
  const allocations = `allocation/resource_pools/${poolId}/allocations`;
  const service_id = randomUUID();
  heldId = (await ask<{ id: string }>(allocations, info.tokens.service, 'POST', { service_id, capacity: 3 })).body.id;
  const { id } = (await ask<{ id: string }>(allocations, info.tokens.service, 'POST', { service_id, capacity: 2 }))
    .body;
  expect((await ask(`${allocations}/${id}`, info.tokens.service, 'DELETE')).status).toBe(204);
});
afterAll(async () => {
  await stopInstanceTool(instance);
  await stopProcesses(databaseInstance, ['postgres'], 10_000);
  cleanInstance(INSTANCE);
  cleanInstance(NEW_DATABASE);
  fs.rmSync(folder, { recursive: true });
});

test('a new user has a token, and starts a task with it', async () => {
  const sub = randomUUID();
  const { code, printed } = command('token', '--sub', sub, '--role', 'user', '--ttl', '1h');
  expect(code).toBe(0);
  const started = await ask<{ taskId: string }>('task-runner/api/tasks', printed.trim(), 'POST', {
    userId: sub,
    serviceType: 'demo',
  });
  expect(started).toMatchObject({ status: 201 });
  taskId = started.body.taskId;
});

test('one task’s story is found in the logs by its id, and by its trace in what others did for it', () => {
  const lines = ['task-runner', 'allocation'].flatMap((name) => logOf(name).split('\n'));
  const story = lines.filter((line) => line.includes(taskId));
  expect(story.join('\n')).toContain(`task ${taskId} is Running`);
  const { trace_id: trace } = JSON.parse(story[0]!) as { trace_id: string };
  const done = lines.filter((line) => line.includes(trace)).join('\n');
  for (const activity of ['POST /api/tasks', 'POST /internal/allocations']) expect(done).toContain(activity);
});

test('after a power loss, also of a chain that forgets its last blocks, the next start goes on with the same books', async () => {
  await eventually('the use is final on the chain', async () => {
    const { body } = await ask<{ state: string }[]>('blockchain-forwarder/api/usage', info.tokens.admin);
    return body.length > 0 && body.every(({ state }) => state === 'finalized');
  });
  const before = info;
  await losePower();
  fs.copyFileSync(`${chainState}.early`, chainState);
  await start();

  expect(tool.output()).toContain('has forgotten its last anchors');
  expect(info.evm?.contract).not.toBe(before.evm?.contract);
  await eventually('the task that lost its container has ended, and given back what it held', async () => {
    const { body } = await ask<{ status: string }>(`task-runner/api/tasks/${taskId}`, info.tokens.admin);
    return body.status === 'Error' || body.status === 'Stopped';
  });
  expect(await pools()).toMatchObject([
    { name: 'a100', available_capacity: 5 },
    { name: 'local-cpu', available_capacity: expect.any(Number) as unknown },
  ]);
  await expectCleanBooks();
});

test('on another PostgreSQL it is the same system', async () => {
  const before = await pools();
  // nothing else writes while the rows are copied
  await stopInstanceTool(instance);
  tool = runStart({ ...env, RM_APPS: 'resource-pool' });
  const old = await untilReady(tool, 60_000);
  fs.mkdirSync(databaseInstance.runDir, { recursive: true });
  const { url } = await startPostgres(databaseInstance, 'of-the-new-one');
  expect(await copyDatabase(old.databaseUrl, url)).toBeGreaterThan(10);
  await stopInstanceTool(instance);

  env = { ...env, DATABASE_URL: url };
  await start();
  expect(info.databaseUrl).toBe(url);
  expect(await pools()).toEqual(before);
  expect(
    (await ask(`allocation/resource_pools/${poolId}/allocations/${heldId}`, info.tokens.service, 'DELETE')).status,
  ).toBe(204);
  expect(await pools()).toMatchObject([{ available_capacity: 8 }, {}]);
  await expectCleanBooks();
});

test('a changed policy is in force within seconds, a faulty one changes nothing', async () => {
  const candidates = 'allocation/allocation_candidates?resource_type=GPU&capacity=1';
  expect((await ask(candidates, info.tokens.user)).status).toBe(403);
  fs.appendFileSync(policyFile, '\np, user, allocation_candidates, allocation_candidate:list\n');
  await eventually('the user may', async () => (await ask(candidates, info.tokens.user)).status === 200, 5_000);
  fs.writeFileSync(policyFile, 'p, user\n');
  await eventually(
    'the log tells of it',
    () => logOf('allocation').includes('the changed policy file is faulty'),
    5_000,
  );
  expect((await ask(candidates, info.tokens.user)).status).toBe(200);
});

test('a service type that is added is offered after the next start; a faulty file is named', async () => {
  await stopInstanceTool(instance);
  fs.copyFileSync(path.join(root, 'shared/authz/policy.csv'), policyFile);
  const shipped = fs.readFileSync(typesFile, 'utf8');
  const added = shipped.replace(/^ {2}demo:\n(?: {4}.*\n)+/m, (demo) => demo + demo.replace('demo:', 'second-demo:'));
  fs.writeFileSync(typesFile, added.replace(/^ceilings:.*/m, '$&\nnonsense: 1'));
  const refused = runStart(env, { bare: true });
  expect(await refused.ended).toBe(1);
  expect(refused.output()).toMatch(/nonsense/);

  fs.writeFileSync(typesFile, added);
  await start();
  const { body } = await ask<{ serviceType: string }[]>('task-runner/api/service-types', info.tokens.user);
  expect(JSON.stringify(body)).toContain('second-demo');
});

const logOf = (name: string): string => fs.readFileSync(path.join(instance.runDir, 'logs', `${name}.log`), 'utf8');
