import { unknownServiceType } from '../domain/errors';
import type { ServiceType } from '../domain/service-type';
import type { Task } from '../domain/task';
import type { TaskStore } from '../ports/task-store';
import type { ImagePulls } from './image-pulls';
import type { TaskNews } from './task-news';

export interface PullParts {
  store: Pick<TaskStore, 'get'>;
  pulls: ImagePulls;
  news: TaskNews;
  serviceTypes: ReadonlyMap<string, ServiceType>;
  /** So often a pull makes sure that its task still wants it: another replica may have stopped it. */
  stillWantedMs?: number;
}

/**
 * Brings the image of a task in state Pulling to the container host.
 * @returns 'interrupted' when `signal` aborts first, or the task is found in another state
 * @throws `runtime.image_missing`, `runtime.pull_failed`, `runtime.unavailable`, `task.unknown_service_type`
 */
export async function pullImage(
  { store, pulls, news, serviceTypes, stillWantedMs = 2_000 }: PullParts,
  task: Task,
  signal: AbortSignal,
): Promise<'pulled' | 'interrupted'> {
  const type = serviceTypes.get(task.serviceType);
  if (!type) throw unknownServiceType(task.serviceType, [...serviceTypes.keys()]);
  const unwanted = new AbortController();
  const given = AbortSignal.any([signal, unwanted.signal]);
  const looking = setInterval(() => {
    store.get(task.id).then(
      (found) => found?.task.status !== task.status && unwanted.abort(),
      () => undefined, // the store is away: the pull goes on
    );
  }, stillWantedMs).unref();
  try {
    await pulls.pull(type.image, (progress) => news.pulled(task.id, progress), given);
    return 'pulled';
  } catch (error) {
    if (given.aborted) return 'interrupted';
    throw error;
  } finally {
    clearInterval(looking);
    news.pulled(task.id, undefined);
  }
}
