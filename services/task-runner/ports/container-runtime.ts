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

  /** True when `start` finds the image without asking a registry. It may be gone a moment later. */
  hasImage(image: string): Promise<boolean>;

  /**
   * After it, the image is there; one that is there already is not asked for again. `onProgress` hears of every piece
   * that arrives or is unpacked, and of nothing else, so silence means that nothing moves. Rejects with the signal's
   * reason as soon as it aborts; what has arrived may be kept. Does not promise to end by itself when a registry falls
   * silent, nor that two pulls of one image share their work.
   * @throws `runtime.image_missing`: the registry answers, and has no such image, or not for us;
   *   `runtime.pull_failed`: whatever else went wrong, in the registry's words where there are any
   */
  pull(image: string, onProgress: (progress: PullProgress) => void, signal: AbortSignal): Promise<void>;

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
   * What the program wrote, oldest first, as far as the runtime kept it; nothing when there is no container. With
   * `follow` also what it writes from now on, until it ends. A line longer than LONGEST_LINE comes in pieces. The order
   * of the two streams against each other is the runtime's. Ends when `signal` aborts; throws `runtime.unavailable`
   * when the runtime goes away meanwhile.
   */
  logs(taskId: string, wanted: LogsWanted, signal: AbortSignal): AsyncIterable<LogLine>;

  /** One sample of what a running container uses; undefined when none runs. */
  stats(taskId: string): Promise<StatsSample | undefined>;

  /**
   * Calls `onExit` when a container of this instance ends, within a second, at least once while the watch lasts, and
   * says whether memory ran out in it. Ends of times when nobody watched are not told: after `onReady` the caller looks
   * for itself.
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
  /** A process in it was killed for want of memory. */
  oomKilled: boolean;
}

/** How far a pull is, over all layers that are not there yet. */
export interface PullProgress {
  /** Bytes that have arrived; never falls. */
  bytes: number;
  /** Of so many, as far as the registry has told; grows while it still tells. */
  totalBytes: number;
  /** Share that has arrived, where layers of unknown size count as the mean of the others; 0 to 100, never falls. */
  percent: number;
}

/** Characters. */
export const LONGEST_LINE = 16_384;

export interface LogsWanted {
  /** So many of the last lines; all that there are without it. */
  tail?: number | undefined;
  follow?: boolean | undefined;
  /** Lines from this time on, RFC 3339. */
  since?: string | undefined;
}

export interface LogLine {
  stream: 'stdout' | 'stderr';
  /** RFC 3339 by the runtime's clock. */
  at: string;
  /** Without its line break; what is no UTF-8 is replaced. */
  text: string;
}

export interface StatsSample {
  /** RFC 3339 by the runtime's clock. */
  at: string;
  /** CPU time used since the container began, in nanoseconds. */
  cpuNanos: number;
  /** Without the page cache that could be given up at once. */
  memoryBytes: number;
  memoryLimitBytes: number;
  /** Since the container began, over all its networks. */
  networkRxBytes: number;
  networkTxBytes: number;
  pids: number;
}
