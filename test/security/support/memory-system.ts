import { randomUUID } from 'node:crypto';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Express } from 'express';
import request from 'supertest';
import { startAllocation } from '../../../services/allocation/test/support/server';
import { startForwarder } from '../../../services/blockchain-forwarder/test/support/forwarder';
import { taskStopped } from '../../../services/blockchain-forwarder/test/support/samples';
import { internalRoutes, publicRoutes } from '../../../services/resource-pool/http/routes';
import { buildRooms } from '../../../services/resource-pool/test/support/builders';
import { buildApp, buildProcess, buildServiceType, buildWorld } from '../../../services/task-runner/test/build';
import { buildFence } from '../../../services/task-runner/test/build-spec';
import { openApiDocument } from '../../../shared/http/openapi';
import { serverOf } from '../../../shared/http/server';
import { bearer, testApp } from '../../../shared/testing/api';
import { ROUTES } from '../../architecture/route-tables';
import type { OpenApi } from './requests';

/** All services as their composition roots put them together, on stores in memory, each on a port of its own. */
export interface MemorySystem {
  ports: Record<string, number>;
  documents: Record<string, OpenApi>;
  /** Paths of what is there: a request may aim at one of them. */
  known: string[];
  /** Texts that stand in what belongs to the other tenant, and nowhere else. */
  markers: string[];
  /** What the other tenant has, as the other tenant sees it. */
  belongings(): Promise<string>;
  close(): void;
}

/** @param sub whoever sends the requests, and has a few things of its own */
export async function startMemorySystem(sub: string): Promise<MemorySystem> {
  const victim = randomUUID();
  const rooms = buildRooms();
  const allocation = await startAllocation();
  const world = buildWorld(1_000_000);
  world.patienceMs = 20;
  const fence = buildFence({ volumes: [{ name: 'work', path: '/work' }] });
  const types = [buildServiceType({ fence }), { ...world.types.get('brief')!, fence }];
  world.types = new Map(types.map((type) => [type.name, type]));
  const forwarder = await startForwarder();
  const apps: Record<string, Express> = {
    'resource-pool': await testApp([...publicRoutes(rooms), ...internalRoutes(rooms)], rooms.logger),
    allocation: allocation.app,
    'task-runner': await buildApp(buildProcess(world)),
    'blockchain-forwarder': forwarder.app,
  };

  const known: string[] = [];
  const markers: string[] = [victim];
  const tasks = async (owner: string, method: 'post' | 'delete', path: string, body?: object) =>
    (await request(apps['task-runner']!)[method](path).set('Authorization', bearer('user', owner)).send(body)).body as {
      taskId: string;
    };
  for (const owner of [victim, sub]) {
    for (const serviceType of ['demo', 'brief']) {
      const { taskId } = await tasks(owner, 'post', '/api/tasks', { userId: owner, serviceType });
      known.push(`/api/tasks/${taskId}`, `/api/volumes/${owner}_${serviceType}_work`);
      if (owner === victim) markers.push(taskId);
      // then nothing uses its volume any more
      else if (serviceType === 'brief') await tasks(owner, 'delete', `/api/tasks/${taskId}`);
    }
    const usage = taskStopped({ userId: owner });
    await forwarder.publish(usage);
    known.push(`/api/usage/${usage.id}`);
    if (owner === victim) markers.push(usage.id);
  }
  await forwarder.closeBatch();
  for (let i = 0; i < 3; i += 1) await forwarder.step('evm');
  await forwarder.deadLetter({ id: randomUUID(), type: 'task.stopped' });
  for (const { id } of await forwarder.store.listDeadLetters({}, { limit: 9, after: undefined })) {
    known.push(`/api/usage/dead-letters/${id}`);
  }
  const pool = await allocation.openPool(100);
  known.push('/api/ledger/batches/1', `/resource_pools/${pool}`);
  // two that nobody uses yet
  for (let i = 0; i < 2; i += 1) known.push(`/resource_pools/${await allocation.openPool(1_000_000)}`);
  for (const waitSeconds of [0, 80_000]) {
    const wish = { service_id: sub, capacity: 60, wait_seconds: waitSeconds, lease_seconds: 3_000 };
    const { headers } = await allocation.as('admin', 'post', `/resource_pools/${pool}/allocations`).send(wish);
    known.push(headers['location']!);
  }

  const servers: Server[] = [];
  const ports: Record<string, number> = {};
  const documents: Record<string, OpenApi> = {};
  for (const [service, app] of Object.entries(apps)) {
    const server = serverOf(app);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    servers.push(server);
    const { port } = server.address() as AddressInfo;
    ports[service] = port;
    documents[service] = await documentOf(service, port);
  }
  const seen = async (service: string, path: string): Promise<unknown> => {
    const headers = { authorization: bearer('user', victim) };
    return (await fetch(`http://127.0.0.1:${ports[service]}${path}`, { headers })).json();
  };
  return {
    ports,
    documents,
    known,
    markers,
    belongings: async () =>
      JSON.stringify([
        await seen('task-runner', '/api/tasks'),
        await seen('task-runner', '/api/volumes'),
        await seen('blockchain-forwarder', '/api/usage'),
      ]),
    close: () => {
      for (const server of servers) {
        server.close();
        server.closeAllConnections();
      }
    },
  };
}

/** What a service serves, and beside it what it keeps out of that: the routes of the sidecars. */
async function documentOf(service: string, port: number): Promise<OpenApi> {
  const served = (await (await fetch(`http://127.0.0.1:${port}/openapi.json`)).json()) as OpenApi;
  const open = ROUTES[service]!.map((route) => ({ ...route, access: 'public' as const }));
  const whole = JSON.parse(JSON.stringify(openApiDocument(service, open))) as OpenApi;
  const schemas = { ...whole.components.schemas, ...served.components.schemas };
  return { ...served, paths: { ...whole.paths, ...served.paths }, components: { ...served.components, schemas } };
}
