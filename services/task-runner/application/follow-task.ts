import { AppError } from '../../../shared/errors';
import { taskNotFound } from '../domain/errors';
import { WARNING_OF } from '../domain/lifetime';
import { hasEnded, type Step, type Task } from '../domain/task';
import type { QueuePlace } from '../ports/capacity';
import type { PullProgress } from '../ports/container-runtime';
import type { TaskStore } from '../ports/task-store';
import { maySee, type Requester } from './requester';
import type { TaskNews } from './task-news';

/** What a follower is told. Numbers count what is told for good: a follower names the last one to go on after it. */
export type Told =
  | { kind: 'step' | 'warning'; number: number; step: Step }
  | { kind: 'progress'; progress: PullProgress }
  | { kind: 'waiting'; place: QueuePlace }
  | { kind: 'end'; number: number; task: Task }
  /** Nothing happened for a while; it is still followed. */
  | { kind: 'pulse' };

export interface FollowParts {
  store: Pick<TaskStore, 'get'>;
  news: TaskNews;
  /** Aborted when the service ends. */
  stopping: AbortSignal;
  /** So often the store is looked at without news: other replicas change tasks too. */
  lookMs?: number;
  pulseMs?: number;
  progressMs?: number;
}

export interface FollowRequest {
  taskId: string;
  requester: Requester;
  /** Number of the last that the follower has been told. */
  last: number | undefined;
  /** Aborted when the follower hangs up. */
  signal: AbortSignal;
}

/** Steps that its owner should take notice of. */
const WARNINGS: ReadonlySet<string> = new Set(['lease_expired', ...Object.values(WARNING_OF)]);

/**
 * Tells what happens to a task until it has ended: every step of its history, also those before now, and how far the pull
 * of its image is, and where it stands in the line for capacity, while this process looks after that.
 * @returns undefined when the follower has been told of the end already
 * @throws `task.not_found`, also for a task of somebody else
 */
export function createFollowTask(parts: FollowParts) {
  const { store, news, stopping, lookMs = 1_000, pulseMs = 15_000, progressMs = 250 } = parts;

  return async ({ taskId, requester, last, signal }: FollowRequest): Promise<AsyncIterable<Told> | undefined> => {
    const found = await store.get(taskId);
    if (!found || !maySee(requester, found.task)) throw taskNotFound(taskId);
    const { history } = found.task;
    // numbers that were never told begin anew
    const next = last === undefined || last > history.length ? 0 : last + 1;
    if (hasEnded(found.task) && next > history.length) return undefined;
    return follow(taskId, next, AbortSignal.any([signal, stopping]));
  };

  async function* follow(taskId: string, first: number, over: AbortSignal): AsyncGenerator<Told> {
    let next = first;
    let toldAt = performance.now();
    let shownPlace: QueuePlace | undefined;
    for (let shown: PullProgress | undefined; !over.aborted;) {
      // begins before the look, so that nothing falls between the two
      let change = news.next(taskId, progressMs, over);
      const task = await look(taskId);
      if (task === 'gone') return;
      for (const step of task?.history.slice(next) ?? []) {
        yield { kind: WARNINGS.has(step.reason) ? 'warning' : 'step', number: next, step };
        next += 1;
        toldAt = performance.now();
      }
      if (task && hasEnded(task)) {
        yield { kind: 'end', number: task.history.length, task };
        return;
      }
      const lookAt = performance.now() + lookMs;
      for (let changed = false; !changed && performance.now() < lookAt && !over.aborted;) {
        const [progress, place] = [news.progressOf(taskId), news.placeOf(taskId)];
        if (progress !== undefined && progress !== shown) {
          shown = progress;
          yield { kind: 'progress', progress };
          toldAt = performance.now();
        } else if (place !== undefined && place !== shownPlace) {
          shownPlace = place;
          yield { kind: 'waiting', place };
          toldAt = performance.now();
        } else if (performance.now() - toldAt >= pulseMs) {
          yield { kind: 'pulse' };
          toldAt = performance.now();
        }
        changed = await change;
        change = news.next(taskId, progressMs, over);
      }
    }
  }

  /** Undefined while the store is away: a follower is not sent away for that. */
  async function look(taskId: string): Promise<Task | 'gone' | undefined> {
    try {
      return (await store.get(taskId))?.task ?? 'gone';
    } catch (error) {
      if (error instanceof AppError && error.kind === 'unavailable') return undefined;
      throw error;
    }
  }
}
