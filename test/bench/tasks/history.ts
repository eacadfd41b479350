import { randomUUID } from 'node:crypto';
import type { Client } from 'pg';
import { listStatement } from '../../../services/task-runner/adapters/task-list';
import { toTaskRow } from '../../../services/task-runner/adapters/task-row';
import { outcomeOfStop } from '../../../services/task-runner/domain/outcome';
import { ended, newTask, running, starting, stopping } from '../../../services/task-runner/domain/task';
import type { TaskQuery } from '../../../services/task-runner/ports/task-store';
import { PEOPLE } from '../../../tools/tokens';
import { percentile, type Measurement } from '../measure';

/** Has half of all tasks; the tokens of `tools/tokens.ts` are this user's. */
const USER = PEOPLE.user.sub;
const ID = '00000000-0000-4000-8000-000000000000';

/** Tasks that have ended, as the service would have written them. Straight into Dapr's table: a million would take days. */
export async function loadHistory(database: Client, count: number): Promise<void> {
  const at = '2020-01-01T00:00:00.000Z';
  const fresh = newTask({
    ...{ id: ID, userId: USER, serviceType: 'demo', createdAt: at, createdBy: USER, secret: 'f'.repeat(32) },
    ...{ poolId: randomUUID(), allocationId: randomUUID(), capacity: 100, requestKey: null, trace: null },
  });
  const ready = running(starting(fresh, at), {
    ...{ containerId: 'c'.repeat(64), port: 32_768, iframeUrl: 'http://127.0.0.1:32768/', at },
  });
  const over = ended(stopping(ready, outcomeOfStop(ready, USER, at)), {
    ...{ at, finishedAt: at, exitCode: 0, capacityState: 'returned' },
  });
  const made = `to_char(timestamp '2020-01-01' + n * interval '1 minute', 'YYYY-MM-DD"T"HH24:MI:SS".000Z"')`;
  await database.query(
    `INSERT INTO state (key, value)
     SELECT 'task-runner||task:' || id, convert_to(($1::jsonb || jsonb_build_object('id', id, 'createdAt', ${made},
              'userId', CASE WHEN n % 2 = 0 THEN $2::text ELSE '00000000-0000-4000-8000-' || lpad((n % 5000)::text, 12, '0') END,
              'serviceType', CASE WHEN n % 10 = 0 THEN 'jupyter' ELSE 'demo' END,
              'status', CASE WHEN n % 50 = 0 THEN 'Error' ELSE 'Stopped' END))::text, 'UTF8')
     FROM (SELECT n, gen_random_uuid()::text AS id FROM generate_series(1, ${count}) AS n) AS made`,
    [JSON.stringify(toTaskRow(over)), USER],
  );
  await database.query('VACUUM ANALYZE state');
  await database.query('CHECKPOINT');
}

/** What people look at: a name, whose token, the query of the API, and the same for the store. */
export const LISTS: { name: string; who: 'user' | 'admin'; path: string; query: Omit<TaskQuery, 'limit'> }[] = [
  { name: 'own, newest first', who: 'user', path: '', query: { userId: USER } },
  { name: 'everybody’s', who: 'admin', path: '', query: {} },
  { name: 'of a user', who: 'admin', path: `&userId=${USER}`, query: { userId: USER } },
  { name: 'in a state', who: 'admin', path: '&status=Error', query: { status: ['Error'] } },
  { name: 'of a type', who: 'admin', path: '&serviceType=jupyter', query: { serviceType: 'jupyter' } },
  {
    name: 'of a time',
    who: 'admin',
    path: '&from=2020-01-05T00:00:00Z&to=2020-01-12T00:00:00Z',
    query: { from: '2020-01-05T00:00:00.000Z', to: '2020-01-12T00:00:00.000Z' },
  },
];

/** Bare SQL: the same rows by the same index on a connection of its own, prepared once. @returns how many came */
export async function listBySql(database: Client, name: string, query: Omit<TaskQuery, 'limit'>): Promise<number> {
  const { sql, params } = listStatement({ ...query, limit: 101 });
  return (await database.query({ name, text: sql, values: params })).rows.length;
}

export const p95 = (measurement: Measurement): number => percentile(measurement, 0.95);
