import { randomUUID } from 'node:crypto';
import request, { type Test } from 'supertest';
import type { Terms } from '../../../../shared/contracts/inventory';
import { bearer, sidecarHeaders, testApp } from '../../../../shared/testing/api';
import { recordingLogger } from '../../../../shared/testing/recording-logger';
import { MemoryPoolStore } from '../../adapters/memory-pool-store';
import { Allocations } from '../../application/allocations';
import { Candidates } from '../../application/candidates';
import { Groups } from '../../application/groups';
import { PoolWriter } from '../../application/pool-writer';
import { Requests } from '../../application/requests';
import { candidateRoutes } from '../../http/candidate-routes';
import { groupRoutes } from '../../http/group-routes';
import { internalRoutes } from '../../http/internal-routes';
import { requestRoutes } from '../../http/request-routes';
import { publicRoutes } from '../../http/routes';

type Method = 'get' | 'post' | 'put' | 'delete';

/** The service as main.ts composes it, on the store in memory. Time goes on by a second with every look at the clock. */
export async function startAllocation() {
  const store = new MemoryPoolStore();
  const logger = recordingLogger();
  let seconds = 0;
  const now = () => new Date(Date.UTC(2026, 10, 23) + (seconds += 1) * 1000).toISOString();
  const writer = new PoolWriter(store, now, async () => undefined);
  const allocations = new Allocations(store, writer, randomUUID, now);
  const groups = new Groups(store, writer, randomUUID);
  const stopping = new AbortController();
  const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
  const requests = new Requests(store, writer, { now, pause, stopping: stopping.signal });
  const app = await testApp(
    [
      ...publicRoutes(allocations, requests),
      ...requestRoutes(requests),
      ...groupRoutes(groups),
      ...candidateRoutes(new Candidates(store)),
      ...internalRoutes(allocations, requests, writer),
    ],
    logger,
  );
  const sub = randomUUID();

  return {
    app,
    store,
    logger,
    writer,
    now,
    allocations,
    requests,
    stopping,
    sub,
    /** Lets so many seconds pass. */
    pass: (more: number): void => {
      seconds += more;
    },
    /** A pool as `resource-pool` opens it. */
    openPool: async (total = 100, terms: Partial<Terms> = {}): Promise<string> => {
      const poolId = randomUUID();
      await writer.execute(poolId, { kind: 'open', ...terms, total, revision: 1 });
      return poolId;
    },
    allocated: async (poolId: string): Promise<number | undefined> => (await store.inventories([poolId]))[0]?.allocated,
    as: (role: string, method: Method, path: string): Test =>
      request(app)[method](path).set('Authorization', bearer(role, sub)),
    invokedBy: (caller: string, method: Method, path: string): Test =>
      request(app)[method](path).set(sidecarHeaders(caller)),
  };
}

export type AllocationServer = Awaited<ReturnType<typeof startAllocation>>;
