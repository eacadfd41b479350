import { noContainer, taskNotFound } from '../domain/errors';
import { hasEnded, type Task } from '../domain/task';
import type { ContainerRuntime, LogLine } from '../ports/container-runtime';
import type { TaskStore } from '../ports/task-store';
import { withoutSecret } from './last-lines';
import { maySee, type Requester } from './requester';
import type { TaskSamples, Usage } from './task-samples';

export interface LogsRequest {
  taskId: string;
  requester: Requester;
  tail: number;
  follow: boolean;
  /** Aborted when the reader hangs up. */
  signal: AbortSignal;
}

/**
 * What a task's program writes, oldest first, without the task's secret.
 * @param parts.stopping aborted when the service ends
 * @throws `task.not_found`, also for a task of somebody else; `task.no_container`, `runtime.unavailable`
 */
export function createReadLogs(parts: {
  store: Pick<TaskStore, 'get'>;
  runtime: Pick<ContainerRuntime, 'inspect' | 'logs'>;
  stopping: AbortSignal;
}) {
  const { store, runtime, stopping } = parts;

  return async ({ taskId, requester, tail, follow, signal }: LogsRequest): Promise<AsyncIterable<LogLine>> => {
    const task = await taskFor(store, taskId, requester);
    // asked before the answer begins: later nothing more can be said than that it breaks off
    if (!(await runtime.inspect(taskId))) throw noContainer(task.status, hasEnded(task));
    return lines(task, runtime.logs(taskId, { tail, follow }, AbortSignal.any([signal, stopping])));
  };

  async function* lines(task: Task, written: AsyncIterable<LogLine>): AsyncGenerator<LogLine> {
    for await (const line of written) yield { ...line, text: withoutSecret(line.text, task) };
  }
}

export interface TaskStats {
  now: Usage;
  /** What this process saw in the last minutes, oldest first. */
  series: readonly Usage[];
}

/**
 * What a task's container uses.
 * @throws `task.not_found`, also for a task of somebody else; `task.no_container`, `runtime.unavailable`
 */
export function createReadStats(parts: {
  store: Pick<TaskStore, 'get'>;
  runtime: Pick<ContainerRuntime, 'stats'>;
  samples: TaskSamples;
}) {
  const { store, runtime, samples } = parts;

  return async (taskId: string, requester: Requester): Promise<TaskStats> => {
    const task = await taskFor(store, taskId, requester);
    const sample = await runtime.stats(taskId);
    if (!sample) throw noContainer(task.status, hasEnded(task));
    // it does not join the series: who asks often would make of every keep-alive a burst
    return { now: samples.usageOf(taskId, sample), series: samples.of(taskId) };
  };
}

async function taskFor(store: Pick<TaskStore, 'get'>, taskId: string, requester: Requester): Promise<Task> {
  const found = await store.get(taskId);
  if (!found || !maySee(requester, found.task)) throw taskNotFound(taskId);
  return found.task;
}
