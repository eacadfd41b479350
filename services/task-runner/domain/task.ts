import type { ToldOfTask } from '../../../shared/contracts/task';
import type { Actor, Outcome } from './outcome';
import { NEW_STAY, type Stay } from './stay';

/**
 * The life of a task, without I/O and without a clock.
 *
 *   Pending ──► Pulling ──► Starting ──► Running ──► Stopping ──► Stopped | Error
 *      ├───────────┼───────────▲                       ▲
 *      └───────────┴───────────┴───────────────────────┘
 *
 * Each state is stored before the side effect that it announces: `Pending` before capacity is taken, `Pulling` before its
 * image is fetched (skipped when that is there), `Starting` before the container exists, `Stopping` (with the outcome, already decided) before anything is taken away. So whoever finds a
 * task in any state, after any crash, knows what may exist and how to go on.
 */
export const TASK_STATUSES = ['Pending', 'Pulling', 'Starting', 'Running', 'Stopping', 'Stopped', 'Error'] as const;
export type TaskStatus = (typeof TASK_STATUSES)[number];

/**
 * `wanted`: may or may not be taken; `held`: taken, under a lease; `lost`: the lease ran out, and what is to take its place
 * may or may not be taken; `returned`: given back, or certainly never taken.
 */
export const CAPACITY_STATES = ['wanted', 'held', 'lost', 'returned'] as const;
export type CapacityState = (typeof CAPACITY_STATES)[number];

export interface Step {
  status: TaskStatus;
  at: string;
  reason: string;
  actor: Actor;
}

interface Wait {
  until: string;
  /** The pool has put it into its line; how it goes on only the pool knows. */
  inLine: boolean;
}

export interface Task extends ToldOfTask {
  id: string;
  status: TaskStatus;
  createdAt: string;
  createdBy: string;
  /** Goes into the container and its URL, so that only who knows the URL gets in. Never logged. */
  secret: string;
  containerId: string | null;
  /** Port on the host. */
  port: number | null;
  iframeUrl: string | null;
  /** When the container was ready. */
  startTime: string | null;
  stopTime: string | null;
  poolId: string;
  /** What it asked for, or holds, or held last. */
  allocationId: string;
  /**
   * What it asks for instead of a lost allocation, written down before it is asked for; otherwise null. An id whose
   * lease ran out is never granted again.
   */
  nextAllocationId: string | null;
  /** Units of the pool. */
  capacity: number;
  capacityState: CapacityState;
  /** Who gets it first when several wait: the larger. */
  priority: number;
  /** Set when it may wait for capacity that is not there at once. */
  wait: Wait | null;
  /** Whether it is counted among the open tasks (domain/places.ts). The store gives up its place with its end. */
  placed: boolean;
  stay: Stay;
  outcome: Outcome | null;
  history: readonly Step[];
  /** Names the row of the Idempotency-Key that asked for it; null without one. */
  requestKey: string | null;
  /** W3C trace context of that request: what happens to the task by itself is told as part of it. */
  trace: string | null;
}

const NEXT: Record<TaskStatus, readonly TaskStatus[]> = {
  Pending: ['Pulling', 'Starting', 'Stopping'],
  Pulling: ['Starting', 'Stopping'],
  Starting: ['Running', 'Stopping'],
  Running: ['Stopping'],
  Stopping: ['Stopped', 'Error'],
  Stopped: [],
  Error: [],
};

export function isLegal(from: TaskStatus, to: TaskStatus): boolean {
  return NEXT[from].includes(to);
}

/** Nothing more happens to such a task. */
export function hasEnded(task: Pick<Task, 'status'>): boolean {
  return NEXT[task.status].length === 0;
}

/** True until the task has ended and its capacity is surely back: what reconciliation still has to look after. */
export function isOpen(task: Task): boolean {
  return !hasEnded(task) || task.capacityState !== 'returned';
}

function moved(task: Task, step: Step): Task {
  if (!isLegal(task.status, step.status)) {
    throw new Error(`task ${task.id} cannot go from ${task.status} to ${step.status}`);
  }
  return { ...task, status: step.status, history: [...task.history, step] };
}

export interface NewTask
  extends
    ToldOfTask,
    Pick<
      Task,
      'id' | 'createdAt' | 'createdBy' | 'secret' | 'poolId' | 'allocationId' | 'capacity' | 'requestKey' | 'trace'
    > {
  priority?: number | undefined;
  /** Seconds that it may wait for its capacity; 0 when absent. */
  waitSeconds?: number | undefined;
}

export function newTask({ priority = 0, waitSeconds = 0, ...given }: NewTask): Task {
  return {
    ...given,
    priority,
    wait: waitSeconds === 0 ? null : { until: laterBy(waitSeconds, given.createdAt), inLine: false },
    status: 'Pending',
    containerId: null,
    port: null,
    iframeUrl: null,
    startTime: null,
    stopTime: null,
    nextAllocationId: null,
    capacityState: 'wanted',
    placed: true,
    stay: NEW_STAY,
    outcome: null,
    history: [{ status: 'Pending', at: given.createdAt, reason: 'requested', actor: given.createdBy }],
  };
}

function laterBy(seconds: number, time: string): string {
  return new Date(Date.parse(time) + seconds * 1000).toISOString();
}

/** Its capacity is not there, or nobody knows whether it is; it may stand in its pool's line. */
export function waiting(task: Task, at: string): Task {
  const { status, wait } = task;
  if (status !== 'Pending' || wait === null) throw new Error(`task ${task.id} cannot wait in state ${status}`);
  const step = { status, at, reason: 'waiting_for_capacity', actor: 'system' };
  return { ...task, wait: { ...wait, inLine: true }, history: [...task.history, step] };
}

/** It waits for capacity, and is not forgotten when that is refused. */
export function isWaiting({ status, wait }: Pick<Task, 'status' | 'wait'>): boolean {
  return status === 'Pending' && wait?.inLine === true;
}

/** Its capacity is taken; from now on its image is fetched. */
export function pulling(task: Task, at: string): Task {
  return {
    ...moved(task, { status: 'Pulling', at, reason: 'capacity_taken', actor: 'system' }),
    capacityState: 'held',
  };
}

/** Its capacity is taken and its image is there; from now on a container may exist. */
export function starting(task: Task, at: string): Task {
  if (task.status === 'Pulling')
    return moved(task, { status: 'Starting', at, reason: 'image_pulled', actor: 'system' });
  return {
    ...moved(task, { status: 'Starting', at, reason: 'capacity_taken', actor: 'system' }),
    capacityState: 'held',
  };
}

/** True while a container may be running, or is to be made, for which capacity must be held. */
export function usesCapacity({ status }: Pick<Task, 'status'>): boolean {
  return status === 'Pulling' || status === 'Starting' || status === 'Running';
}

/** Its lease ran out while it lives; it asks for capacity anew under `nextAllocationId`, and stays what it is meanwhile. */
export function capacityLost(task: Task, nextAllocationId: string, at: string): Task {
  const { status } = task;
  return {
    ...task,
    capacityState: 'lost',
    nextAllocationId,
    history: [...task.history, { status, at, reason: 'lease_expired', actor: 'system' }],
  };
}

/** What it asked for in place of lost capacity is taken. */
export function capacityRetaken(task: Task, at: string): Task {
  const { status } = task;
  return {
    ...task,
    capacityState: 'held',
    allocationId: wantedAllocation(task),
    nextAllocationId: null,
    history: [...task.history, { status, at, reason: 'capacity_taken', actor: 'system' }],
  };
}

/** The only allocation that may be held for the task now: the one to take, and to give back. */
export function wantedAllocation({ allocationId, nextAllocationId }: Task): string {
  return nextAllocationId ?? allocationId;
}

export function running(task: Task, seen: { containerId: string; port: number; iframeUrl: string; at: string }): Task {
  return {
    ...moved(task, { status: 'Running', at: seen.at, reason: 'ready', actor: 'system' }),
    containerId: seen.containerId,
    port: seen.port,
    iframeUrl: seen.iframeUrl,
    startTime: seen.at,
  };
}

/** The outcome is decided; from now on the container and the capacity may be gone. */
export function stopping(task: Task, outcome: Outcome): Task {
  return {
    ...moved(task, { status: 'Stopping', at: outcome.at, reason: outcome.reason, actor: outcome.actor }),
    outcome,
  };
}

/**
 * The container is gone.
 * @param seen.finishedAt,seen.exitCode what the container itself told on the way, if it was still there to ask
 */
export function ended(
  task: Task,
  seen: { at: string; finishedAt: string | null; exitCode: number | null; capacityState: CapacityState },
): Task {
  const { outcome } = task;
  if (outcome === null) throw new Error(`task ${task.id} ends without an outcome`);
  const finished = outcome.finishedAt ?? seen.finishedAt ?? outcome.at;
  return {
    ...moved(task, { status: outcome.status, at: seen.at, reason: outcome.reason, actor: outcome.actor }),
    // another machine's clock may be behind ours: a use never ends before it began
    stopTime: task.startTime !== null && finished < task.startTime ? task.startTime : finished,
    outcome: { ...outcome, exitCode: outcome.exitCode ?? seen.exitCode },
    capacityState: seen.capacityState,
  };
}

/** True when a container of the task may exist or have existed. */
export function mayHaveContainer(task: Task): boolean {
  return task.history.some((step) => step.status === 'Starting');
}
