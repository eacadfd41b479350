import type { QueuePlace } from '../ports/capacity';
import type { PullProgress } from '../ports/container-runtime';

/**
 * What this process knows of tasks before, or beside, what is stored: that one has just changed, how far the pull of
 * its image is, and where it stands in the line for capacity. Nothing depends on it: who misses it finds the change in the store a little later.
 */
export class TaskNews {
  private readonly waiting = new Map<string, Set<() => void>>();
  private readonly pulls = new Map<string, PullProgress>();
  private readonly places = new Map<string, QueuePlace>();

  changed(taskId: string): void {
    for (const wake of this.waiting.get(taskId) ?? []) wake();
  }

  /** @param progress undefined: it is pulled no longer */
  pulled(taskId: string, progress: PullProgress | undefined): void {
    if (progress) this.pulls.set(taskId, progress);
    else this.pulls.delete(taskId);
  }

  progressOf(taskId: string): PullProgress | undefined {
    return this.pulls.get(taskId);
  }

  /** @param place undefined: it waits no longer */
  waits(taskId: string, place: QueuePlace | undefined): void {
    const before = this.places.get(taskId);
    // one that stays where it is stays the same
    if (place && before?.position === place.position && before.reason === place.reason) return;
    if (place) this.places.set(taskId, place);
    else this.places.delete(taskId);
  }

  placeOf(taskId: string): QueuePlace | undefined {
    return this.places.get(taskId);
  }

  /** Waits for a change, for so long at most, and no longer than until `signal` aborts. @returns whether there was one */
  next(taskId: string, ms: number, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const waiting = this.waiting.get(taskId) ?? new Set();
      this.waiting.set(taskId, waiting);
      const end = (changed: boolean): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', giveUp);
        waiting.delete(wake);
        if (waiting.size === 0 && this.waiting.get(taskId) === waiting) this.waiting.delete(taskId);
        resolve(changed);
      };
      const wake = (): void => end(true);
      const giveUp = (): void => end(false);
      const timer = setTimeout(giveUp, signal.aborted ? 0 : ms);
      signal.addEventListener('abort', giveUp, { once: true });
      waiting.add(wake);
    });
  }
}
