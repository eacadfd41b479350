import { setImmediate as turn } from 'node:timers/promises';
import { imageMissing, runtimeUnavailable, startFailed } from '../domain/errors';
import type {
  ContainerExit,
  ContainerRuntime,
  ContainerSpec,
  ContainerState,
  ContainerSummary,
  LogLine,
  LogsWanted,
  PullProgress,
  StatsSample,
} from '../ports/container-runtime';
import { MemoryVolumes } from './memory-volumes';

type Call = 'ping' | 'image' | 'pull' | 'start' | 'inspect' | 'stop' | 'remove' | 'list' | 'logs' | 'stats' | 'watch';

interface Held {
  spec: ContainerSpec;
  state: ContainerState;
  createdAt: string;
  lines: LogLine[];
  /** Wakes whoever follows its lines. */
  readers: Set<() => void>;
}

/** An image that a registry holds. */
export interface RemoteImage {
  /** Bytes; each arrives in pieces of a quarter. */
  layers: readonly number[];
  /** Called before each piece; what it throws, the pull throws, and while it waits nothing moves. */
  piece?: (bytesSoFar: number) => void | Promise<void>;
}

/**
 * A container runtime in memory that can be told to fail at any point. A program is a name in `spec.image`: whatever is
 * in `images` runs until it is stopped.
 */
export class MemoryRuntime implements ContainerRuntime {
  /** What can be started; others are missing. */
  readonly images = new Set(['memory/web']);
  /** What can be pulled. */
  readonly registry = new Map<string, RemoteImage>();
  /** Every call in order, as `start <task id>`. */
  readonly calls: string[] = [];
  /** While true, every call fails and every watch breaks, but the containers go on. */
  private away = false;
  readonly volumes: MemoryVolumes;
  /** Called before and after each call; what it throws, the call throws. */
  interfere: (when: 'before' | 'after', call: Call, taskId: string | undefined) => void | Promise<void> = () => {};

  /** What `stats` tells of a container beside a little of everything, by task. */
  readonly used = new Map<string, Partial<StatsSample>>();

  private readonly containers = new Map<string, Held>();
  private readonly watchers = new Set<{ onExit: (exit: ContainerExit) => void; fail: (error: unknown) => void }>();
  private lastPort = 40_000;

  constructor(private readonly now: () => string) {
    this.volumes = new MemoryVolumes(() => {
      if (this.away) throw runtimeUnavailable('memory runtime is away');
      return [...this.containers.values()].map(({ spec }) => spec);
    });
  }

  ping(): Promise<void> {
    return this.call('ping', undefined, () => undefined);
  }

  hasImage(image: string): Promise<boolean> {
    return this.call('image', image, () => this.images.has(image));
  }

  async pull(image: string, onProgress: (progress: PullProgress) => void, signal: AbortSignal): Promise<void> {
    await this.call('pull', image, () => signal.throwIfAborted());
    if (this.images.has(image)) return;
    const remote = this.registry.get(image);
    if (!remote) throw imageMissing(image, 'manifest unknown');
    const totalBytes = remote.layers.reduce((sum, size) => sum + size, 0);
    let bytes = 0;
    for (const size of remote.layers.flatMap((layer) => Array<number>(4).fill(layer / 4))) {
      await unlessAborted(
        signal,
        Promise.resolve(remote.piece?.(bytes)).then(() => turn()),
      );
      bytes += size;
      onProgress({ bytes, totalBytes, percent: Math.floor((100 * bytes) / totalBytes) });
    }
    this.images.add(image);
  }

  start(spec: ContainerSpec): Promise<ContainerState> {
    return this.call('start', spec.taskId, () => {
      const existing = this.containers.get(spec.taskId);
      if (existing) return existing.state;
      if (!this.images.has(spec.image)) throw imageMissing(spec.image);
      if (spec.command?.[0] === 'does-not-exist') throw startFailed('The program does-not-exist is not in the image.');
      const state: ContainerState = {
        taskId: spec.taskId,
        containerId: `memory-${spec.taskId}`,
        running: true,
        port: (this.lastPort += 1),
        finishedAt: null,
        exitCode: null,
        oomKilled: false,
      };
      this.volumes.make(spec, this.now());
      this.containers.set(spec.taskId, { spec, state, createdAt: this.now(), lines: [], readers: new Set() });
      return state;
    });
  }

  inspect(taskId: string): Promise<ContainerState | undefined> {
    return this.call('inspect', taskId, () => this.containers.get(taskId)?.state);
  }

  stop(taskId: string): Promise<ContainerState | undefined> {
    return this.call('stop', taskId, () => {
      this.exit(taskId, 0);
      return this.containers.get(taskId)?.state;
    });
  }

  remove(taskId: string): Promise<void> {
    return this.call('remove', taskId, () => {
      this.exit(taskId, 137);
      this.containers.delete(taskId);
    });
  }

  list(): Promise<ContainerSummary[]> {
    return this.call('list', undefined, () =>
      [...this.containers.values()].map(({ state, createdAt }) => ({
        taskId: state.taskId,
        running: state.running,
        createdAt,
      })),
    );
  }

  async *logs(taskId: string, wanted: LogsWanted, signal: AbortSignal): AsyncGenerator<LogLine> {
    const held = await this.call('logs', taskId, () => this.containers.get(taskId));
    if (!held) return;
    const since = wanted.since ?? '';
    let next = held.lines.findIndex(({ at }) => at >= since);
    if (next === -1) next = held.lines.length;
    if (wanted.tail !== undefined) next = Math.max(next, held.lines.length - wanted.tail);
    while (!signal.aborted) {
      const line = held.lines[next];
      if (line) {
        next += 1;
        yield line;
      } else if (wanted.follow && held.state.running) {
        await new Promise<void>((resolve) => {
          const wake = (): void => {
            held.readers.delete(wake);
            resolve();
          };
          held.readers.add(wake);
          signal.addEventListener('abort', wake, { once: true });
        });
        if (this.away) throw runtimeUnavailable('went away');
      } else return;
    }
  }

  stats(taskId: string): Promise<StatsSample | undefined> {
    return this.call('stats', taskId, () => {
      const held = this.containers.get(taskId);
      if (!held?.state.running) return undefined;
      const { memoryBytes: memoryLimitBytes } = held.spec.fence;
      const idle = { cpuNanos: 1_000_000, memoryBytes: 1_000_000, networkRxBytes: 0, networkTxBytes: 0, pids: 1 };
      return { at: this.now(), memoryLimitBytes, ...idle, ...this.used.get(taskId) };
    });
  }

  async watch(
    handlers: { onReady: () => void; onExit: (exit: ContainerExit) => void },
    signal: AbortSignal,
  ): Promise<void> {
    await this.call('watch', undefined, () => undefined);
    if (signal.aborted) return;
    await new Promise<void>((resolve, reject) => {
      const watcher = { onExit: handlers.onExit, fail: reject };
      this.watchers.add(watcher);
      signal.addEventListener('abort', () => {
        this.watchers.delete(watcher);
        resolve();
      });
      handlers.onReady();
    });
  }

  /** For tests: the container's program ends by itself. One that has ended keeps its own end. */
  exit(taskId: string, exitCode: number, how: { oomKilled?: boolean; untold?: boolean } = {}): void {
    const held = this.containers.get(taskId);
    if (!held?.state.running) return;
    const finishedAt = this.now();
    const oomKilled = how.oomKilled ?? false;
    held.state = { ...held.state, running: false, port: null, finishedAt, exitCode, oomKilled };
    held.readers.forEach((wake) => wake());
    if (how.untold) return;
    for (const watcher of this.watchers) watcher.onExit({ taskId, exitCode, at: finishedAt, oomKilled });
  }

  /** For tests: the container's program writes a line. */
  print(taskId: string, text: string, stream: LogLine['stream'] = 'stdout'): void {
    const held = this.containers.get(taskId);
    held?.lines.push({ stream, at: this.now(), text });
    held?.readers.forEach((wake) => wake());
  }

  /** For tests: somebody removed the container behind our back. */
  vanish(taskId: string): void {
    this.containers.delete(taskId);
  }

  /** For tests: what the container was started with. */
  specOf(taskId: string): ContainerSpec | undefined {
    return this.containers.get(taskId)?.spec;
  }

  goAway(): void {
    this.away = true;
    for (const watcher of this.watchers) watcher.fail(runtimeUnavailable('went away'));
    this.watchers.clear();
    for (const { readers } of this.containers.values()) readers.forEach((wake) => wake());
  }

  comeBack(): void {
    this.away = false;
  }

  /** @param about the task, or the image */
  private async call<T>(call: Call, about: string | undefined, work: () => T): Promise<T> {
    this.calls.push(about === undefined ? call : `${call} ${about}`);
    await Promise.resolve(); // never in the caller's own turn, as a real runtime
    if (this.away) throw runtimeUnavailable('memory runtime is away');
    await this.interfere('before', call, about);
    const result = work();
    await this.interfere('after', call, about);
    return result;
  }
}

function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    work.then(resolve, reject);
  });
}
