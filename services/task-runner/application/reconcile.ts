import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode, messageOf } from '../../../shared/errors';
import type { Logger } from '../../../shared/logging/logger';
import type { ServiceType } from '../domain/service-type';
import { hasEnded, isWaiting, waiting } from '../domain/task';
import type { ContainerRuntime, ContainerSummary } from '../ports/container-runtime';
import type { OpenTask, TaskStore } from '../ports/task-store';
import type { EndTask } from './end-task';
import type { Settler } from './settle-task';

export interface ReconcileParts {
  store: TaskStore;
  runtime: Pick<ContainerRuntime, 'list' | 'remove'>;
  settler: Settler;
  endTask: EndTask;
  serviceTypes: ReadonlyMap<string, ServiceType>;
  now: () => string;
  logger: Logger;
}

/** A start that another replica has just taken in is not abandoned. */
const ABANDONED_MS = 10_000;
/** A replica with a newer file knows types that this one does not; a start that none carries on in this time ends. */
const STRANGER_MS = 600_000;
/** Longer than any call of the allocation service may be on its way. */
const OWED_MS = 60_000;
/** A task is stored before its container is made; this much is for clocks that disagree. */
const ORPHAN_MS = 30_000;
const AT_ONCE = 8;
/** What takes longer (a pull, a program that is slow to serve) goes on, but the others are not kept waiting by it. */
const PATIENCE_MS = 5_000;

/**
 * Makes tasks and containers agree, once: dead ones are ended, half-made starts and stops, and searches for lost
 * capacity, carried on, containers without a task removed, owed capacity given back. With the runtime away only what does
 * not need it is done, and no task is declared dead.
 * @returns true when everything was looked at, and done or under way
 */
export function createReconcile({ store, runtime, settler, endTask, serviceTypes, now, logger }: ReconcileParts) {
  return async (): Promise<boolean> => {
    let containers: ContainerSummary[] | undefined;
    try {
      // before the tasks: whatever container is seen here, its task was stored earlier
      containers = await runtime.list();
    } catch (error) {
      logger.warn('the container runtime does not answer; tasks are kept as they are', {
        activity: 'task.reconcile',
        result: 'runtime.unavailable',
        error: messageOf(error),
      });
    }
    const open = await store.listOpen();
    const work = [
      ...open.flatMap((task) => workOn(task, containers)),
      ...orphansOf(open, containers).map(
        ({ taskId }) =>
          () =>
            removeOrphan(taskId),
      ),
    ];
    const failures = await doAll(work);
    failures.slice(0, 5).forEach(tellFailure);
    return containers !== undefined && failures.length === 0;
  };

  function tellFailure(failure: unknown): void {
    logger.warn('a task could not be brought in order; it is tried again', {
      activity: 'task.reconcile',
      result: 'waiting',
      error: messageOf(failure),
    });
  }

  async function carryOn(taskId: string): Promise<void> {
    const settled = settler.settle(taskId);
    const patience = new AbortController();
    const late = sleep(PATIENCE_MS, 'late' as const, { signal: patience.signal });
    late.catch(() => undefined); // nobody needs it any more
    if ((await Promise.race([settled, late]).finally(() => patience.abort())) === 'late') settled.catch(tellFailure);
  }

  /** One that may wait for capacity goes on waiting, in whatever replica looks; its place is kept by the pool. */
  async function takeUp(taskId: string, abandoned: boolean): Promise<void> {
    const found = await store.get(taskId);
    if (found?.task.status !== 'Pending') return;
    if (!isWaiting(found.task)) {
      if (!abandoned) return;
      if (found.task.wait === null) return endTask.ofAbandonedStart(taskId);
      try {
        // nobody is there any more to hear of a refusal: from now on the task tells of it
        await store.save(waiting(found.task, now()), found.version);
      } catch (error) {
        if (!hasCode(error, 'task.version_conflict')) throw error;
      }
    }
    settler.settle(taskId).catch(tellFailure);
  }

  function workOn(task: OpenTask, containers: ContainerSummary[] | undefined): (() => Promise<unknown>)[] {
    if (settler.isUnderWay(task.id)) return [];
    const age = Date.parse(now()) - Date.parse(task.since);
    if (hasEnded(task))
      return age > OWED_MS || task.capacityState !== 'wanted' ? [() => endTask.giveBackOwed(task.id)] : [];
    const starts = task.status === 'Pending' || task.status === 'Pulling' || task.status === 'Starting';
    if (starts && !serviceTypes.has(task.serviceType) && age < STRANGER_MS) return [];
    if (task.status === 'Pending') return [() => takeUp(task.id, age > ABANDONED_MS)];
    if (containers === undefined) return [];
    if (task.status !== 'Running') return [() => carryOn(task.id)];
    const alive = containers.some((container) => container.taskId === task.id && container.running);
    if (!alive) return [() => endTask.ofDeadContainer(task.id)];
    return task.capacityState === 'lost' ? [() => settler.settle(task.id)] : [];
  }

  function orphansOf(open: OpenTask[], containers: ContainerSummary[] = []): ContainerSummary[] {
    const known = new Set(open.map(({ id }) => id));
    const before = Date.parse(now()) - ORPHAN_MS;
    return containers.filter(({ taskId, createdAt }) => !known.has(taskId) && Date.parse(createdAt) < before);
  }

  /** The list of tasks is read in a way that may miss some; only the task itself proves that a container has none. */
  async function removeOrphan(taskId: string): Promise<void> {
    const found = await store.get(taskId);
    if (found && !hasEnded(found.task)) return;
    await runtime.remove(taskId);
    logger.warn(`container task-${taskId} had no living task and was removed`, {
      activity: 'task.reconcile',
      resource: `task ${taskId}`,
      result: 'removed',
    });
  }
}

/** Does all, a few at once. @returns what went wrong */
export async function doAll(work: (() => Promise<unknown>)[]): Promise<unknown[]> {
  const waiting = [...work];
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      try {
        await next();
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return failures;
}
