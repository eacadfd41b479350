import { notForOthers, taskNotFound } from '../domain/errors';
import type { ServiceType } from '../domain/service-type';
import { shownStay, type ShownStay } from '../domain/lifetime';
import type { ListedTask, TaskQuery, TaskStore, Versioned } from '../ports/task-store';
import { maySee, type Requester } from './requester';

/** What tells how long a task may stay. */
export interface ShowParts {
  serviceTypes: ReadonlyMap<string, ServiceType>;
  now: () => string;
}

export interface ShownTask extends Versioned {
  stay: ShownStay;
}

export function shown({ serviceTypes, now }: ShowParts, found: Versioned): ShownTask {
  const lifetime = serviceTypes.get(found.task.serviceType)?.lifetime;
  return { ...found, stay: shownStay(found.task, lifetime, now()) };
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
