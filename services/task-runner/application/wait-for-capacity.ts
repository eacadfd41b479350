import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../../../shared/errors';
import { startInterrupted } from '../domain/errors';
import { wantedAllocation, type Task } from '../domain/task';
import { LONGEST_WAIT, type Capacity, type CapacityRequest } from '../ports/capacity';
import type { TaskNews } from './task-news';

export interface WaitParts {
  capacity: Pick<Capacity, 'take' | 'renew'>;
  news: TaskNews;
  now: () => string;
  /** So often it is asked whether it is granted by now. */
  waitLookMs?: number;
}

/** What a task asks for; the same each time, but for how much longer it may wait. */
export function requestOf(task: Task, time: string): CapacityRequest {
  const { status, wait, poolId, capacity: units, id: taskId, userId, createdBy, priority } = task;
  const request = { allocationId: wantedAllocation(task), poolId, units, taskId, userId, createdBy, priority };
  if (status !== 'Pending' || wait === null) return request;
  // whether the wait is over, the pool says
  const left = Math.ceil((Date.parse(wait.until) - Date.parse(time)) / 1000);
  return { ...request, waitSeconds: Math.min(Math.max(left, 1), LONGEST_WAIT) };
}

/**
 * Waits until a task that stands in its pool's line has its capacity, and holds it for a whole lease from then. While
 * `allocation` is away it goes on waiting: the line is kept there.
 * @returns 'interrupted' when `signal` aborts first
 * @throws one of REFUSED_GRANTS: the wait is over; `task.start_interrupted` or `allocation.given_back`: it was granted, and
 *   nobody took notice for a lease, or somebody has ended the task
 */
export async function waitForCapacity(
  parts: WaitParts,
  task: Task,
  signal: AbortSignal,
): Promise<'taken' | 'interrupted'> {
  const { capacity, news, now, waitLookMs = 1_000 } = parts;
  const { poolId, allocationId } = task;
  try {
    while (!signal.aborted) {
      try {
        const place = await capacity.take(requestOf(task, now()));
        if (place === undefined) {
          // its lease began with the grant, of which we may hear late
          const lost = await capacity.renew([{ poolId, allocationId }]);
          if (lost.length > 0) throw startInterrupted();
          return 'taken';
        }
        news.waits(task.id, place);
      } catch (error) {
        if (!hasCode(error, 'task.capacity_unavailable')) throw error;
      }
      // rejects when it is interrupted
      await sleep(waitLookMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
    return 'interrupted';
  } finally {
    news.waits(task.id, undefined);
  }
}
