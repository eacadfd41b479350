import { notForOthers, taskNotFound } from '../domain/errors';
import type { ListedTask, TaskQuery, TaskStore, Versioned } from '../ports/task-store';
import { maySee, type Requester } from './requester';

/** One task. @throws `task.not_found`, also for a task of somebody else */
export function createGetTask({ store }: { store: TaskStore }) {
  return async (taskId: string, requester: Requester): Promise<Versioned> => {
    const found = await store.get(taskId);
    if (!found || !maySee(requester, found.task)) throw taskNotFound(taskId);
    return found;
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
