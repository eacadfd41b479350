import Docker from 'dockerode';
import { AppError } from '../../../shared/errors';
import type { Logger } from '../../../shared/logging/logger';
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
import type { Volumes } from '../ports/volumes';
import { ANSWER_MS, ask, refusedStart, START_MS, statusOf } from './docker-ask';
import { containerName, createOptions, LABEL } from './docker-container';
import { DockerDisk } from './docker-disk';
import { logLines } from './docker-logs';
import { DockerNetworks } from './docker-network';
import { followPull } from './docker-pull';
import { sampleOf } from './docker-stats';
import { DockerVolumes, giveVolumes, removeHelper } from './docker-volumes';
import { watchExits } from './docker-watch';

export interface DockerRuntimeOptions {
  /** Which system on this Docker Engine is ours: containers and network are labelled and looked for with it. */
  instance: string;
  /** Host address on which the tasks' ports are bound. */
  bindAddress: string;
  logger: Logger;
}

/** Every call of dockerode takes a signal; its types do not know it of all. */
type Interruptible<Call extends string> = Record<Call, (options: { abortSignal: AbortSignal }) => Promise<unknown>>;

/** Containers on a Docker Engine. */
export class DockerRuntime implements ContainerRuntime {
  readonly volumes: Volumes;
  private readonly networks: DockerNetworks;
  private readonly disk: DockerDisk;

  /** @param docker which engine (docker-connection.ts); the local one unless told */
  constructor(
    private readonly options: DockerRuntimeOptions,
    private readonly docker: Docker = new Docker(),
  ) {
    this.volumes = new DockerVolumes(this.docker, options.instance);
    this.networks = new DockerNetworks(this.docker, options);
    this.disk = new DockerDisk(this.docker, options.logger);
  }

  async ping(): Promise<void> {
    await ask(ANSWER_MS, (abortSignal) => (this.docker as unknown as Interruptible<'ping'>).ping({ abortSignal }));
  }

  async hasImage(image: string): Promise<boolean> {
    const local = this.docker.getImage(image) as unknown as Interruptible<'inspect'>;
    return (await this.unlessGone(ANSWER_MS, (abortSignal) => local.inspect({ abortSignal }))) !== undefined;
  }

  async pull(image: string, onProgress: (progress: PullProgress) => void, signal: AbortSignal): Promise<void> {
    if (await this.hasImage(image)) return;
    // no answer comes before the registry's: for how long that may take, the caller decides
    const answer = this.docker.pull(image, { abortSignal: signal });
    await followPull(image, answer, onProgress, signal);
  }

  async start(spec: ContainerSpec): Promise<ContainerState> {
    const made = await this.create(spec);
    const before = made ? undefined : await this.found(spec.taskId);
    if (before?.running || before?.finishedAt) return before;
    try {
      const container = this.docker.getContainer(containerName(spec.taskId));
      await ask(START_MS, (abortSignal) => container.start({ abortSignal }));
    } catch (error) {
      // 304: another call has started it meanwhile
      if (statusOf(error) !== 304) {
        // the network may have been pruned since it was made
        if (statusOf(error) !== undefined) this.networks.forget();
        throw refusedStart(error);
      }
    }
    const after = await this.inspect(spec.taskId);
    if (after === undefined) throw startFailed('The container was removed while it started.');
    return after;
  }

  async inspect(taskId: string): Promise<ContainerState | undefined> {
    const container = this.docker.getContainer(containerName(taskId));
    const found = await this.unlessGone(ANSWER_MS, (abortSignal) => container.inspect({ abortSignal }));
    return found && stateOf(taskId, found);
  }

  async stop(taskId: string, graceSeconds: number): Promise<ContainerState | undefined> {
    const container = this.docker.getContainer(containerName(taskId));
    await this.unlessGone(START_MS + graceSeconds * 1000, async (abortSignal) => {
      try {
        await container.stop({ t: graceSeconds, abortSignal });
      } catch (error) {
        if (statusOf(error) !== 304) throw error; // 304: it has already ended
      }
    });
    return this.inspect(taskId);
  }

  async remove(taskId: string): Promise<void> {
    const container = this.docker.getContainer(containerName(taskId));
    const removed = this.unlessGone(START_MS, async (abortSignal) => {
      const how = { force: true, v: true, abortSignal };
      try {
        await container.remove(how);
      } catch (error) {
        // 409: somebody else is removing it; it is gone when it cannot be found
        if (statusOf(error) !== 409) throw error;
        await this.untilGone(taskId);
      }
    });
    await Promise.all([removed, this.unlessGone(START_MS, () => removeHelper(this.docker, containerName(taskId)))]);
  }

  async list(): Promise<ContainerSummary[]> {
    const filters = { label: [`${LABEL.instance}=${this.options.instance}`] };
    const found = await ask(START_MS, (abortSignal) => this.docker.listContainers({ all: true, filters, abortSignal }));
    return found.flatMap((container) => {
      const taskId = container.Labels[LABEL.task];
      if (taskId === undefined) return [];
      const createdAt = new Date(container.Created * 1000).toISOString();
      return [{ taskId, running: container.State === 'running', createdAt }];
    });
  }

  async *logs(taskId: string, wanted: LogsWanted, signal: AbortSignal): AsyncGenerator<LogLine> {
    const { tail, since, follow = false } = wanted;
    const container = this.docker.getContainer(containerName(taskId));
    const options = {
      ...{ stdout: true, stderr: true, timestamps: true },
      ...(tail === undefined ? {} : { tail }),
      ...(since === undefined ? {} : { since: String(Date.parse(since) / 1000) }),
    };
    const found = await this.unlessGone<NodeJS.ReadableStream | Buffer>(ANSWER_MS, (abortSignal) =>
      follow
        ? container.logs({ ...options, follow, abortSignal })
        : container.logs({ ...options, follow, abortSignal }),
    );
    if (found !== undefined) yield* logLines(Buffer.isBuffer(found) ? [found] : found, signal);
  }

  async stats(taskId: string): Promise<StatsSample | undefined> {
    const container = this.docker.getContainer(containerName(taskId));
    const how = { stream: false as const, 'one-shot': true };
    return sampleOf(
      await this.unlessGone(ANSWER_MS, (abortSignal) => container.stats({ ...how, abortSignal } as typeof how)),
    );
  }

  async watch(
    handlers: { onReady: () => void; onExit: (exit: ContainerExit) => void },
    signal: AbortSignal,
  ): Promise<void> {
    const filters = {
      type: ['container' as const],
      event: ['die', 'oom'],
      label: [`${LABEL.instance}=${this.options.instance}`],
    };
    const stream = await ask(ANSWER_MS, (abortSignal) => {
      const options = { filters, abortSignal };
      return this.docker.getEvents(options);
    });
    await watchExits(stream, handlers, signal, () => this.ping());
  }

  /** @returns false when the task had a container already */
  private async create(spec: ContainerSpec): Promise<boolean> {
    const network = await this.networks.ensure(spec.fence.network);
    const options = createOptions(spec, { ...this.options, network, diskQuota: await this.disk.hasQuota() });
    try {
      await giveVolumes(this.docker, options, spec.fence);
      await ask(START_MS, (abortSignal) => this.docker.createContainer({ ...options, abortSignal }));
      return true;
    } catch (error) {
      const status = statusOf(error);
      if (options.HostConfig?.StorageOpt && this.disk.isRefusal(error)) return this.create(spec);
      if (status === 409) return false; // the name is taken: by this very task, since the name is its id
      if (status === 404) throw imageMissing(spec.image);
      throw refusedStart(error);
    }
  }

  /** A name is taken a moment before the container that takes it can be seen. */
  private async found(taskId: string): Promise<ContainerState> {
    for (let attempt = 0; attempt < 40; attempt += 1) {
      const state = await this.inspect(taskId);
      if (state) return state;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw startFailed('The container was being made by another call, which did not finish.');
  }

  private async untilGone(taskId: string): Promise<void> {
    for (let waited = 0; waited < START_MS; waited += 100) {
      if ((await this.inspect(taskId)) === undefined) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw runtimeUnavailable(`container of task ${taskId} is still being removed`);
  }

  private async unlessGone<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
    try {
      return await ask(ms, work);
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw error instanceof AppError ? error : runtimeUnavailable(error);
    }
  }
}

/** Docker's zero time stands for "never". */
function timeOf(text: string): string | null {
  return text.startsWith('0001-') || text === '' ? null : new Date(text).toISOString();
}

function stateOf(taskId: string, found: Docker.ContainerInspectInfo): ContainerState {
  const running = found.State.Running;
  const bound = Object.values(found.NetworkSettings.Ports).flatMap(
    (bindings: { HostPort: string }[] | null) => bindings ?? [],
  );
  const port = running ? Number(bound[0]?.HostPort) : Number.NaN;
  const finishedAt = running ? null : timeOf(found.State.FinishedAt);
  return {
    taskId,
    containerId: found.Id,
    running,
    port: Number.isInteger(port) && port > 0 ? port : null,
    finishedAt,
    exitCode: finishedAt === null ? null : found.State.ExitCode,
    oomKilled: !running && found.State.OOMKilled,
  };
}
