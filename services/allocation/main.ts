import { randomUUID } from 'node:crypto';
import { startRelay, type Relay } from '../../shared/dapr/outbox';
import { runService } from '../../shared/process/service';
import { DaprPoolStore, SCHEMA } from './adapters/dapr-pool-store';
import { Allocations } from './application/allocations';
import { Candidates } from './application/candidates';
import { keepExpiringLeases } from './application/expire-leases';
import { Groups } from './application/groups';
import { PoolWriter } from './application/pool-writer';
import { Requests } from './application/requests';
import { configure } from './config';
import { candidateRoutes } from './http/candidate-routes';
import { groupRoutes } from './http/group-routes';
import { internalRoutes } from './http/internal-routes';
import { requestRoutes } from './http/request-routes';
import { publicRoutes } from './http/routes';

runService('allocation', configure, (_config, { sidecar, logger, metrics, stopping }) => {
  let relay: Relay | undefined;
  let leases: Promise<void> | undefined;
  const store = new DaprPoolStore(sidecar, (events) => relay?.wake(events));
  const now = () => new Date().toISOString();
  const writer = new PoolWriter(store, now);
  const allocations = new Allocations(store, writer, randomUUID, now);
  const groups = new Groups(store, writer, randomUUID);
  const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
  const requests = new Requests(store, writer, { now, pause, stopping });
  return {
    routes: [
      ...publicRoutes(allocations, requests),
      ...requestRoutes(requests),
      ...groupRoutes(groups),
      ...candidateRoutes(new Candidates(store)),
      ...internalRoutes(allocations, requests, writer),
    ],
    schema: SCHEMA,
    start: () => {
      relay = startRelay({ appId: 'allocation', sidecar, logger, metrics });
      leases = keepExpiringLeases(store, writer, { now, logger, stopping });
    },
    stop: async () => {
      await leases;
      await relay?.stop();
    },
  };
});
