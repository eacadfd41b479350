import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { DaprTaskStore } from '../../services/task-runner/adapters/dapr-task-store';
import { listStatement } from '../../services/task-runner/adapters/task-list';
import { toTaskRow } from '../../services/task-runner/adapters/task-row';
import { buildTask } from '../../services/task-runner/test/support/build';
import { describeTaskList } from '../../services/task-runner/test/task-list.contract';
import { keysetOf, type TaskQuery } from '../../services/task-runner/ports/task-store';
import { sidecarOf } from './support/sidecars';
import { system } from './support/system';

/**
 * Issue 5, point 8: the history of tasks on the real state store and PostgreSQL.
 * Slow: a hundred thousand tasks are written and read.
 */

jest.setTimeout(300_000);

const sidecar = sidecarOf('task-runner');

describeTaskList('Dapr', () => new DaprTaskStore(sidecar, () => undefined), 8);

describe('at scale', () => {
  const TASKS = 100_000;
  const heavyUser = randomUUID();
  const lightUser = randomUUID();
  /** Tells the rows of this test, which no service looks after: none is open. All are newer than those of other tests. */
  const poolId = randomUUID();
  let database: Client;

  beforeAll(async () => {
    database = new Client({ connectionString: system().databaseUrl });
    await database.connect();
    const row = { ...toTaskRow(buildTask({ poolId })), open: false };
    await database.query(
      `INSERT INTO state (key, value)
       SELECT 'task-runner||task:' || id, convert_to(($1::jsonb || jsonb_build_object(
                'id', id, 'createdAt', to_char(timestamp '2030-01-01' + n * interval '1 minute', 'YYYY-MM-DD"T"HH24:MI:SS".000Z"'),
                'userId', CASE WHEN n % 2 = 0 THEN $2::text WHEN n % 1000 = 1 THEN $3 ELSE '00000000-0000-4000-8000-' || lpad((n % 500)::text, 12, '0') END,
                'serviceType', CASE WHEN n % 10 = 0 THEN 'jupyter' ELSE 'demo' END,
                'status', CASE WHEN n % 5000 = 0 THEN 'Running' WHEN n % 50 = 0 THEN 'Error' ELSE 'Stopped' END))::text, 'UTF8')
       FROM (SELECT n, gen_random_uuid()::text AS id FROM generate_series(1, ${TASKS}) AS n) AS made`,
      [JSON.stringify(row), heavyUser, lightUser],
    );
    await database.query('VACUUM ANALYZE state');
  });
  afterAll(async () => {
    await database.query(
      `DELETE FROM state WHERE key LIKE 'task-runner||task:%' AND state_json(value) ->> 'poolId' = $1`,
      [poolId],
    );
    await database.query('VACUUM ANALYZE state');
    await database.end();
  });

  const after = { at: '2030-02-01T00:00:00.000Z', id: randomUUID() };
  const queries: [string, Omit<TaskQuery, 'limit'>][] = [
    ['all', {}],
    ['all, from the middle', { after }],
    ['all, back from the middle', { before: after }],
    ['of a user with half of all tasks', { userId: heavyUser }],
    ['of a user with few', { userId: lightUser }],
    ['of a user, back', { userId: heavyUser, before: after }],
    ['what a user has running', { userId: heavyUser, status: ['Running'] }],
    ['of a user, of a type', { userId: heavyUser, serviceType: 'demo' }],
    ['in a rare state', { status: ['Running'] }],
    ['in a common state', { status: ['Stopped'] }],
    ['in a state that none has', { status: ['Stopping'] }],
    ['in any of three states', { status: ['Stopped', 'Error', 'Running'] }],
    ['of a type', { serviceType: 'jupyter' }],
    ['of a type that there is not', { serviceType: 'gone' }],
    ['of a type, in a rare state', { serviceType: 'jupyter', status: ['Running', 'Error'] }],
    ['of a time', { from: '2030-02-01T00:00:00.000Z', to: '2030-02-02T00:00:00.000Z' }],
    ['of a user and a time', { userId: heavyUser, from: '2030-02-01T00:00:00.000Z', to: '2030-02-02T00:00:00.000Z' }],
  ];

  test.each(queries)('when a page is listed %s, then only what it shows is read, by an index', async (_name, query) => {
    const { sql, params } = listStatement({ ...query, limit: 101 });
    const explain = `EXPLAIN (ANALYZE, FORMAT JSON) ${sql}`;
    const { rows } = await database.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(explain, params);
    const nodes = nodesOf(rows[0]!['QUERY PLAN'][0].Plan);
    expect(nodes.map((node) => node['Node Type'])).not.toContain('Seq Scan');
    const scans = nodes.filter((node) => node['Relation Name'] === 'state');
    const states = query.status?.length ?? 1;
    expect(scans.length).toBeGreaterThan(0);
    for (const scan of scans) {
      expect(scan['Actual Rows'] + (scan['Rows Removed by Filter'] ?? 0)).toBeLessThanOrEqual(states * 101 * 4);
    }
  });

  test('when a page of a hundred is read there and back through the sidecar, then it is the same page', async () => {
    const store = new DaprTaskStore(sidecar, () => undefined);
    const page = await store.list({ userId: heavyUser, limit: 100, after });
    const [first, last] = [page[0]!, page.at(-1)!];
    const next = (await store.list({ userId: heavyUser, limit: 1, after: keysetOf(last) }))[0]!;
    expect(page).toHaveLength(100);
    expect(await store.list({ userId: heavyUser, limit: 100, before: keysetOf(next) })).toEqual(page);
    expect(
      (await store.list({ userId: heavyUser, limit: 1, before: keysetOf(first) }))[0]!.createdAt > first.createdAt,
    ).toBe(true);
  });
});

interface Plan {
  'Node Type': string;
  'Relation Name'?: string;
  'Actual Rows': number;
  'Rows Removed by Filter'?: number;
  Plans?: Plan[];
}

function nodesOf(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];
}
