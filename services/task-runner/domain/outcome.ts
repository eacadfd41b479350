import type { ErrorKind } from '../../../shared/errors';
import type { EndReason } from './stay';

/** How tasks end, and why. Pure. */

/** `system` when no person asked for it. */
export type Actor = string;

/** How a task ends, decided when it enters `Stopping` and never changed. */
export interface Outcome {
  status: 'Stopped' | 'Error';
  /** `stopped_by_user`, `idle_timeout`, `max_age`, `exited`, `crashed`, `oom_killed`, `container_lost`, or the code of the problem. An open set. */
  reason: string;
  actor: Actor;
  at: string;
  /** When the container ended by its own account; null when it is still to be stopped, or nobody knows. */
  finishedAt: string | null;
  exitCode: number | null;
  /** What its owner is told; null for an orderly end. */
  problem: Problem | null;
}

export interface Problem {
  kind: ErrorKind;
  code: string;
  detail: string;
  /** The last that its program wrote, oldest first; empty when it never ran, or nobody could ask. */
  logTail: readonly string[];
}

/** How a container that ended on its own ends its task. */
export function outcomeOfExit(
  exit: { exitCode: number | null; finishedAt: string | null; oomKilled: boolean } | undefined,
  at: string,
  logTail: readonly string[] = [],
): Outcome {
  const common = { actor: 'system', at, finishedAt: exit?.finishedAt ?? null, exitCode: exit?.exitCode ?? null };
  const failed = (reason: string, detail: string): Outcome => ({
    ...common,
    status: 'Error',
    reason,
    problem: { kind: 'upstream_failed', code: `task.${reason}`, detail, logTail },
  });
  // a program may live on when memory ran out for a child of it
  if (exit?.oomKilled && exit.exitCode !== 0) {
    return failed('oom_killed', 'The container needed more memory than its service type allows and was ended.');
  }
  if (exit?.exitCode === 0) return { ...common, status: 'Stopped', reason: 'exited', problem: null };
  if (exit === undefined || exit.exitCode === null) {
    return failed('container_lost', 'The container is gone and nobody knows how it ended; start a new task.');
  }
  return failed('crashed', `The container ended by itself with exit code ${exit.exitCode}.`);
}

/** How a start that cannot go on ends its task. */
export function outcomeOfFailure(
  failure: Pick<Problem, 'kind' | 'code' | 'detail'>,
  at: string,
  logTail: readonly string[] = [],
): Outcome {
  const { kind, code, detail } = failure;
  const problem = { kind, code, detail, logTail };
  const reason = problem.code.slice(problem.code.indexOf('.') + 1);
  return { status: 'Error', reason, actor: 'system', at, finishedAt: null, exitCode: null, problem };
}

/** How a task ends whose capacity was lost and is not to be had again. */
export function outcomeOfLostCapacity(refusal: string, at: string): Outcome {
  const detail = `The lease of its capacity ran out while nobody renewed it, and its pool gives none now (${refusal}); start a new task.`;
  return outcomeOfFailure({ kind: 'upstream_failed', code: 'task.capacity_lost', detail }, at);
}

/** How a task ends that may stay no longer. */
export function outcomeOfStay(reason: EndReason, at: string): Outcome {
  const nobodyKnows = { finishedAt: null, exitCode: null };
  return { status: 'Stopped', reason, actor: 'system', at, ...nobodyKnows, problem: null };
}

/** How a person ends a task. */
export function outcomeOfStop(task: { userId: string }, actor: Actor, at: string): Outcome {
  return {
    status: 'Stopped',
    reason: actor === task.userId ? 'stopped_by_user' : 'stopped_by_admin',
    actor,
    at,
    finishedAt: null,
    exitCode: null,
    problem: null,
  };
}
