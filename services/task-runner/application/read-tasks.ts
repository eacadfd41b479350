import { notForOthers, taskNotFound } from '../domain/errors';
import type { ServiceType } from '../domain/service-type';
import { shownStay, type ShownStay } from '../domain/lifetime';
import { isWaiting } from '../domain/task';
import type { QueuePlace } from '../ports/capacity';
import type { ListedTask, TaskQuery, TaskStore, Versioned } from '../ports/task-store';
import { maySee, type Requester } from './requester';
import type { TaskNews } from './task-news';

/** What tells how long a task may stay. */
export interface ShowParts {
  serviceTypes: ReadonlyMap<string, ServiceType>;
  now: () => string;
  news: Pick<TaskNews, 'placeOf'>;
}

export interface ShownTask extends Versioned {
  stay: ShownStay;
  waiting: ({ until: string } & QueuePlace) | null;
}

export function shown({ serviceTypes, now, news }: ShowParts, found: Versioned): ShownTask {
  const lifetime = serviceTypes.get(found.task.serviceType)?.lifetime;
  const { task } = found;
  const place = news.placeOf(task.id) ?? { position: null, reason: null };
  const waiting = isWaiting(task) && task.wait ? { until: task.wait.until, ...place } : null;
  return { ...found, stay: shownStay(task, lifetime, now()), waiting };
}

/** One task. @throws `task.not_found`, also for a task of somebody else */
export function createGetTask(parts: ShowParts & { store: TaskStore }) {
  return async (taskId: string, requester: Requester): Promise<ShownTask> => {
    const found = await parts.store.get(taskId);
    if (!found || !maySee(requester, found.task)) throw taskNotFound(taskId);
    return shown(parts, found);
  };
}

/** Own tasks, or everybody's for an admin, newest first. @throws `task.not_for_others` */
export function createListTasks({ store }: { store: TaskStore }) {
  return async (query: TaskQuery, requester: Requester): Promise<ListedTask[]> => {
    if (requester.admin) return store.list(query);
    if (query.userId !== undefined && query.userId !== requester.sub) throw notForOthers();
    return store.list({ ...query, userId: requester.sub });
  };
}
