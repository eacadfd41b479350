import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode, messageOf } from '../../../shared/errors';
import type { Logger } from '../../../shared/logging/logger';
import { samplingSeconds, type ServiceType } from '../domain/service-type';
import { active, dueOf, warned, type Staying } from '../domain/lifetime';
import type { Task } from '../domain/task';
import { isActivity } from '../domain/usage';
import type { ContainerRuntime } from '../ports/container-runtime';
import type { RunningTask, TaskStore } from '../ports/task-store';
import type { EndTask } from './end-task';
import { doAll } from './reconcile';
import type { TaskNews } from './task-news';
import type { TaskSamples } from './task-samples';

export interface WatchStaysParts {
  store: Pick<TaskStore, 'listRunning' | 'get' | 'save'>;
  runtime: Pick<ContainerRuntime, 'stats'>;
  samples: TaskSamples;
  endTask: Pick<EndTask, 'ofSpentStay'>;
  serviceTypes: ReadonlyMap<string, ServiceType>;
  news: Pick<TaskNews, 'changed'>;
  now: () => string;
  logger: Logger;
}

/** Activity is looked at over this share of the time between two samples at least: a round may come a little early. */
const EARLY = 0.9;

/**
 * Looks once at what every running task uses: notes activity, warns of ends, and ends what may stay no longer. Every
 * replica may do it, at any time: the stored version decides. A task that cannot be sampled is left alone: whether it was
 * active is not known.
 * @throws the first failure, after all others were looked at
 */
export function createWatchStays(parts: WatchStaysParts) {
  const { store, runtime, samples, endTask, serviceTypes, news, now, logger } = parts;

  return async (): Promise<void> => {
    const running = await store.listRunning();
    samples.keepOnly(new Set(running.map(({ id }) => id)));
    const failures = await doAll(running.map((task) => () => watch(task)));
    if (failures.length > 0) throw failures[0];
  };

  async function watch(task: RunningTask): Promise<void> {
    const lifetime = serviceTypes.get(task.serviceType)?.lifetime;
    const time = now();
    // a type that is not known any more limits nothing
    if (!lifetime) return;
    // either way: a clock that was set back must not stop the sampling
    const sinceMs = Math.abs(Date.parse(time) - (samples.takenMs(task.id) ?? -Infinity));
    if (sinceMs < samplingSeconds(lifetime) * 1000 * EARLY) return;
    const sample = await runtime.stats(task.id);
    if (!sample) return;
    const before = samples.of(task.id).at(-1);
    const wasActive = before !== undefined && isActivity(before, sample, lifetime);
    const noted = <T extends Staying>(seen: T): T => (wasActive && active(seen, lifetime, time)) || seen;
    const due = dueOf(noted(task), lifetime, time);
    if (noted(task) !== task || due === 'warning') {
      await change(task.id, (found) => {
        const next = noted(found);
        return dueOf(next, lifetime, time) === 'warning' ? warned(next, lifetime, time) : next;
      });
    }
    // not before its activity is written: what could not be is seen again, over a longer time
    samples.add(task.id, sample, Date.parse(time));
    // one sample says nothing of what was done before it
    if (due === 'end' && before !== undefined) end(task.id);
  }

  async function change(taskId: string, to: (task: Task) => Task): Promise<void> {
    const found = await store.get(taskId);
    if (found?.task.status !== 'Running') return;
    const next = to(found.task);
    if (next === found.task) return;
    try {
      await store.save(next, found.version);
    } catch (error) {
      if (hasCode(error, 'task.version_conflict')) return change(taskId, to);
      throw error;
    }
    news.changed(taskId);
  }

  /** Not waited for: a container may take minutes to stop, and others are watched meanwhile. */
  function end(taskId: string): void {
    endTask.ofSpentStay(taskId).catch((error: unknown) => {
      logger.warn(`task ${taskId} may stay no longer, but could not be ended yet; it is tried again`, {
        activity: 'task.stay',
        resource: `task ${taskId}`,
        result: 'waiting',
        error: messageOf(error),
      });
    });
  }
}

/** Watches again and again until it is told to stop, as often as the service types need. */
export async function keepWatchingStays(
  watchStays: () => Promise<void>,
  options: { serviceTypes: ReadonlyMap<string, ServiceType>; logger: Logger; stopping: AbortSignal },
): Promise<void> {
  const { serviceTypes, logger, stopping } = options;
  const everySeconds = Math.min(30, ...[...serviceTypes.values()].map(({ lifetime }) => samplingSeconds(lifetime)));
  let failing = false;
  while (!stopping.aborted) {
    try {
      await watchStays();
      if (failing) logger.info('what tasks use is seen again', { activity: 'task.stay', result: 'ok' });
      failing = false;
    } catch (error) {
      const detail = { activity: 'task.stay', result: 'waiting', error: messageOf(error) };
      if (!failing) logger.warn('what tasks use cannot be seen at the moment; none is ended for it', detail);
      failing = true;
    }
    // rejects when it is told to stop
    await sleep(everySeconds * 1000, undefined, { signal: stopping }).catch(() => undefined);
  }
}
