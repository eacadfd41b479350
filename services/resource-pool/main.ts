import { randomUUID } from 'node:crypto';
import { messageOf } from '../../shared/errors';
import { runService } from '../../shared/process/service';
import { DaprInventories } from './adapters/dapr-inventories';
import { DaprPoolCatalogue, SCHEMA } from './adapters/dapr-pool-catalogue';
import { sweepPools } from './application/sweep-pools';
import { configure } from './config';
import { internalRoutes, publicRoutes } from './http/routes';

const SWEEP_EVERY_MS = 10_000;

runService('resource-pool', configure, (_config, { sidecar, logger, stopping }) => {
  const rooms = {
    catalogue: new DaprPoolCatalogue(sidecar),
    inventories: new DaprInventories(sidecar),
    now: () => new Date().toISOString(),
    newId: randomUUID,
  };
  let timer: NodeJS.Timeout | undefined;
  let sweeping = Promise.resolve();

  function sweep(): void {
    sweeping = sweepPools(rooms, logger)
      .catch((error: unknown) => logger.warn('pools could not be swept; tried again soon', { error: messageOf(error) }))
      .finally(() => {
        if (!stopping.aborted) timer = setTimeout(sweep, SWEEP_EVERY_MS);
      });
  }

  return {
    routes: [...publicRoutes(rooms), ...internalRoutes(rooms)],
    schema: SCHEMA,
    start: sweep,
    stop: async () => {
      clearTimeout(timer);
      await sweeping;
    },
  };
});
