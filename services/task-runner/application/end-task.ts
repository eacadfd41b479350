import { hasCode } from '../../../shared/errors';
import { startInterrupted } from '../domain/errors';
import { outcomeOfExit, outcomeOfFailure, outcomeOfStay, type Outcome } from '../domain/outcome';
import type { ServiceType } from '../domain/service-type';
import { dueOf, endOf } from '../domain/lifetime';
import { hasEnded, stopping, wantedAllocation, type Task } from '../domain/task';
import type { Capacity } from '../ports/capacity';
import type { ContainerExit, ContainerRuntime, ContainerState } from '../ports/container-runtime';
import type { TaskStore } from '../ports/task-store';
import { lastLines } from './last-lines';
import type { Settler } from './settle-task';

export interface EndTaskParts {
  store: TaskStore;
  runtime: Pick<ContainerRuntime, 'inspect' | 'logs'>;
  capacity: Pick<Capacity, 'giveBack'>;
  serviceTypes: ReadonlyMap<string, ServiceType>;
  settler: Settler;
  now: () => string;
}

/** Ends tasks that nobody stops: what the world already did is written down and cleared away. */
export interface EndTask {
  /**
   * Ends a Running task whose container has ended or is gone; any other task stays as it is.
   * @param told what an event said, for a container that is gone when we look
   */
  ofDeadContainer(taskId: string, told?: ContainerExit): Promise<void>;
  /** Ends a Pending task whose request is gone with the process that served it. */
  ofAbandonedStart(taskId: string): Promise<void>;
  /** Ends a Running task that may stay no longer; one that was active or extended in time stays as it is. */
  ofSpentStay(taskId: string): Promise<void>;
  /** Gives back what an ended task still holds or may hold. */
  giveBackOwed(taskId: string): Promise<void>;
}

export function createEndTask({ store, runtime, capacity, serviceTypes, settler, now }: EndTaskParts): EndTask {
  async function decide(
    taskId: string,
    decision: (task: Task) => Outcome | undefined | Promise<Outcome | undefined>,
  ): Promise<void> {
    const found = await store.get(taskId);
    const outcome = found && (await decision(found.task));
    if (!found || !outcome) return;
    try {
      await store.save(stopping(found.task, outcome), found.version);
    } catch (error) {
      // somebody else is at work on it; if that was not about its end, the next round of looking finds it again
      if (hasCode(error, 'task.version_conflict')) return;
      throw error;
    }
    await settler.settle(taskId);
  }

  return {
    ofDeadContainer: (taskId, told) =>
      decide(taskId, async (task) => {
        if (task.status !== 'Running') return undefined;
        const state = await runtime.inspect(taskId);
        if (isServing(state, task)) return undefined;
        const heard = told && { exitCode: told.exitCode, finishedAt: told.at, oomKilled: told.oomKilled };
        return outcomeOfExit(state && !state.running ? state : heard, now(), await lastLines(runtime, task));
      }),

    ofAbandonedStart: (taskId) =>
      decide(taskId, async (task) => {
        if (task.status !== 'Pending') return undefined;
        const { kind, code, message: detail } = startInterrupted();
        return outcomeOfFailure({ kind, code, detail }, now());
      }),

    ofSpentStay: (taskId) =>
      decide(taskId, (task) => {
        const lifetime = serviceTypes.get(task.serviceType)?.lifetime;
        const at = now();
        if (task.status !== 'Running' || !lifetime || dueOf(task, lifetime, at) !== 'end') return undefined;
        const end = endOf(task, lifetime);
        return end && outcomeOfStay(end.reason, at);
      }),

    giveBackOwed: async (taskId) => {
      const found = await store.get(taskId);
      if (!found || !hasEnded(found.task) || found.task.capacityState === 'returned') return;
      await capacity.giveBack(wantedAllocation(found.task));
      await store.save({ ...found.task, capacityState: 'returned' }, found.version);
    },
  };
}

/** A container that somebody restarted has another port: the task's URL leads nowhere, so its use has ended. */
function isServing(state: ContainerState | undefined, task: Task): boolean {
  return state !== undefined && state.running && state.port === task.port;
}
