import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { sql } from './support/database';
import { call, eventually, tokenFor, type Answer } from './support/system';
import { TaskRunnerReplica } from './support/task-runner-replica';
import { stopTask, type Started } from './support/tasks';

/** Issue 5, point 5: limits on open tasks hold, however many ask at once of however many replicas, and whatever dies. */

jest.setTimeout(180_000);

const PLACES = 5;
const asAdmin = tokenFor(randomUUID(), 'admin');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'task-limits-'));
const env = { SERVICE_TYPES_FILE: path.join(folder, 'types.yaml') };
fs.writeFileSync(
  env.SERVICE_TYPES_FILE,
  `
limits: { tasks: 1000, tasksPerUser: ${PLACES} }
serviceTypes:
  demo:
    image: resource-manager/demo:1
    containerPort: 8080
    resources: { cpu: 0.1, memory: 64Mi, pids: 32 }
    capacity: { pool: local-cpu, units: 100 }
    readiness: { path: /healthz, timeoutSeconds: 60 }
`,
);

let replicas: TaskRunnerReplica[] = [];

beforeEach(async () => {
  await stopAllTasks();
  replicas = await Promise.all([TaskRunnerReplica.start(env), TaskRunnerReplica.start(env)]);
});
afterEach(async () => {
  await Promise.all(replicas.map((replica) => replica.stop()));
  await stopAllTasks();
  expect(await placesRows()).toEqual({ all: 0 });
});
afterAll(() => fs.rmSync(folder, { recursive: true }));

async function stopAllTasks(): Promise<void> {
  const { body } = await call('GET', 'task-runner/api/tasks?status=Running&limit=1000', { token: asAdmin });
  await Promise.all((body as { id: string }[]).map(({ id }) => stopTask(asAdmin, id)));
  await eventually('every task has ended', async () => (await openTasks())['all'] === 0, 60_000);
}

/** What is counted: in all under `all`, and of each user. */
async function placesRows(): Promise<Record<string, number>> {
  const rows = await sql<{ key: string; total: number }>(
    `SELECT key, (state_json(value) ->> 'total')::int AS total FROM state WHERE key LIKE 'task-runner||places%'`,
  );
  return Object.fromEntries(rows.map(({ key, total }) => [key.split(':')[1] ?? 'all', total]));
}

/** What there is, counted the slow way. */
async function openTasks(): Promise<Record<string, number>> {
  const rows = await sql<{ user_id: string; count: number }>(
    `SELECT user_id, count(*)::int AS count FROM tasks WHERE status NOT IN ('Stopped', 'Error') GROUP BY user_id`,
  );
  const all = rows.reduce((sum, { count }) => sum + count, 0);
  return { all, ...Object.fromEntries(rows.map((row) => [row.user_id, row.count])) };
}

function ask(user: string, nth: number): Promise<Answer> {
  return call('POST', `${replicas[nth % replicas.length]!.url}/api/tasks`, {
    token: tokenFor(user, 'user'),
    body: { userId: user, serviceType: 'demo' },
  });
}

test('when twenty are asked for at once of two replicas and five are allowed, then five start and fifteen get 429', async () => {
  const user = randomUUID();
  const answers = await Promise.all(Array.from({ length: 20 }, (_, nth) => ask(user, nth)));
  const refused = answers.filter(({ status }) => status === 429);
  expect(answers.filter(({ status }) => status === 201)).toHaveLength(PLACES);
  expect(refused).toHaveLength(20 - PLACES);
  for (const { body, headers } of refused) {
    expect(body).toMatchObject({ code: 'task.limit_reached', scope: 'user', limit: PLACES, open: PLACES });
    expect(headers.get('retry-after')).toBe('10');
  }
  expect(await placesRows()).toEqual({ all: PLACES, [user]: PLACES });
  // one place is free, and again twenty want it
  const { taskId } = answers.find(({ status }) => status === 201)!.body as Started;
  expect((await stopTask(asAdmin, taskId)).status).toBe(200);
  const again = await Promise.all(Array.from({ length: 20 }, (_, nth) => ask(user, nth)));
  expect(again.filter(({ status }) => status === 201)).toHaveLength(1);
  expect(again.filter(({ status }) => status === 429)).toHaveLength(19);
});

test('when a replica is killed with -9 while users start and stop, then what is counted is what there is', async () => {
  const users = Array.from({ length: 4 }, () => randomUUID());
  const until = Date.now() + 12_000;
  const live = async (user: string, nth: number): Promise<number> => {
    let started = 0;
    while (Date.now() < until) {
      // a killed one answers nothing
      const answer = await ask(user, nth).catch(() => undefined);
      if (answer?.status === 201) {
        started += 1;
        await stopTask(asAdmin, (answer.body as Started).taskId);
      } else await new Promise((resolve) => setTimeout(resolve, 200));
    }
    return started;
  };
  const storm = Promise.all(users.flatMap((user) => [live(user, 0), live(user, 1)]));
  for (let round = 0; round < 3; round += 1) {
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    const nth = round % 2;
    await replicas[nth]!.kill();
    replicas[nth] = await TaskRunnerReplica.start(env);
  }
  const started = await storm;
  expect(started.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(5);
  await eventually(
    'what is counted is what there is',
    async () => JSON.stringify(sorted(await placesRows())) === JSON.stringify(sorted(await openTasks())),
    60_000,
  );
});

function sorted(counts: Record<string, number>): [string, number][] {
  return Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1));
}
