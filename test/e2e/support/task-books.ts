import { randomUUID } from 'node:crypto';
import { sql } from './database';
import { eventsOf } from './event-stream';
import { faultsInTheBooks } from './pools';
import { call, eventually, tokenFor } from './system';
import { containersOf } from './tasks';

/** What must hold of tasks after whatever happened: told from the database, Docker and the broker, past the service. */

interface Row extends Record<string, unknown> {
  id: string;
  status: string;
  used: boolean;
}

/** The tasks of these users, oldest first; `used` when it was ready once. */
export function tasksIn(users: readonly string[]): Promise<Row[]> {
  return sql<Row>(
    `SELECT id, status, start_time IS NOT NULL AS used FROM tasks WHERE user_id::text = ANY ($1) ORDER BY created_at`,
    [users],
  );
}

/** None is on its way from one state to another. */
export async function atRest(users: readonly string[]): Promise<boolean> {
  return (await tasksIn(users)).every(({ status }) => ['Running', 'Stopped', 'Error'].includes(status));
}

/** Of everybody, through whichever task-runner answers at `url`. */
export async function stopAllTasks(url = 'task-runner'): Promise<void> {
  const token = tokenFor(randomUUID(), 'admin');
  const { body } = await call('GET', `${url}/api/tasks?status=Running&limit=1000`, { token });
  await Promise.all((body as { id: string }[]).map(({ id }) => call('DELETE', `${url}/api/tasks/${id}`, { token })));
}

/**
 * Containers and allocations are those of the running tasks, and the books are in order. `containers` are those of the
 * engine where these tasks run; no other task has one there.
 */
export async function expectBalance(users: readonly string[], containers?: string[]): Promise<void> {
  const tasks = await tasksIn(users);
  const running = tasks.filter(({ status }) => status === 'Running').map(({ id }) => id);
  expect((containers ?? (await containersOf())).sort()).toEqual([...running].sort());
  const held = await sql<{ task_id: string }>(`SELECT task_id FROM allocations WHERE service_id = ANY ($1)`, [users]);
  expect(held.map(({ task_id: id }) => id).sort()).toEqual([...running].sort());
  expect(await faultsInTheBooks()).toEqual([]);
}

/** One start event for each task that was used, one end event for each that has ended, and never another. */
export async function expectEventsOnce(users: readonly string[]): Promise<void> {
  const tasks = await tasksIn(users);
  const told = async (): Promise<string[]> => {
    const events = await Promise.all([eventsOf('task.started'), eventsOf('task.stopped'), eventsOf('task.failed')]);
    return events
      .flatMap((of) => of.map(({ type, data }) => ({ what: type === 'task.started' ? 'start' : 'end', data })))
      .filter(({ data }) => users.includes(data.userId))
      .map(({ what, data }) => `${what} of ${data.taskId}`)
      .sort();
  };
  const due = tasks
    .flatMap(({ id, status, used }) => [
      ...(used ? [`start of ${id}`] : []),
      ...(status === 'Stopped' || status === 'Error' ? [`end of ${id}`] : []),
    ])
    .sort();
  await eventually('every event is told', async () => (await told()).length >= due.length, 30_000);
  expect(await told()).toEqual(due);
}
