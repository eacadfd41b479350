import { randomBytes, randomUUID } from 'node:crypto';
import { startRelay, type Relay } from '../../shared/dapr/outbox';
import { runService } from '../../shared/process/service';
import { DaprCapacity } from './adapters/dapr-capacity';
import { APP_ID, DaprTaskStore } from './adapters/dapr-task-store';
import { connectDocker } from './adapters/docker-connection';
import { DockerRuntime } from './adapters/docker-runtime';
import { HttpReadinessProbe } from './adapters/http-readiness-probe';
import { readServiceTypes } from './adapters/service-types-file';
import { taskSchema } from './adapters/task-schema';
import { createEndTask } from './application/end-task';
import { createFollowTask } from './application/follow-task';
import { ImagePulls } from './application/image-pulls';
import { createReadLogs, createReadStats } from './application/look-in';
import { createExtendTask, createTellActivity } from './application/prolong-task';
import { createGetTask, createListTasks } from './application/read-tasks';
import { createReconcile } from './application/reconcile';
import { createRenewLeases, keepRenewing } from './application/renew-leases';
import { createSettler } from './application/settle-task';
import { createStartTask } from './application/start-task';
import { createStopTask } from './application/stop-task';
import { createDeleteVolume, createListVolumes } from './application/volumes';
import { TaskNews } from './application/task-news';
import { TaskSamples } from './application/task-samples';
import { createWatchStays, keepWatchingStays } from './application/watch-stays';
import { watchContainers, type Watch } from './application/watch-containers';
import { configure } from './config';
import { taskRoutes } from './http/routes';

runService(APP_ID, configure, (config, { logger, metrics, sidecar, stopping }) => {
  const now = (): string => new Date().toISOString();
  const { types: serviceTypes, limits } = readServiceTypes(config.SERVICE_TYPES_FILE);
  let relay: Relay | undefined;
  let watch: Watch | undefined;

  const store = new DaprTaskStore(sidecar, () => relay?.wake());
  const runtime = new DockerRuntime(
    { instance: config.INSTANCE, bindAddress: config.TASK_BIND, logger },
    connectDocker(config),
  );
  const capacity = new DaprCapacity(sidecar, config.TASK_LEASE_SECONDS);
  const news = new TaskNews();
  const settler = createSettler({
    pulls: new ImagePulls(runtime),
    news,
    store,
    runtime,
    capacity,
    probe: new HttpReadinessProbe(),
    serviceTypes,
    taskHost: config.TASK_HOST,
    frameAncestors: config.FRAME_ANCESTORS,
    now,
    elapsed: () => performance.now(),
    newId: randomUUID,
    logger,
  });
  const endTask = createEndTask({ store, runtime, capacity, serviceTypes, settler, now });
  const reconcile = createReconcile({ store, runtime, settler, endTask, serviceTypes, now, logger });
  const renewLeases = createRenewLeases({ store, capacity, settler, now, newId: randomUUID, logger });
  const samples = new TaskSamples();
  const watchStays = createWatchStays({ store, runtime, samples, endTask, serviceTypes, news, now, logger });
  const startTask = createStartTask({
    store,
    runtime,
    capacity,
    settler,
    serviceTypes,
    limits,
    now,
    newId: randomUUID,
    newSecret: () => randomBytes(16).toString('hex'),
    logger,
  });

  return {
    routes: taskRoutes({
      startTask,
      stopTask: createStopTask({ store, settler, now }),
      getTask: createGetTask({ store, serviceTypes, news, now }),
      listTasks: createListTasks({ store }),
      followTask: createFollowTask({ store, news, stopping }),
      tellActivity: createTellActivity({ store, serviceTypes, news, now }),
      extendTask: createExtendTask({ store, serviceTypes, news, now }),
      readLogs: createReadLogs({ store, runtime, stopping }),
      readStats: createReadStats({ store, runtime, samples }),
      serviceTypes,
      listVolumes: createListVolumes(runtime),
      deleteVolume: createDeleteVolume(runtime),
    }),
    schema: taskSchema,
    start: () => {
      relay = startRelay({ appId: APP_ID, sidecar, logger, metrics });
      watch = watchContainers({ runtime, endTask, reconcile, logger });
      // three times as often as needed: one renewal may be lost, and `allocation` may restart
      void keepRenewing(renewLeases, { everyMs: (config.TASK_LEASE_SECONDS * 1000) / 3, logger, stopping });
      void keepWatchingStays(watchStays, { serviceTypes, logger, stopping });
    },
    stop: async () => {
      await Promise.all([watch?.stop(), relay?.stop()]);
    },
  };
});
