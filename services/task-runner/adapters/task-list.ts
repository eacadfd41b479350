import { TOLD_OF_TASK } from '../../../shared/contracts/task';
import type { TaskStatus } from '../domain/task';
import { UNLISTED, type TaskQuery } from '../ports/task-store';

export interface Statement {
  /** Answers one column: a listed task, as JSON. */
  sql: string;
  params: unknown[];
}

const SHOWN = `(document - '{${UNLISTED.join(',')}}'::text[])::text`;
const ORDER = ['createdAt', 'id'].map((field) => `document ->> '${field}'`);

/**
 * A page of the view `tasks`, in the list's order; with `before` in the opposite one, since the nearest are wanted. Each
 * state is looked for by itself: so many index scans that stop at `limit` each, however many tasks have such a state.
 */
export function listStatement(query: TaskQuery): Statement {
  const { status, from, to, limit, after, before } = query;
  const params: unknown[] = [];
  const param = (value: unknown): string => `$${params.push(value)}`;
  const [sort, beyond, place] = before === undefined ? ['DESC', '<', after] : ['ASC', '>', before];
  const order = ORDER.map((field) => `${field} ${sort}`).join(', ');
  const common = [
    ...TOLD_OF_TASK.filter((name) => query[name] !== undefined).map(
      (name) => `document ->> '${name}' = ${param(query[name])}`,
    ),
    ...(from === undefined ? [] : [`document ->> 'createdAt' >= ${param(from)}`]),
    ...(to === undefined ? [] : [`document ->> 'createdAt' < ${param(to)}`]),
    ...(place === undefined ? [] : [`(${ORDER.join(', ')}) ${beyond} (${param(place.at)}, ${param(place.id)})`]),
  ];
  const most = param(limit);
  const tasksIn = (state?: TaskStatus): string => {
    const conditions = [...(state === undefined ? [] : [`document ->> 'status' = ${param(state)}`]), ...common];
    const where = conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : '';
    return `SELECT document FROM tasks ${where} ORDER BY ${order} LIMIT ${most}`;
  };
  const states = [...new Set(status ?? [])];
  if (states.length <= 1) return { sql: `SELECT ${SHOWN} FROM (${tasksIn(states[0])}) AS page`, params };
  const each = states.map((state) => `(${tasksIn(state)})`).join(' UNION ALL ');
  return { sql: `SELECT ${SHOWN} FROM (${each}) AS found ORDER BY ${order} LIMIT ${most}`, params };
}
