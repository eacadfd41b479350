import { hasCode } from '../../../shared/errors';
import { checkFingerprint, type IdempotencyKey } from '../../../shared/http/conditions';
import { neverExpires, notRunning, taskNotFound, versionConflict } from '../domain/errors';
import type { ServiceType } from '../domain/service-type';
import { active, extended } from '../domain/lifetime';
import type { Task } from '../domain/task';
import type { TaskStore, Versioned } from '../ports/task-store';
import { shown, type ShownTask } from './read-tasks';
import { maySee, type Requester } from './requester';
import type { TaskNews } from './task-news';

export interface ProlongParts {
  store: Pick<TaskStore, 'get' | 'save'>;
  serviceTypes: ReadonlyMap<string, ServiceType>;
  news: Pick<TaskNews, 'changed' | 'placeOf'>;
  now: () => string;
}

export interface ExtendRequest {
  taskId: string;
  requester: Requester;
  minutes: number;
  idempotency: IdempotencyKey | undefined;
}

const MAX_RACES = 10;

/**
 * Notes that a task is used, for who sees that better than the container runtime: a proxy.
 * @throws `task.not_found`, also for a task of somebody else; `task.not_running`
 */
export function createTellActivity(parts: ProlongParts) {
  return async (taskId: string, requester: Requester): Promise<void> => {
    await change(parts, taskId, requester, (task) => {
      const lifetime = parts.serviceTypes.get(task.serviceType)?.lifetime;
      return (lifetime && active(task, lifetime, parts.now())) ?? task;
    });
  };
}

/**
 * Puts off the end of a task, once for the same Idempotency-Key.
 * @throws `task.not_found`, also for a task of somebody else; `task.not_running`, `task.never_expires`;
 *   `task.extension_refused` beyond what the operator allows; `request.idempotency_key_reused`
 */
export function createExtendTask(parts: ProlongParts) {
  return async ({ taskId, requester, minutes, idempotency }: ExtendRequest): Promise<ShownTask> => {
    const changed = await change(parts, taskId, requester, (task) => {
      const done = task.stay.extensions.find(({ key }) => key !== null && key.id === idempotency?.id);
      if (idempotency && done?.key) {
        checkFingerprint(idempotency, done.key.fingerprint);
        return task;
      }
      const lifetime = parts.serviceTypes.get(task.serviceType)?.lifetime;
      if (!lifetime) throw neverExpires();
      const extension = { seconds: minutes * 60, key: idempotency ?? null };
      return extended(task, lifetime, extension, { at: parts.now(), actor: requester.sub });
    });
    return shown(parts, changed);
  };
}

/** Changes a running task as it is when that is written: an end that was decided meanwhile stays decided. */
async function change(
  { store, news }: ProlongParts,
  taskId: string,
  requester: Requester,
  to: (task: Task) => Task,
): Promise<Versioned> {
  for (let race = 0; race < MAX_RACES; race += 1) {
    const found = await store.get(taskId);
    if (!found || !maySee(requester, found.task)) throw taskNotFound(taskId);
    if (found.task.status !== 'Running') throw notRunning(found.task.status);
    const next = to(found.task);
    if (next === found.task) return found;
    try {
      await store.save(next, found.version);
    } catch (error) {
      if (!hasCode(error, 'task.version_conflict')) throw error;
      continue;
    }
    news.changed(taskId);
    return (await store.get(taskId)) ?? found;
  }
  throw versionConflict();
}
