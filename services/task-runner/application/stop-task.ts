import { hasCode } from '../../../shared/errors';
import { taskNotFound, versionConflict } from '../domain/errors';
import { outcomeOfStop } from '../domain/outcome';
import { hasEnded, stopping, type Task } from '../domain/task';
import type { TaskStore } from '../ports/task-store';
import { maySee, type Requester } from './requester';
import type { Settler } from './settle-task';

export interface StopRequest {
  taskId: string;
  requester: Requester;
  /** Throws when the caller wanted to stop another version. */
  checkVersion: (version: string) => void;
}

const MAX_RACES = 10;

/**
 * Stops a task in whatever state, and waits until its container is gone. One that has already ended stays as it is.
 * @throws `task.not_found`; `runtime.unavailable`: it is stopped as soon as the runtime is back
 */
export function createStopTask({ store, settler, now }: { store: TaskStore; settler: Settler; now: () => string }) {
  return async ({ taskId, requester, checkVersion }: StopRequest): Promise<Task> => {
    for (let race = 0; race < MAX_RACES; race += 1) {
      const found = await store.get(taskId);
      if (!found || !maySee(requester, found.task)) throw taskNotFound(taskId);
      const { task, version } = found;
      if (race === 0) checkVersion(version);
      if (hasEnded(task)) return task;
      try {
        if (task.status !== 'Stopping')
          await store.save(stopping(task, outcomeOfStop(task, requester.sub, now())), version);
      } catch (error) {
        if (!hasCode(error, 'task.version_conflict')) throw error;
        continue;
      }
      settler.interrupt(taskId);
      const settled = await settler.settle(taskId);
      // a start that was just coming to rest did not see the stop; the next round carries it out
      if (hasEnded(settled)) return settled;
    }
    throw versionConflict();
  };
}
