import { setTimeout as sleep } from 'node:timers/promises';
import { toldOf, type ToldOfTask } from '../../../shared/contracts/task';
import { AppError, hasCode, messageOf } from '../../../shared/errors';
import { checkFingerprint, type IdempotencyKey } from '../../../shared/http/conditions';
import { currentContext } from '../../../shared/logging/context';
import type { Logger } from '../../../shared/logging/logger';
import { notForOthers, poolMissing, startCancelled, unknownServiceType } from '../domain/errors';
import type { PlaceLimits } from '../domain/places';
import type { ServiceType, TaskLimits } from '../domain/service-type';
import { hasEnded, isWaiting, newTask, type Task } from '../domain/task';
import type { Capacity } from '../ports/capacity';
import type { ContainerRuntime } from '../ports/container-runtime';
import type { Remembered, TaskStore } from '../ports/task-store';
import type { Requester } from './requester';
import type { Settler, Settling } from './settle-task';

export interface StartRequest extends ToldOfTask {
  requester: Requester;
  idempotency: IdempotencyKey | undefined;
  /** The caller does not wait until it serves. */
  background?: boolean;
  /** It may wait so long for capacity that is not there at once; absent or 0: not at all. */
  waitSeconds?: number | undefined;
  /** Among those who wait the larger goes first. */
  priority?: number | undefined;
}

export interface StartTaskParts {
  store: TaskStore;
  runtime: Pick<ContainerRuntime, 'ping'>;
  capacity: Pick<Capacity, 'findPool'>;
  settler: Settler;
  serviceTypes: ReadonlyMap<string, ServiceType>;
  /** Of all types together. */
  limits: TaskLimits;
  now: () => string;
  newId: () => string;
  newSecret: () => string;
  logger: Logger;
  /** So long a caller waits at most. */
  patienceMs?: number;
}

const PATIENCE_MS = 10_000;

/**
 * Starts a task and waits until it serves, or for as long as a caller is kept waiting; then the start goes on without him.
 * One that waits for capacity is not waited for.
 * @returns the task as it was when it became ready, or later; or, without a start time, one that is still on its way
 * @throws with nothing left behind: `task.not_for_others`, `task.unknown_service_type`, `task.pool_missing`,
 *   `task.limit_reached`, `runtime.unavailable`, one of REFUSED_GRANTS, `allocation.queue_full`; with a task in state Error: `runtime.image_missing`,
 *   `task.start_failed`, `runtime.unavailable`; with or without one, by when it was noticed: `task.capacity_unavailable`; `task.cancelled` when somebody stopped it meanwhile
 */
export function createStartTask(parts: StartTaskParts) {
  const { store, settler, logger, patienceMs = PATIENCE_MS } = parts;

  return async (request: StartRequest): Promise<Task> => {
    if (request.background) return start(request, Promise.resolve('late'));
    const patience = new AbortController();
    // rejects when nobody needs it any more
    const late = sleep(patienceMs, 'late' as const, { signal: patience.signal });
    late.catch(() => undefined);
    try {
      return await start(request, late);
    } finally {
      patience.abort();
    }
  };

  async function start(request: StartRequest, late: Promise<'late'>): Promise<Task> {
    if (request.userId !== request.requester.sub && !request.requester.admin) throw notForOthers();
    const repeated = request.idempotency && (await store.remembered(request.idempotency.id));
    if (repeated) return replay(request, repeated, late);
    const { task, limits } = await prepare(request);
    const raced = await store.insert(task, limits, request.idempotency?.fingerprint);
    if (raced) return replay(request, raced, late);
    return answer(settler.begin(task.id), late);
  }

  async function prepare(request: StartRequest): Promise<{ task: Task; limits: PlaceLimits }> {
    const { serviceType, requester, idempotency, waitSeconds, priority } = request;
    const type = parts.serviceTypes.get(serviceType);
    if (!type) throw unknownServiceType(serviceType, [...parts.serviceTypes.keys()]);
    const [poolId] = await Promise.all([parts.capacity.findPool(type.capacity.pool), parts.runtime.ping()]);
    if (poolId === undefined) throw poolMissing(type.capacity.pool, serviceType);
    const task = newTask({
      ...toldOf(request),
      id: parts.newId(),
      createdAt: parts.now(),
      createdBy: requester.sub,
      secret: parts.newSecret(),
      poolId,
      allocationId: parts.newId(),
      capacity: type.capacity.units,
      requestKey: idempotency?.id ?? null,
      trace: currentContext()?.traceparent ?? null,
      waitSeconds,
      priority,
    });
    return { task, limits: { all: parts.limits, type: type.limits } };
  }

  /** The same request again gets the task that the first one made, and waits for it as the first one does. */
  async function replay(
    request: StartRequest,
    { taskId, fingerprint }: Remembered,
    late: Promise<'late'>,
  ): Promise<Task> {
    if (request.idempotency) checkFingerprint(request.idempotency, fingerprint);
    try {
      return await answer(settler.begin(taskId), late);
    } catch (error) {
      // refused and forgotten since we looked: then this request is the first
      if (hasCode(error, 'task.not_found')) {
        throw new AppError('conflict', 'task.start_refused', 'The same request was refused just now; send it again.');
      }
      throw error;
    }
  }

  /** Refusals are always waited for: they leave no task that could be looked at later. */
  async function answer({ admitted, settled }: Settling, late: Promise<'late'>): Promise<Task> {
    const task = await admitted;
    const first = await (hasEnded(task) ? task : isWaiting(task) ? 'late' : Promise.race([settled, late]));
    if (first !== 'late') return outcomeOf(first);
    settled.catch((error: unknown) => {
      logger.warn(`the start of task ${task.id} could not be carried on; it is tried again`, {
        activity: 'task.start',
        resource: `task ${task.id}`,
        result: 'waiting',
        error: messageOf(error),
      });
    });
    return task;
  }
}

/** A task that was ready once was started, whatever came after; any other says why it never was. */
function outcomeOf(task: Task): Task {
  if (task.startTime !== null) return task;
  const problem = task.outcome?.problem;
  if (!problem) throw startCancelled();
  throw new AppError(problem.kind, problem.code, problem.detail, {
    facts: { taskId: task.id, ...(problem.logTail.length === 0 ? {} : { logTail: problem.logTail }) },
    ...(problem.kind === 'unavailable' ? { retryAfter: 5 } : {}),
  });
}
