import { randomUUID } from 'node:crypto';
import request from 'supertest';
import { testApp } from '../../../../shared/testing/api';
import { silentLogger, type Logger } from '../../../../shared/logging/logger';
import { MemoryCapacity } from '../../adapters/memory-capacity';
import { MemoryRuntime } from '../../adapters/memory-runtime';
import { MemoryTaskStore } from '../../adapters/memory-task-store';
import { createEndTask } from '../../application/end-task';
import { createFollowTask } from '../../application/follow-task';
import { ImagePulls } from '../../application/image-pulls';
import { createReadLogs, createReadStats } from '../../application/look-in';
import { createExtendTask, createTellActivity } from '../../application/prolong-task';
import { createGetTask, createListTasks } from '../../application/read-tasks';
import { createReconcile } from '../../application/reconcile';
import { createRenewLeases } from '../../application/renew-leases';
import { createSettler } from '../../application/settle-task';
import { createStartTask } from '../../application/start-task';
import { createStopTask } from '../../application/stop-task';
import { createDeleteVolume, createListVolumes } from '../../application/volumes';
import { TaskNews } from '../../application/task-news';
import { TaskSamples } from '../../application/task-samples';
import { createWatchStays } from '../../application/watch-stays';
import { watchContainers } from '../../application/watch-containers';
import type { ServiceType } from '../../domain/service-type';
import type { ReadinessProbe } from '../../ports/readiness-probe';
import { taskRoutes } from '../../http/routes';
import { buildFence } from './build-spec';
import { buildLifetime, POOL_ID } from './build-task';

export { buildLifetime, buildTask, POOL_ID } from './build-task';

const ENDLESS = { tasks: 1_000_000, tasksPerUser: 1_000_000 };
export const NO_LIMITS = { all: ENDLESS, type: ENDLESS };

export function buildServiceType(overrides: Partial<ServiceType> = {}): ServiceType {
  return {
    name: 'demo',
    description: 'a page',
    image: 'memory/web',
    containerPort: 8080,
    command: null,
    env: { TASK_ID: '{taskId}', SECRET: '{token}' },
    fence: buildFence(),
    limits: ENDLESS,
    stopGraceSeconds: 1,
    capacity: { pool: 'local-cpu', units: 100 },
    iframePath: '/?t={token}',
    readiness: { path: '/healthz', timeoutSeconds: 1 },
    lifetime: buildLifetime(),
    ...overrides,
  };
}

/**
 * What outlives a process: the store, the containers, the capacity, and the clock.
 * @param clockMs a clock that shows this and goes on only by `pass`; otherwise it is now, and goes
 */
export function buildWorld(units = 1000, clockMs?: number) {
  const clock = { ahead: 0, wrong: 0 };
  const elapsed = (): number => (clockMs ?? Date.now()) + clock.ahead;
  const now = (): string => new Date(elapsed() + clock.wrong).toISOString();
  return {
    now,
    elapsed,
    /** Sets the wall clock: no time passes. */
    setClock: (wrong: number): void => {
      clock.wrong = wrong;
    },
    /** Lets time pass. */
    pass: (ms: number): void => {
      clock.ahead += ms;
    },
    store: new MemoryTaskStore(),
    runtime: new MemoryRuntime(now),
    capacity: new MemoryCapacity(new Map([['local-cpu', { id: POOL_ID, total: units }]]), now),
    types: new Map(
      [
        buildServiceType(),
        buildServiceType({
          name: 'brief',
          lifetime: buildLifetime({ idleTimeout: 60, maxAge: 300, warnBefore: 10, maxExtension: 120 }),
        }),
        buildServiceType({ name: 'no-image', image: 'memory/is-not-there' }),
        buildServiceType({ name: 'remote', image: 'memory/remote' }),
        buildServiceType({ name: 'no-program', command: ['does-not-exist'] }),
        buildServiceType({ name: 'no-pool', capacity: { pool: 'is-not-there', units: 1 } }),
      ].map((type) => [type.name, type]),
    ),
    /** Of open tasks, of all types together. */
    limits: { ...ENDLESS },
    /** What readiness probes see. */
    ready: { answer: true },
    /** So long a start keeps its caller waiting, and a pull may be silent. */
    patienceMs: 10_000,
    silenceMs: 60_000,
  };
}

export type World = ReturnType<typeof buildWorld>;

/** One process of task-runner on a world; several may share one. */
export function buildProcess(world: World, logger: Logger = silentLogger) {
  const { store, runtime, capacity, now, elapsed, types: serviceTypes } = world;
  const stopping = new AbortController();
  const probe: ReadinessProbe = { serves: () => Promise.resolve(world.ready.answer) };
  const news = new TaskNews();
  const settler = createSettler({
    ...{ news, pulls: new ImagePulls(runtime, world.silenceMs), stillWantedMs: 100 },
    ...{ store, runtime, capacity, probe, serviceTypes, now, elapsed, logger, newId: randomUUID },
    taskHost: 'tasks.example',
    frameAncestors: "'self'",
    waitLookMs: 5,
  });
  const endTask = createEndTask({ store, runtime, capacity, serviceTypes, settler, now });
  const reconcile = createReconcile({ store, runtime, settler, endTask, serviceTypes, now, logger });
  const samples = new TaskSamples();
  const startTask = createStartTask({
    ...{ store, runtime, capacity, settler, serviceTypes, limits: world.limits, now },
    newId: randomUUID,
    newSecret: () => 'a-secret-that-nobody-logs',
    patienceMs: world.patienceMs,
    logger,
  });
  const useCases = {
    startTask,
    stopTask: createStopTask({ store, settler, now }),
    getTask: createGetTask({ store, serviceTypes, news, now }),
    listTasks: createListTasks({ store }),
    followTask: createFollowTask({ store, news, stopping: stopping.signal, lookMs: 40, pulseMs: 60, progressMs: 10 }),
    tellActivity: createTellActivity({ store, serviceTypes, news, now }),
    extendTask: createExtendTask({ store, serviceTypes, news, now }),
    readLogs: createReadLogs({ store, runtime, stopping: stopping.signal }),
    readStats: createReadStats({ store, runtime, samples }),
    serviceTypes,
    listVolumes: createListVolumes(runtime),
    deleteVolume: createDeleteVolume(runtime),
  };
  return {
    ...useCases,
    stopping,
    settler,
    endTask,
    reconcile,
    renewLeases: createRenewLeases({ store, capacity, settler, now, newId: randomUUID, logger }),
    watchStays: createWatchStays({ store, runtime, samples, endTask, serviceTypes, news, now, logger }),
    useCases,
    watch: () => watchContainers({ runtime, endTask, reconcile, logger, everyMs: 50, retryMs: 20 }),
  };
}

/** The HTTP server of a process. */
export function buildApp({ useCases }: ReturnType<typeof buildProcess>, logger: Logger = silentLogger) {
  return testApp(taskRoutes(useCases), logger);
}

/** A new world with one process, and the three ways to speak to it; as the given caller unless told. */
export async function openApi(caller: string, units?: number) {
  const world = buildWorld(units);
  const service = buildProcess(world);
  const app = await buildApp(service);
  return {
    world,
    service,
    start: (body: object, as = caller) => request(app).post('/api/tasks').set('Authorization', as).send(body),
    get: (path: string, as = caller) => request(app).get(path).set('Authorization', as),
    stop: (id: string, as = caller) => request(app).delete(`/api/tasks/${id}`).set('Authorization', as),
  };
}

/** Waits for what happens in the background. */
export async function eventually(holds: () => boolean | Promise<boolean>, ms = 2_000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`it did not come true within ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
