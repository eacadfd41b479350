import type { Fence } from '../domain/service-type';

/**
 * What runs containers: the Docker Engine today, pods next. A container belongs to one task and is found by the task's
 * id, so nothing needs to be remembered between making it and writing down that it is made.
 *
 * Every method throws `runtime.unavailable` when the runtime does not answer in time; what was asked may then have
 * happened or not, and asking again is safe.
 */
export interface ContainerRuntime {
  /** Resolves when the runtime answers. */
  ping(): Promise<void>;

  /**
   * After it, a container of the task exists and was started once. Asked again for the same task it makes no second one:
   * it starts the one that was only created and returns one that already ended as it is (`running: false`).
   * Does not promise that the program inside is ready, or still runs.
   * The volumes of its fence are those of the same user and service type before, or new ones.
   * @throws `runtime.image_missing`, `task.start_failed` (a container that was created then remains, for `remove`)
   */
  start(spec: ContainerSpec): Promise<ContainerState>;

  /** The task's container as it is now; undefined when there is none. */
  inspect(taskId: string): Promise<ContainerState | undefined>;

  /**
   * After it, the program has ended: by itself on the polite signal, or killed after the grace period. One that has
   * already ended keeps its own exit code and time. Undefined when there is no container.
   */
  stop(taskId: string, graceSeconds: number): Promise<ContainerState | undefined>;

  /** After it, the container and what it wrote outside of volumes is gone. No container: nothing to do. */
  remove(taskId: string): Promise<void>;

  /** Every container of this instance of the system, running or not, in no order. Never another instance's. */
  list(): Promise<ContainerSummary[]>;

  /**
   * Calls `onExit` when a container of this instance ends, within a second, at least once while the watch lasts. Ends
   * of times when nobody watched are not told: after `onReady` the caller looks for itself.
   * Resolves when `signal` aborts, rejects with `runtime.unavailable` when the runtime goes away.
   */
  watch(handlers: { onReady: () => void; onExit: (exit: ContainerExit) => void }, signal: AbortSignal): Promise<void>;
}

export interface ContainerSpec {
  taskId: string;
  userId: string;
  serviceType: string;
  image: string;
  /** Null: what the image says. */
  command: readonly string[] | null;
  env: Readonly<Record<string, string>>;
  containerPort: number;
  fence: Fence;
}

export interface ContainerState {
  taskId: string;
  containerId: string;
  running: boolean;
  /** Port on the host; null when the container does not run. */
  port: number | null;
  /** RFC 3339 by the runtime's clock; null while it runs. */
  finishedAt: string | null;
  exitCode: number | null;
  oomKilled: boolean;
}

export interface ContainerSummary {
  taskId: string;
  running: boolean;
  /** RFC 3339 by the runtime's clock. */
  createdAt: string;
}

export interface ContainerExit {
  taskId: string;
  exitCode: number | null;
  at: string;
}
