import type { Task } from '../domain/task';
import type { ContainerRuntime } from '../ports/container-runtime';

const LINES = 20;
/** Of all lines together. */
const CHARACTERS = 4_096;
const PATIENCE_MS = 2_000;

/**
 * The last that a task's program wrote, oldest first, without the task's secret. Nothing when there is no container or
 * the runtime does not tell in time: an end is never kept waiting by what would explain it.
 */
export async function lastLines(runtime: Pick<ContainerRuntime, 'logs'>, task: Task): Promise<string[]> {
  const lines: string[] = [];
  const signal = AbortSignal.timeout(PATIENCE_MS);
  try {
    for await (const { text } of runtime.logs(task.id, { tail: LINES }, signal)) {
      lines.push(withoutSecret(text, task));
    }
  } catch {
    return [];
  }
  let left = CHARACTERS;
  const kept = lines.reverse().flatMap((line) => {
    const text = line.slice(0, left);
    left -= text.length;
    return left > 0 || text.length > 0 ? [text] : [];
  });
  return kept.reverse();
}

export function withoutSecret(text: string, task: Pick<Task, 'secret'>): string {
  return text.replaceAll(task.secret, '…');
}
