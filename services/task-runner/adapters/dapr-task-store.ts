import { hasCode } from '../../../shared/errors';
import { newEvent, outboxRows } from '../../../shared/dapr/outbox';
import { ConflictError, type Sidecar, type StateOperation } from '../../../shared/dapr/sidecar';
import { IDEMPOTENCY_TTL_SECONDS } from '../../../shared/http/conditions';
import { versionConflict } from '../domain/errors';
import { checkPlaces, type PlaceLimits } from '../domain/places';
import { hasEnded, type Task } from '../domain/task';
import type {
  ListedTask,
  OpenTask,
  Remembered,
  RunningTask,
  TaskEvent,
  TaskLease,
  TaskQuery,
  TaskStore,
  Versioned,
} from '../ports/task-store';
import { commitWithPlace } from './dapr-places';
import { listStatement } from './task-list';
import {
  fromListedRow,
  fromTaskRow,
  openTaskRow,
  rememberedRow,
  runningTaskRow,
  taskLeaseRow,
  toTaskRow,
} from './task-row';

export const APP_ID = 'task-runner';

const taskKey = (id: string): string => `task:${id}`;
const requestKey = (id: string): string => `idempotency:${id}`;

/** Tasks in the Dapr state store, their events in its outbox, lists from the view `tasks` (task-schema.ts). */
export class DaprTaskStore implements TaskStore {
  /** @param wake tells the relay that events were committed */
  constructor(
    private readonly sidecar: Sidecar,
    private readonly wake: () => void,
  ) {}

  async insert(task: Task, limits: PlaceLimits, fingerprint?: string): Promise<Remembered | undefined> {
    const operations: StateOperation[] = [{ upsert: taskKey(task.id), value: toTaskRow(task), etag: null }];
    if (task.requestKey !== null) {
      operations.push({
        upsert: requestKey(task.requestKey),
        value: { taskId: task.id, fingerprint: fingerprint ?? '' } satisfies Remembered,
        etag: null,
        ttlSeconds: IDEMPOTENCY_TTL_SECONDS,
      });
    }
    try {
      await commitWithPlace(this.sidecar, task, 1, operations, (everybody, own) =>
        checkPlaces(limits, task.serviceType, everybody, own),
      );
      return undefined;
    } catch (error) {
      // the same request, a moment earlier, may also be the one that took the last place
      const beaten = error instanceof ConflictError || hasCode(error, 'task.limit_reached');
      const first = beaten && task.requestKey !== null && (await this.remembered(task.requestKey));
      if (first) return first;
      throw error instanceof ConflictError ? versionConflict() : error;
    }
  }

  async get(id: string): Promise<Versioned | undefined> {
    const row = (await this.sidecar.get([taskKey(id)])).get(taskKey(id));
    return row && { task: fromTaskRow(row.value), version: row.etag };
  }

  async remembered(key: string): Promise<Remembered | undefined> {
    const row = (await this.sidecar.get([requestKey(key)])).get(requestKey(key));
    return row && rememberedRow.parse(row.value);
  }

  async save(task: Task, version: string, event?: TaskEvent): Promise<void> {
    const leaves = task.placed && hasEnded(task);
    const row = toTaskRow(leaves ? { ...task, placed: false } : task);
    await this.transact(leaves ? task : undefined, [
      { upsert: taskKey(task.id), value: row, etag: version },
      ...(event ? outboxRows([newEvent(event.type, { ...event, source: APP_ID })]) : []),
    ]);
    if (event) this.wake();
  }

  async discard(task: Task, version: string): Promise<void> {
    await this.transact(task.placed ? task : undefined, [
      { remove: taskKey(task.id), etag: version },
      ...(task.requestKey === null ? [] : [{ remove: requestKey(task.requestKey) }]),
    ]);
  }

  async list(query: TaskQuery): Promise<ListedTask[]> {
    const { sql, params } = listStatement(query);
    const tasks = (await this.sidecar.query(sql, params)).map(fromListedRow);
    return query.before === undefined ? tasks : tasks.reverse();
  }

  async listOpen(): Promise<OpenTask[]> {
    const rows = await this.sidecar.query(
      `SELECT jsonb_build_object('id', document -> 'id', 'serviceType', document -> 'serviceType',
         'status', document -> 'status', 'capacityState', document -> 'capacityState',
         'since', document -> 'history' -> -1 -> 'at')::text
       FROM tasks WHERE document ->> 'open' = 'true' ORDER BY document ->> 'createdAt', document ->> 'id'`,
      [],
    );
    return rows.map((row) => openTaskRow.parse(row));
  }

  async listRunning(): Promise<RunningTask[]> {
    const rows = await this.sidecar.query(
      `SELECT jsonb_build_object('id', document -> 'id', 'serviceType', document -> 'serviceType',
         'startTime', document -> 'startTime', 'stay', document -> 'stay')::text
       FROM tasks WHERE document ->> 'open' = 'true' AND document ->> 'status' = 'Running'
       ORDER BY document ->> 'createdAt', document ->> 'id'`,
      [],
    );
    return rows.map((row) => runningTaskRow.parse(row));
  }

  async listLeases(limit: number, after?: Pick<TaskLease, 'createdAt' | 'id'>): Promise<TaskLease[]> {
    // of open tasks there is an index by `createdAt`
    const rows = await this.sidecar.query(
      `SELECT jsonb_build_object('id', document -> 'id', 'createdAt', document -> 'createdAt', 'poolId', document -> 'poolId',
         'allocationId', document -> 'allocationId', 'capacityState', document -> 'capacityState')::text
       FROM tasks WHERE document ->> 'open' = 'true' AND document ->> 'status' IN ('Pulling', 'Starting', 'Running', 'Stopping')
         AND document ->> 'capacityState' IN ('held', 'lost')
         ${after === undefined ? '' : `AND (document ->> 'createdAt', document ->> 'id') > ($2, $3)`}
       ORDER BY document ->> 'createdAt', document ->> 'id' LIMIT $1`,
      [limit, ...(after === undefined ? [] : [after.createdAt, after.id])],
    );
    return rows.map((row) => taskLeaseRow.parse(row));
  }

  /** @param leaving the task that gives up its place with it */
  private async transact(leaving: Task | undefined, operations: StateOperation[]): Promise<void> {
    try {
      if (leaving) await commitWithPlace(this.sidecar, leaving, -1, operations);
      else await this.sidecar.transact(operations);
    } catch (error) {
      throw error instanceof ConflictError ? versionConflict() : error;
    }
  }
}
