import { AppError, hasCode, messageOf } from '../../../shared/errors';
import type { Logger } from '../../../shared/logging/logger';
import { capacityUnavailable, isRefusal, isSpent, startInterrupted, taskNotFound, waitOver } from '../domain/errors';
import type { ServiceType } from '../domain/service-type';
import { outcomeOfFailure, outcomeOfLostCapacity } from '../domain/outcome';
import {
  capacityLost,
  capacityRetaken,
  ended,
  hasEnded,
  isWaiting,
  mayHaveContainer,
  pulling,
  running,
  starting,
  stopping,
  usesCapacity,
  waiting,
  wantedAllocation,
  type CapacityState,
  type Task,
} from '../domain/task';
import type { Capacity, QueuePlace } from '../ports/capacity';
import type { ContainerRuntime } from '../ports/container-runtime';
import type { ReadinessProbe } from '../ports/readiness-probe';
import type { TaskStore, Versioned } from '../ports/task-store';
import type { ImagePulls } from './image-pulls';
import { lastLines } from './last-lines';
import { pullImage } from './pull-image';
import { startContainer } from './start-container';
import { endedEvent, startedEvent } from './task-events';
import type { TaskNews } from './task-news';
import { inTraceOf } from './task-trace';
import { requestOf, waitForCapacity } from './wait-for-capacity';

export interface SettleParts {
  store: TaskStore;
  runtime: ContainerRuntime;
  capacity: Capacity;
  probe: ReadinessProbe;
  pulls: ImagePulls;
  news: TaskNews;
  serviceTypes: ReadonlyMap<string, ServiceType>;
  /** Host by which a browser reaches the tasks' ports. */
  taskHost: string;
  frameAncestors: string;
  now: () => string;
  /** Milliseconds of a clock that nobody sets. */
  elapsed: () => number;
  newId: () => string;
  logger: Logger;
  /** So often a task that waits for capacity asks whether it is granted by now. */
  waitLookMs?: number;
}

export interface Settler {
  /**
   * Carries a task on, step by step from whatever state it is stored in, until it rests: Running on capacity that it
   * holds, Stopped or Error.
   * Every step may be repeated, by this process after a crash or by another replica at the same time: the outside is
   * asked in ways that do nothing twice, and the stored version decides whose step counts.
   * @throws the refusal of a task that was then forgotten; `runtime.unavailable` when what is to be taken back cannot be
   *   reached, and then the task stays Stopping and reconciliation goes on later; `task.capacity_unavailable` when lost
   *   capacity can be neither taken again nor refused now, and then the task stays as it is
   */
  settle(taskId: string): Promise<Task>;
  /** As `settle`, for who does not wait for the end of it. */
  begin(taskId: string): Settling;
  /** Cuts short a pull or a wait for capacity or readiness, after something else was stored about the task. */
  interrupt(taskId: string): void;
  isUnderWay(taskId: string): boolean;
}

export interface Settling {
  /** The task as soon as it has got, waits for, or needs no, capacity: from then on it is never forgotten. Rejects as `settled`. */
  admitted: Promise<Task>;
  settled: Promise<Task>;
}

/** More than this many lost races in a row are no accident. */
const MAX_STEPS = 25;
const DEFAULT_GRACE_SECONDS = 5;

export function createSettler(parts: SettleParts): Settler {
  const { store, runtime, capacity, serviceTypes, now, logger } = parts;
  const underWay = new Map<string, Settling & { interrupt: AbortController }>();

  async function run(taskId: string, signal: AbortSignal, admit: (task: Task) => void): Promise<Task> {
    let lostRace = false;
    for (let step = 0; step < MAX_STEPS; step += 1) {
      const found = await store.get(taskId);
      if (!found) throw taskNotFound(taskId);
      const { task } = found;
      if (task.status !== 'Pending' || isWaiting(task)) admit(task);
      parts.news.changed(taskId);
      // another replica ended the task while we were starting its container
      if (lostRace && hasEnded(task)) await runtime.remove(taskId);
      if ((task.status === 'Running' && task.capacityState !== 'lost') || hasEnded(task)) return task;
      try {
        await inTraceOf(task, () => advance(found, signal));
      } catch (error) {
        if (!hasCode(error, 'task.version_conflict')) throw error;
        lostRace = true;
      }
    }
    throw new Error(`task ${taskId} did not come to rest in ${MAX_STEPS} steps`);
  }

  function advance(found: Versioned, signal: AbortSignal): Promise<void> {
    if (found.task.status === 'Pending') return takeCapacity(found, signal);
    if (usesCapacity(found.task) && found.task.capacityState === 'lost') return retakeCapacity(found);
    if (found.task.status === 'Pulling') return pull(found, signal);
    if (found.task.status === 'Starting') return start(found, signal);
    return takeBack(found);
  }

  async function takeCapacity({ task, version }: Versioned, signal: AbortSignal): Promise<void> {
    if (isWaiting(task)) return takeInLine({ task, version }, signal);
    const imageThere = hasImage(task);
    imageThere.catch(() => undefined); // it is looked at when the capacity is taken
    let next: Task;
    try {
      if (await take(task)) next = waiting(task, now());
      else next = (await imageThere) ? starting(task, now()) : pulling(task, now());
    } catch (error) {
      if (isRefusal(error)) {
        await store.discard(task, version);
        throw error;
      }
      const known = error instanceof AppError && !isSpent(error);
      return fail({ task, version }, known ? error : capacityUnavailable(error));
    }
    await store.save(next, version);
    if (next.status !== 'Starting') tell(next);
  }

  async function takeInLine({ task, version }: Versioned, signal: AbortSignal): Promise<void> {
    let next: Task;
    try {
      if ((await waitForCapacity(parts, task, signal)) === 'interrupted') return;
      next = (await hasImage(task)) ? starting(task, now()) : pulling(task, now());
    } catch (error) {
      if (isRefusal(error)) return fail({ task, version }, waitOver(error, task.wait?.until ?? now()));
      if (!(error instanceof AppError)) throw error;
      // of a task that somebody ended meanwhile it is not stored
      return fail({ task, version }, isSpent(error) ? startInterrupted() : error);
    }
    await store.save(next, version);
    tell(next);
  }

  /** Of a type that is not known any more, the start tells. */
  function hasImage(task: Task): Promise<boolean> {
    const type = serviceTypes.get(task.serviceType);
    return type ? runtime.hasImage(type.image) : Promise.resolve(true);
  }

  async function pull({ task, version }: Versioned, signal: AbortSignal): Promise<void> {
    try {
      if ((await pullImage(parts, task, signal)) === 'interrupted') return;
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return fail({ task, version }, error);
    }
    const next = starting(task, now());
    await store.save(next, version);
    tell(next);
  }

  /** A container never stays on capacity that is not its own: it gets other capacity of its pool, or its task ends. */
  async function retakeCapacity({ task, version }: Versioned): Promise<void> {
    try {
      await take(task);
    } catch (error) {
      // taken just before a crash, and its lease ran out before this was written down
      if (isSpent(error)) return store.save(capacityLost(task, parts.newId(), now()), version);
      if (!isRefusal(error)) throw error;
      await store.save(stopping(task, outcomeOfLostCapacity(error.code, now())), version);
      return tellFailure(task, 'task.lease', 'lost its capacity', error);
    }
    const next = capacityRetaken(task, now());
    await store.save(next, version);
    tell(next);
  }

  function take(task: Task): Promise<QueuePlace | undefined> {
    return capacity.take(requestOf(task, now()));
  }

  async function start({ task, version }: Versioned, signal: AbortSignal): Promise<void> {
    let ready;
    try {
      ready = await startContainer(parts, task, signal);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return fail({ task, version }, error);
    }
    if (ready === 'interrupted') return;
    const next = running(task, { ...ready, at: now() });
    await store.save(next, version, startedEvent(next));
    tell(next);
  }

  async function fail({ task, version }: Versioned, error: AppError): Promise<void> {
    const logTail = mayHaveContainer(task) ? await lastLines(runtime, task) : [];
    const { kind, code, message: detail } = error;
    await store.save(stopping(task, outcomeOfFailure({ kind, code, detail }, now(), logTail)), version);
    tellFailure(task, 'task.start', 'cannot start', error);
  }

  function tellFailure(task: Task, activity: string, what: string, error: AppError): void {
    logger.warn(`task ${task.id} ${what}`, {
      activity,
      who: task.createdBy,
      resource: `task ${task.id}`,
      result: error.code,
      service_type: task.serviceType,
      error: error.cause === undefined ? error.message : messageOf(error.cause),
    });
  }

  async function takeBack({ task, version }: Versioned): Promise<void> {
    const grace = serviceTypes.get(task.serviceType)?.stopGraceSeconds ?? DEFAULT_GRACE_SECONDS;
    const left = mayHaveContainer(task) ? await runtime.stop(task.id, grace) : undefined;
    if (left) await runtime.remove(task.id);
    const next = ended(task, {
      at: now(),
      finishedAt: left?.finishedAt ?? null,
      exitCode: left?.exitCode ?? null,
      capacityState: await giveBack(task),
    });
    await store.save(next, version, endedEvent(next));
    tell(next);
  }

  /** A container that is gone is not kept waiting by capacity that cannot be given back yet: that is owed. */
  async function giveBack(task: Task): Promise<CapacityState> {
    try {
      await capacity.giveBack(wantedAllocation(task));
    } catch (error) {
      logger.warn(`the capacity of task ${task.id} is given back later`, {
        activity: 'task.give_back',
        resource: `task ${task.id}`,
        result: 'waiting',
        error: messageOf(error),
      });
      return task.capacityState;
    }
    // `wanted`: a request for it may still be on its way, so reconciliation gives it back once more, later
    return task.capacityState === 'wanted' ? 'wanted' : 'returned';
  }

  function tell(task: Task): void {
    const last = task.history.at(-1);
    logger.info(`task ${task.id} is ${task.status}`, {
      activity: `task.${task.status.toLowerCase()}`,
      who: last?.actor,
      resource: `task ${task.id}`,
      result: last?.reason,
      user: task.userId,
      service_type: task.serviceType,
      exit_code: task.outcome?.exitCode ?? undefined,
      ms: last && Date.parse(last.at) - Date.parse(task.createdAt),
    });
  }

  function begin(taskId: string): Settling {
    const already = underWay.get(taskId);
    if (already) return already;
    const interrupt = new AbortController();
    let admit = (_: Task): void => undefined;
    const early = new Promise<Task>((resolve) => (admit = resolve));
    const settled = run(taskId, interrupt.signal, admit).finally(() => {
      underWay.delete(taskId);
      parts.news.changed(taskId);
    });
    const admitted = Promise.race([early, settled]);
    admitted.catch(() => undefined); // whoever waits for one of the two hears of it
    const settling = { admitted, settled, interrupt };
    underWay.set(taskId, settling);
    return settling;
  }

  return {
    begin,
    settle: (taskId) => begin(taskId).settled,
    interrupt: (taskId) => underWay.get(taskId)?.interrupt.abort(),
    isUnderWay: (taskId) => underWay.has(taskId),
  };
}
