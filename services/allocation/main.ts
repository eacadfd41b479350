import { randomUUID } from 'node:crypto';
import { startRelay, type Relay } from '../../shared/dapr/outbox';
import { ensureSchema } from '../../shared/dapr/schema';
import { unavailable } from '../../shared/errors';
import { runService } from '../../shared/process/service';
import { DaprPoolStore, SCHEMA } from './adapters/dapr-pool-store';
import { Allocations } from './application/allocations';
import { PoolWriter } from './application/pool-writer';
import { configure } from './config';
import { internalRoutes } from './http/internal-routes';
import { publicRoutes } from './http/routes';

runService('allocation', configure, (_config, { sidecar, logger, metrics, stopping }) => {
  let relay: Relay | undefined;
  let schemaReady = false;
  const store = new DaprPoolStore(sidecar);
  const now = () => new Date().toISOString();
  const writer = new PoolWriter(store, now, () => relay?.wake());
  const allocations = new Allocations(store, writer, randomUUID, now);
  return {
    routes: [...publicRoutes(allocations), ...internalRoutes(allocations, writer)],
    checks: {
      schema: async () => {
        if (!schemaReady) throw unavailable('schema.unavailable', 'the views of the database are not in place yet');
      },
    },
    start: () => {
      relay = startRelay({ appId: 'allocation', sidecar, logger, metrics });
      void ensureSchema(sidecar, SCHEMA, logger, stopping).then(() => {
        schemaReady = !stopping.aborted;
      });
    },
    stop: async () => relay?.stop(),
  };
});
