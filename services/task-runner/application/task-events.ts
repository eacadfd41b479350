import { durationBetween } from '../../../shared/contracts/duration';
import { uuidFromName } from '../../../shared/contracts/ids';
import { toldOf } from '../../../shared/contracts/task';
import type { Task } from '../domain/task';
import type { TaskEvent } from '../ports/task-store';

/** The event of a task is the same one however often it is told: its id follows from task and type. */
function identify<T extends TaskEvent['type']>(
  task: Task,
  type: T,
  time: string,
): { id: string; type: T; time: string } {
  return { id: uuidFromName(`${type} ${task.id}`), type, time };
}

function common(task: Task) {
  const held = task.capacityState !== 'wanted';
  return {
    taskId: task.id,
    ...toldOf(task),
    allocationId: held ? task.allocationId : null,
    poolId: held ? task.poolId : null,
    capacity: held ? task.capacity : null,
  };
}

/** @param task in state Running */
export function startedEvent(task: Task): TaskEvent {
  const startTime = known(task.startTime, task);
  return { ...identify(task, 'task.started', startTime), data: { ...common(task), startTime } };
}

/**
 * @param task in state Stopped or Error
 * @returns `task.stopped` for a use that came to an orderly end; `task.failed` for all else, also for a start that was
 *   cancelled: it never became a use
 */
export function endedEvent(task: Task): TaskEvent {
  const stopTime = known(task.stopTime, task);
  const outcome = known(task.outcome, task);
  const end = {
    ...common(task),
    stopTime,
    duration: durationBetween(task.startTime ?? stopTime, stopTime),
    reason: outcome.reason,
    actor: outcome.actor,
    exitCode: outcome.exitCode,
  };
  if (task.status === 'Stopped' && task.startTime !== null) {
    return { ...identify(task, 'task.stopped', outcome.at), data: { ...end, startTime: task.startTime } };
  }
  return { ...identify(task, 'task.failed', outcome.at), data: { ...end, startTime: task.startTime } };
}

function known<T>(value: T | null, task: Task): T {
  if (value === null) throw new Error(`task ${task.id} has no event yet in state ${task.status}`);
  return value;
}
