import { startFailed, unknownServiceType } from '../domain/errors';
import { fillIn, type ServiceType } from '../domain/service-type';
import type { Task } from '../domain/task';
import type { ContainerRuntime, ContainerSpec, ContainerState } from '../ports/container-runtime';
import type { ReadinessProbe } from '../ports/readiness-probe';

export interface StartParts {
  runtime: ContainerRuntime;
  probe: ReadinessProbe;
  serviceTypes: ReadonlyMap<string, ServiceType>;
  taskHost: string;
  frameAncestors: string;
  now: () => string;
  /** Milliseconds of a clock that nobody sets. */
  elapsed: () => number;
}

export interface Ready {
  containerId: string;
  port: number;
  iframeUrl: string;
}

/** A connection made while the container comes up may hang for seconds: early tries give up early. */
const TRY_MS = [250, 500, 1_000, 2_000] as const;
const PAUSE_MS = [20, 40, 80, 160, 250] as const;
/** How often a program that does not answer is looked after: it may have ended. */
const LOOK_EVERY_MS = 500;

/**
 * Starts the container of a task in state Starting and waits until its program serves.
 * @returns 'interrupted' when `signal` aborts first
 * @throws `task.start_failed`, `runtime.image_missing`, `runtime.unavailable`, `task.unknown_service_type`
 */
export async function startContainer(
  parts: StartParts,
  task: Task,
  signal: AbortSignal,
): Promise<Ready | 'interrupted'> {
  const type = parts.serviceTypes.get(task.serviceType);
  if (!type) throw unknownServiceType(task.serviceType, [...parts.serviceTypes.keys()]);
  // what a process before this one has waited counts; a clock that is set while we wait does not
  const spent = Math.max(0, Date.parse(parts.now()) - Date.parse(task.history.at(-1)?.at ?? task.createdAt));
  const deadline = parts.elapsed() + type.readiness.timeoutSeconds * 1000 - spent;
  const values = {
    taskId: task.id,
    userId: task.userId,
    token: task.secret,
    frameAncestors: parts.frameAncestors,
  };
  const state = await parts.runtime.start(specOf(task, type, (template) => fillIn(template, values)));
  const port = portOf(state);
  const base = `http://${parts.taskHost}:${port}`;
  const url = base + fillIn(type.readiness.path, values);
  if (!(await serves(parts, task.id, url, { deadline, seconds: type.readiness.timeoutSeconds }, signal)))
    return 'interrupted';
  return { containerId: state.containerId, port, iframeUrl: base + fillIn(type.iframePath, values) };
}

function specOf(task: Task, type: ServiceType, fill: (template: string) => string): ContainerSpec {
  return {
    taskId: task.id,
    userId: task.userId,
    serviceType: type.name,
    image: type.image,
    command: type.command?.map(fill) ?? null,
    env: Object.fromEntries(Object.entries(type.env).map(([name, value]) => [name, fill(value)])),
    containerPort: type.containerPort,
    fence: type.fence,
  };
}

/** False when interrupted. Asks at least once, however late it is: a start found after a crash may be ready by now. */
async function serves(
  { runtime, probe, elapsed }: StartParts,
  taskId: string,
  url: string,
  limit: { deadline: number; seconds: number },
  signal: AbortSignal,
): Promise<boolean> {
  let looked = elapsed();
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    if (await probe.serves(url, TRY_MS[attempt] ?? 2_000)) return true;
    const time = elapsed();
    if (time - looked >= LOOK_EVERY_MS || time >= limit.deadline) {
      looked = time;
      portOf(await runtime.inspect(taskId));
    }
    if (time >= limit.deadline) {
      throw startFailed(`The container runs, but did not serve within ${limit.seconds} seconds.`);
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS[attempt] ?? 250));
  }
  return false;
}

/** The port of a container that runs. @throws `task.start_failed` when it does not any more */
function portOf(state: ContainerState | undefined): number {
  if (state === undefined) throw startFailed('The container was removed before it was ready.');
  if (!state.running || state.port === null) {
    const why = state.oomKilled ? 'for want of memory' : `with exit code ${state.exitCode ?? 'unknown'}`;
    throw startFailed(`The container ended before it was ready, ${why}.`);
  }
  return state.port;
}
