import { imageMissing, runtimeUnavailable, startFailed } from '../domain/errors';
import type {
  ContainerExit,
  ContainerRuntime,
  ContainerSpec,
  ContainerState,
  ContainerSummary,
} from '../ports/container-runtime';
import { MemoryVolumes } from './memory-volumes';

type Call = 'ping' | 'start' | 'inspect' | 'stop' | 'remove' | 'list' | 'watch';

interface Held {
  spec: ContainerSpec;
  state: ContainerState;
  createdAt: string;
}

/**
 * A container runtime in memory that can be told to fail at any point. A program is a name in `spec.image`: whatever is
 * in `images` runs until it is stopped.
 */
export class MemoryRuntime implements ContainerRuntime {
  /** What can be started; others are missing. */
  readonly images = new Set(['memory/web']);
  /** Every call in order, as `start <task id>`. */
  readonly calls: string[] = [];
  /** While true, every call fails and every watch breaks, but the containers go on. */
  private away = false;
  readonly volumes: MemoryVolumes;
  /** Called before and after each call; what it throws, the call throws. */
  interfere: (when: 'before' | 'after', call: Call, taskId: string | undefined) => void | Promise<void> = () => {};

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
      this.containers.set(spec.taskId, { spec, state, createdAt: this.now() });
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

  async watch(
    handlers: { onReady: () => void; onExit: (exit: ContainerExit) => void },
    signal: AbortSignal,
  ): Promise<void> {
    await this.call('watch', undefined, () => undefined);
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
    if (how.untold) return;
    for (const watcher of this.watchers) watcher.onExit({ taskId, exitCode, at: finishedAt });
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
  }

  comeBack(): void {
    this.away = false;
  }

  private async call<T>(call: Call, taskId: string | undefined, work: () => T): Promise<T> {
    this.calls.push(taskId === undefined ? call : `${call} ${taskId}`);
    await Promise.resolve(); // never in the caller's own turn, as a real runtime
    if (this.away) throw runtimeUnavailable('memory runtime is away');
    await this.interfere('before', call, taskId);
    const result = work();
    await this.interfere('after', call, taskId);
    return result;
  }
}
