import { newEvent, outboxRows } from '../../../shared/dapr/outbox';
import { ConflictError, type Sidecar, type StateOperation } from '../../../shared/dapr/sidecar';
import { IDEMPOTENCY_TTL_SECONDS } from '../../../shared/http/conditions';
import { versionConflict } from '../domain/errors';
import type { Task } from '../domain/task';
import type { OpenTask, Remembered, TaskEvent, TaskLease, TaskQuery, TaskStore, Versioned } from '../ports/task-store';
import { fromTaskRow, openTaskRow, rememberedRow, taskLeaseRow, toTaskRow } from './task-row';

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

  async insert(task: Task, fingerprint?: string): Promise<Remembered | undefined> {
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
      await this.sidecar.transact(operations);
      return undefined;
    } catch (error) {
      const first =
        error instanceof ConflictError && task.requestKey !== null && (await this.remembered(task.requestKey));
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
    await this.transact([
      { upsert: taskKey(task.id), value: toTaskRow(task), etag: version },
      ...(event ? outboxRows([newEvent(event.type, { ...event, source: APP_ID })]) : []),
    ]);
    if (event) this.wake();
  }

  async discard(task: Task, version: string): Promise<void> {
    await this.transact([
      { remove: taskKey(task.id), etag: version },
      ...(task.requestKey === null ? [] : [{ remove: requestKey(task.requestKey) }]),
    ]);
  }

  async list({ userId, status, serviceType, limit, after }: TaskQuery): Promise<Task[]> {
    const params: unknown[] = [];
    const param = (value: unknown): string => `$${params.push(value)}`;
    const conditions = [
      ...(userId === undefined ? [] : [`document ->> 'userId' = ${param(userId)}`]),
      ...(status === undefined ? [] : [`document ->> 'status' = ${param(status)}`]),
      ...(serviceType === undefined ? [] : [`document ->> 'serviceType' = ${param(serviceType)}`]),
      ...(after === undefined
        ? []
        : [`(document ->> 'createdAt', document ->> 'id') < (${param(after.createdAt)}, ${param(after.id)})`]),
    ];
    const rows = await this.sidecar.query(
      `SELECT document::text FROM tasks ${conditions.length > 0 ? `WHERE ${conditions.join(' AND ')}` : ''}
       ORDER BY document ->> 'createdAt' DESC, document ->> 'id' DESC LIMIT ${param(limit)}`,
      params,
    );
    return rows.map(fromTaskRow);
  }

  async listOpen(): Promise<OpenTask[]> {
    const rows = await this.sidecar.query(
      `SELECT jsonb_build_object('id', document -> 'id', 'status', document -> 'status',
         'capacityState', document -> 'capacityState', 'since', document -> 'history' -> -1 -> 'at')::text
       FROM tasks WHERE document ->> 'open' = 'true' ORDER BY document ->> 'createdAt', document ->> 'id'`,
      [],
    );
    return rows.map((row) => openTaskRow.parse(row));
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

  private async transact(operations: StateOperation[]): Promise<void> {
    try {
      await this.sidecar.transact(operations);
    } catch (error) {
      throw error instanceof ConflictError ? versionConflict() : error;
    }
  }
}
