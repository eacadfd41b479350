import { randomUUID } from 'node:crypto';
import { ensureSchema } from '../../shared/dapr/schema';
import { messageOf, unavailable } from '../../shared/errors';
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
  let schemaReady = false;
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
    checks: {
      schema: async () => {
        if (!schemaReady) throw unavailable('schema.unavailable', 'the views of the database are not in place yet');
      },
    },
    start: () => {
      void ensureSchema(sidecar, SCHEMA, logger, stopping).then(() => {
        if (stopping.aborted) return;
        schemaReady = true;
        sweep();
      });
    },
    stop: async () => {
      clearTimeout(timer);
      await sweeping;
    },
  };
});
