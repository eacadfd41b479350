import { currentContext, withContext } from '../../../shared/logging/context';
import type { Task } from '../domain/task';

/**
 * Work on a task that no request asked for (its container ended, a crash left it half-way) is logged and told as part of
 * the request that made the task, so that one trace id finds its whole story.
 */
export function inTraceOf<T>(task: Task, work: () => Promise<T>): Promise<T> {
  if (currentContext()) return work();
  return withContext({ requestId: task.id, traceparent: task.trace ?? undefined }, work);
}
