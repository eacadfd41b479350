import { AppError, hasCode } from '../../../shared/errors';
import { checkFingerprint, type IdempotencyKey } from '../../../shared/http/conditions';
import { currentContext } from '../../../shared/logging/context';
import { notForOthers, poolMissing, startCancelled, unknownServiceType } from '../domain/errors';
import type { PlaceLimits } from '../domain/places';
import type { ServiceType, TaskLimits } from '../domain/service-type';
import { newTask, type Task } from '../domain/task';
import type { Capacity } from '../ports/capacity';
import type { ContainerRuntime } from '../ports/container-runtime';
import type { Remembered, TaskStore } from '../ports/task-store';
import type { Requester } from './requester';
import type { Settler } from './settle-task';

export interface StartRequest {
  userId: string;
  serviceType: string;
  requester: Requester;
  idempotency: IdempotencyKey | undefined;
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
}

/**
 * Starts a task and waits until it serves.
 * @returns the task as it was when it became ready, or later
 * @throws with nothing left behind: `task.not_for_others`, `task.unknown_service_type`, `task.pool_missing`,
 *   `task.limit_reached`, `runtime.unavailable`, one of REFUSED_GRANTS; with a task in state Error: `runtime.image_missing`,
 *   `task.start_failed`, `runtime.unavailable`; `task.cancelled` when somebody stopped it meanwhile
 */
export function createStartTask(parts: StartTaskParts) {
  const { store, settler } = parts;

  return async (request: StartRequest): Promise<Task> => {
    if (request.userId !== request.requester.sub && !request.requester.admin) throw notForOthers();
    const repeated = request.idempotency && (await store.remembered(request.idempotency.id));
    if (repeated) return replay(request, repeated);
    const { task, limits } = await prepare(request);
    const raced = await store.insert(task, limits, request.idempotency?.fingerprint);
    if (raced) return replay(request, raced);
    return answer(await settler.settle(task.id));
  };

  async function prepare(request: StartRequest): Promise<{ task: Task; limits: PlaceLimits }> {
    const { userId, serviceType, requester, idempotency } = request;
    const type = parts.serviceTypes.get(serviceType);
    if (!type) throw unknownServiceType(serviceType, [...parts.serviceTypes.keys()]);
    const [poolId] = await Promise.all([parts.capacity.findPool(type.capacity.pool), parts.runtime.ping()]);
    if (poolId === undefined) throw poolMissing(type.capacity.pool, serviceType);
    const task = newTask({
      id: parts.newId(),
      userId,
      serviceType,
      createdAt: parts.now(),
      createdBy: requester.sub,
      secret: parts.newSecret(),
      poolId,
      allocationId: parts.newId(),
      capacity: type.capacity.units,
      requestKey: idempotency?.id ?? null,
      trace: currentContext()?.traceparent ?? null,
    });
    return { task, limits: { all: parts.limits, type: type.limits } };
  }

  /** The same request again gets the task that the first one made, and waits for it as the first one does. */
  async function replay(request: StartRequest, { taskId, fingerprint }: Remembered): Promise<Task> {
    if (request.idempotency) checkFingerprint(request.idempotency, fingerprint);
    try {
      return answer(await settler.settle(taskId));
    } catch (error) {
      // refused and forgotten since we looked: then this request is the first
      if (hasCode(error, 'task.not_found')) {
        throw new AppError('conflict', 'task.start_refused', 'The same request was refused just now; send it again.');
      }
      throw error;
    }
  }
}

/** A task that was ready once was started, whatever came after; any other says why it never was. */
function answer(task: Task): Task {
  if (task.startTime !== null) return task;
  const problem = task.outcome?.problem;
  if (!problem) throw startCancelled();
  throw new AppError(problem.kind, problem.code, problem.detail, {
    facts: { taskId: task.id },
    ...(problem.kind === 'unavailable' ? { retryAfter: 5 } : {}),
  });
}
