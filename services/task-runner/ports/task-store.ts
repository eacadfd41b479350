import type { EventType, EventData } from '../../../shared/contracts/events';
import type { PartlyTold } from '../../../shared/contracts/task';
import type { Keyset, Position } from '../../../shared/http/paging';
import type { PlaceLimits } from '../domain/places';
import type { Task, TaskStatus } from '../domain/task';

/** The tasks, all of them for ever. */
export interface TaskStore {
  /**
   * Writes a new task, its place among the open ones and, when it has a `requestKey`, what that stands for, all or none.
   * However many ask at once, of however many replicas, `limits` hold.
   * @param fingerprint of the request that came with the key
   * @returns what the key already stands for; then nothing is written
   * @throws `task.limit_reached`: nothing is written
   */
  insert(task: Task, limits: PlaceLimits, fingerprint?: string): Promise<Remembered | undefined>;

  /** Undefined when there is none. `version` changes with every write. */
  get(id: string): Promise<Versioned | undefined>;

  /** What a `requestKey` stands for; for a day. */
  remembered(requestKey: string): Promise<Remembered | undefined>;

  /**
   * Writes the task and the event that tells of the change, both or none; the event is published some time later, at
   * least once. A task that has ended gives up its place in the same write.
   * @throws `task.version_conflict` when the stored version is another: nothing is written
   */
  save(task: Task, version: string, event?: TaskEvent): Promise<void>;

  /**
   * Forgets a task that was refused before anything was taken for it, its place, and what its `requestKey` stood for.
   * @throws `task.version_conflict`
   */
  discard(task: Task, version: string): Promise<void>;

  /** Newest first, ties by id, whichever way they are read. May lag behind a write of another process by nothing more than its commit. */
  list(query: TaskQuery): Promise<ListedTask[]>;

  /** Ids of the tasks for which `isOpen` holds, oldest first. */
  listOpen(): Promise<OpenTask[]>;

  /** The tasks in state Running, oldest first. */
  listRunning(): Promise<RunningTask[]>;

  /** Tasks that live and hold capacity, or have lost it: a page in order of `createdAt` and id, after the one named. */
  listLeases(limit: number, after?: Pick<TaskLease, 'createdAt' | 'id'>): Promise<TaskLease[]>;
}

export interface Versioned {
  task: Task;
  version: string;
}

export type OpenTask = Pick<Task, 'id' | 'serviceType' | 'status' | 'capacityState'> & {
  /** When it entered its state. */
  since: string;
};

export type RunningTask = Pick<Task, 'id' | 'serviceType' | 'startTime' | 'stay'>;

export type TaskLease = Pick<Task, 'id' | 'createdAt' | 'poolId' | 'allocationId' | 'capacityState'>;

/** The task that an Idempotency-Key made, and the fingerprint of what was asked. */
export interface Remembered {
  taskId: string;
  fingerprint: string;
}

export type TaskEvent = {
  [T in Extract<EventType, `task.${string}`>]: { id: string; type: T; time: string; data: EventData<T> };
}[Extract<EventType, `task.${string}`>];

/** A task without what a list does not show: a page of them is read much faster. */
export type ListedTask = Omit<Task, (typeof UNLISTED)[number]>;

/** Where it stands in a list. */
export function keysetOf({ createdAt, id }: Pick<Task, 'createdAt' | 'id'>): Keyset {
  return { at: createdAt, id };
}
export const UNLISTED = ['history', 'secret', 'trace', 'requestKey'] as const;

/** What is told of a task narrows a list to those of which just this is told. */
export interface TaskQuery extends PartlyTold, Position {
  /** Any of these. */
  status?: readonly TaskStatus[] | undefined;
  /** Created then or later. */
  from?: string | undefined;
  /** Created earlier than then. */
  to?: string | undefined;
  limit: number;
}
