import { rateBetween } from '../domain/usage';
import type { StatsSample } from '../ports/container-runtime';

/** A sample, and how many cores were used on average since the one before; null for the first. */
export interface Usage extends StatsSample {
  cpuCores: number | null;
}

const KEPT = 60;

/** What this process has seen running tasks use in the last minutes. Nothing that is decided depends on more than two samples. */
export class TaskSamples {
  private readonly series = new Map<string, { usages: Usage[]; takenMs: number }>();

  /** @param takenMs by our own clock: the sample has the runtime's */
  add(taskId: string, sample: StatsSample, takenMs: number): void {
    const usages = [...this.of(taskId), this.usageOf(taskId, sample)].slice(-KEPT);
    this.series.set(taskId, { usages, takenMs });
  }

  usageOf(taskId: string, sample: StatsSample): Usage {
    const before = this.of(taskId).at(-1);
    return { ...sample, cpuCores: (before && rateBetween(before, sample)?.cpuCores) ?? null };
  }

  /** Oldest first. */
  of(taskId: string): readonly Usage[] {
    return this.series.get(taskId)?.usages ?? [];
  }

  takenMs(taskId: string): number | undefined {
    return this.series.get(taskId)?.takenMs;
  }

  /** Forgets those of all other tasks. */
  keepOnly(taskIds: ReadonlySet<string>): void {
    for (const taskId of this.series.keys()) if (!taskIds.has(taskId)) this.series.delete(taskId);
  }
}
