// Slow: the database and the broker are away for 20 s each.
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import { runningPid, signal } from '../../tools/processes';
import { ROUTES } from '../architecture/route-tables';
import { sql } from './support/database';
import { e2eInstance } from './support/e2e-instance';
import { allReady, call, eventually, kill, tokenFor, type Answer } from './support/system';
import { containersOf, freeUnits, startTask } from './support/tasks';

/** Issue 3, H21: database, broker and `allocation` away. (Docker: task-faults.test.ts; the broker for long: broker-long-away.test.ts.) */

jest.setTimeout(180_000);

const AWAY_MS = 20_000;
/** Two calls of the sidecar, 10 s each, and their way. */
const LIMIT_MS = 25_000;
const admin = tokenFor(randomUUID(), 'admin');
const SERVICES = Object.keys(ROUTES);

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const pidsOfServices = (): (number | undefined)[] => SERVICES.map((appId) => runningPid(e2eInstance(), appId));

async function createPool(total: number): Promise<string> {
  const body = { name: `faults-${randomUUID()}`, resource_type: 'GPU', total_capacity: total, location: 'here' };
  const answer = await call('POST', 'resource-pool/resource_pools', { token: admin, body });
  expect(answer.status).toBe(201);
  return (answer.body as { id: string }).id;
}
const allocate = (poolId: string): Promise<Answer> =>
  call('POST', `allocation/resource_pools/${poolId}/allocations`, {
    token: admin,
    body: { service_id: randomUUID(), capacity: 1 },
  });
const release = (poolId: string, id: string): Promise<Answer> =>
  call('DELETE', `allocation/resource_pools/${poolId}/allocations/${id}`, { token: admin });
const availableOf = async (poolId: string): Promise<number> =>
  (
    (await call('GET', `resource-pool/resource_pools/${poolId}`, { token: admin })).body as {
      available_capacity: number;
    }
  ).available_capacity;
const remove = (poolId: string): Promise<Answer> =>
  call('DELETE', `resource-pool/resource_pools/${poolId}`, { token: admin });

/** Ids of the allocations of a pool whose release has become a usage record. */
async function recorded(poolId: string): Promise<string[]> {
  const rows = await sql<{ value: string }>(
    `SELECT convert_from(value, 'UTF8') AS value FROM state WHERE key LIKE 'blockchain-forwarder||usage:%' AND convert_from(value, 'UTF8') LIKE $1`,
    [`%${poolId}%`],
  );
  return rows.map(({ value }) => value);
}

afterEach(() => eventually('everything is ready again', allReady, 60_000));

test('PostgreSQL is away for 20 s: 503 with Retry-After everywhere, nothing half done, and all is well again without a restart', async () => {
  const poolId = await createPool(50);
  const held = (await allocate(poolId)).body as { id: string };
  const pids = pidsOfServices();
  const reads: [string, string][] = [
    ['GET', 'resource-pool/resource_pools'],
    ['GET', `resource-pool/resource_pools/${poolId}`],
    ['GET', `allocation/resource_pools/${poolId}/allocations`],
    ['GET', 'task-runner/api/tasks'],
    ['GET', 'blockchain-forwarder/api/usage'],
  ];
  const outage = kill('postgres', { hold: true });
  const began = Date.now();
  const seen = new Map<string, number[]>();
  let granted = 0;
  try {
    await pause(500);
    while (Date.now() - began < AWAY_MS) {
      const answers = await Promise.all([
        ...reads.map(async ([method, to]) => [`${method} ${to}`, await call(method, to, { token: admin })] as const),
        allocate(poolId).then((answer) => ['POST allocation', answer] as const),
        createPoolAnswer().then((answer) => ['POST pool', answer] as const),
        call('GET', 'allocation/readyz').then((answer) => ['GET /readyz', answer] as const),
      ]);
      for (const [what, answer] of answers) {
        seen.set(what, [...(seen.get(what) ?? []), answer.status]);
        if (what === 'POST allocation' && answer.status === 201) granted += 1;
        if (answer.status === 503) expect([what, Number(answer.headers.get('retry-after')) > 0]).toEqual([what, true]);
        if (answer.status === 503 && what !== 'GET /readyz')
          expect((answer.body as { code: string }).code).toMatch(/unavailable$/);
      }
      await pause(1_000);
    }
  } finally {
    outage.release();
  }
  // the first round may still have met the database
  expect([...seen].filter(([, statuses]) => statuses.some((status) => status !== 503))).toEqual([]);
  await eventually('everything is ready again', allReady, 60_000);
  expect(pidsOfServices()).toEqual(pids);
  expect(await availableOf(poolId)).toBe(49 - granted);
  expect((await release(poolId, held.id)).status).toBe(204);
  expect((await allocate(poolId)).status).toBe(201);
});

function createPoolAnswer(): Promise<Answer> {
  const body = { name: `faults-${randomUUID()}`, resource_type: 'GPU', total_capacity: 1, location: 'here' };
  return call('POST', 'resource-pool/resource_pools', { token: admin, body });
}

/** The postmaster and its children: they stand still, and connections stay open. */
function stopPostgres(): { goOn: () => void } {
  const postmaster = runningPid(e2eInstance(), 'postgres')!;
  // first, so that no child is born afterwards
  signal(postmaster, 'SIGSTOP');
  const children = fs.readFileSync(`/proc/${postmaster}/task/${postmaster}/children`, 'utf8').trim().split(' ');
  const pids = [...children.map(Number), postmaster];
  for (const pid of pids) signal(pid, 'SIGSTOP');
  return { goOn: () => pids.forEach((pid) => signal(pid, 'SIGCONT')) };
}

test('PostgreSQL hangs for 20 s: each answer is a 503 within the time limit or comes late, nothing is half done, and all is well again', async () => {
  const poolId = await createPool(50);
  const held = (await allocate(poolId)).body as { id: string };
  const pids = pidsOfServices();
  const asked: Promise<{ what: string; answer: Answer; ms: number }>[] = [];
  const ask = (what: string, sending: Promise<Answer>): void => {
    const sent = Date.now();
    asked.push(sending.then((answer) => ({ what, answer, ms: Date.now() - sent })));
  };
  const hanging = stopPostgres();
  try {
    for (let second = 0; second < AWAY_MS / 1_000; second += 1) {
      ask('read', call('GET', `resource-pool/resource_pools/${poolId}`, { token: admin }));
      ask('list', call('GET', 'blockchain-forwarder/api/usage', { token: admin }));
      ask('allocate', allocate(poolId));
      await pause(1_000);
    }
    ask('release', release(poolId, held.id));
  } finally {
    hanging.goOn();
  }
  const answers = await Promise.all(asked);
  const good: Record<string, number> = { read: 200, list: 200, allocate: 201, release: 204 };
  for (const { what, answer, ms } of answers) {
    expect([what, answer.status]).toEqual([what, answer.status === 503 ? 503 : good[what]]);
    if (answer.status === 503) expect([what, Number(answer.headers.get('retry-after')) > 0]).toEqual([what, true]);
    expect([what, ms < LIMIT_MS]).toEqual([what, true]);
  }
  expect(answers.filter(({ answer }) => answer.status === 503).length).toBeGreaterThan(10);
  await eventually('everything is ready again', allReady, 60_000);
  expect(pidsOfServices()).toEqual(pids);

  // a 503 of a write leaves open whether it was done, but not whether it was done by half
  const { body } = await call('GET', `allocation/resource_pools/${poolId}/allocations?limit=100`, { token: admin });
  const listed = (body as { id: string }[]).map(({ id }) => id);
  expect(await availableOf(poolId)).toBe(50 - listed.length);
  const granted = answers.filter(({ what, answer }) => what === 'allocate' && answer.status === 201);
  expect(granted.filter(({ answer }) => !listed.includes((answer.body as { id: string }).id))).toEqual([]);
  for (const id of listed) expect((await release(poolId, id)).status).toBe(204);
  expect(await availableOf(poolId)).toBe(50);
});

test('JetStream is away for 20 s: requests go on, and their events follow, each once', async () => {
  const poolId = await createPool(10);
  const pids = pidsOfServices();
  const outage = kill('nats', { hold: true });
  const began = Date.now();
  const released: string[] = [];
  try {
    while (Date.now() - began < AWAY_MS) {
      const made = await allocate(poolId);
      expect(made.status).toBe(201);
      const { id } = made.body as { id: string };
      expect((await release(poolId, id)).status).toBe(204);
      released.push(id);
      expect((await call('GET', 'allocation/readyz')).status).toBe(200);
      await pause(500);
    }
    expect(await recorded(poolId)).toEqual([]);
  } finally {
    outage.release();
  }
  expect(released.length).toBeGreaterThan(3);
  await eventually(
    'each release has become a usage record',
    async () => {
      const records = await recorded(poolId);
      return released.every((id) => records.some((record) => record.includes(id)));
    },
    90_000,
  );
  expect(await recorded(poolId)).toHaveLength(released.length);
  expect(pidsOfServices()).toEqual(pids);
  await eventually('the outbox is empty', async () => {
    const [row] = await sql<{ count: string }>(`SELECT count(*) FROM state WHERE key LIKE 'allocation||outbox:%'`);
    return row?.count === '0';
  });
  expect((await remove(poolId)).status).toBe(204);
});

test('a sidecar is killed: 503 or no answer for a moment, then all is well', async () => {
  const poolId = await createPool(5);
  kill('daprd-allocation');
  const answer = await allocate(poolId);
  expect([201, 503]).toContain(answer.status);
  await eventually('allocation is ready again', allReady, 60_000);
  expect((await allocate(poolId)).status).toBe(201);
});

test('allocation is wholly away: pools and starts of tasks answer 503 with Retry-After, nothing is held for them, and when it is back what was begun is carried on', async () => {
  const [poolId, doomed] = [await createPool(5), await createPool(5)];
  const user = randomUUID();
  const [free, containers] = [await freeUnits('local-cpu'), await containersOf()];
  const parts = ['allocation', 'allocation-2', 'daprd-allocation', 'daprd-allocation-2'];
  const outages = parts.map((part) => kill(part, { hold: true }));
  try {
    const answers = await Promise.all([
      call('GET', 'resource-pool/resource_pools', { token: admin }),
      call('GET', `resource-pool/resource_pools/${poolId}`, { token: admin }),
      remove(doomed),
      startTask(tokenFor(user, 'user'), user, 'demo'),
    ]);
    const told = answers.map(({ status, headers }) => [status, Number(headers.get('retry-after')) > 0]);
    expect(told).toEqual(answers.map(() => [503, true]));
    expect((await call('GET', 'task-runner/api/tasks', { token: admin })).status).toBe(200);
  } finally {
    for (const outage of outages) outage.release();
  }
  await eventually('everything is ready again', allReady, 60_000);
  // where task-runner knew the pool still, whether capacity was taken is not known at first: then there is a task, in Error
  await eventually('the task has come to its end', async () => {
    const { body } = await call('GET', `task-runner/api/tasks?userId=${user}`, { token: admin });
    return (body as { status: string }[]).every(({ status }) => status === 'Error');
  });
  expect([await freeUnits('local-cpu'), await containersOf()]).toEqual([free, containers]);
  await eventually(
    'the pool is deleted after all',
    async () => (await call('GET', `resource-pool/resource_pools/${doomed}`, { token: admin })).status === 404,
    60_000,
  );
  const made = await allocate(poolId);
  expect(made.status).toBe(201);
  expect((await release(poolId, (made.body as { id: string }).id)).status).toBe(204);
  const again = await startTask(tokenFor(user, 'user'), user, 'demo');
  expect(again.status).toBe(201);
  await call('DELETE', `task-runner/api/tasks/${(again.body as { taskId: string }).taskId}`, { token: admin });
  expect((await remove(poolId)).status).toBe(204);
});
