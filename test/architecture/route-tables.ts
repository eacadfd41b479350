import { silentLogger } from '../../shared/logging/logger';
import type { Route } from '../../shared/http/route';
import { candidateRoutes } from '../../services/allocation/http/candidate-routes';
import { groupRoutes } from '../../services/allocation/http/group-routes';
import { internalRoutes as inventoryRoutes } from '../../services/allocation/http/internal-routes';
import { requestRoutes } from '../../services/allocation/http/request-routes';
import { publicRoutes as allocationRoutes } from '../../services/allocation/http/routes';
import { correctionRoutes } from '../../services/blockchain-forwarder/http/correction-routes';
import { deadLetterRoutes } from '../../services/blockchain-forwarder/http/dead-letter-routes';
import { ledgerRoutes } from '../../services/blockchain-forwarder/http/ledger-routes';
import { usageRoutes } from '../../services/blockchain-forwarder/http/routes';
import { eventRoutes } from '../../services/blockchain-forwarder/http/subscriptions';
import {
  internalRoutes as catalogueRoutes,
  publicRoutes as poolRoutes,
} from '../../services/resource-pool/http/routes';
import { taskRoutes } from '../../services/task-runner/http/routes';

/** Stands for the use cases, which a table holds and does not call while it is only looked at. */
const nothing = { logger: silentLogger, sinks: [], serviceTypes: new Map() } as never;

/** Every route of every service, as its composition root puts them together. */
export const ROUTES: Record<string, readonly Route[]> = {
  'resource-pool': [...poolRoutes(nothing), ...catalogueRoutes(nothing)],
  allocation: [
    ...allocationRoutes(nothing, nothing),
    ...requestRoutes(nothing),
    ...groupRoutes(nothing),
    ...candidateRoutes(nothing),
    ...inventoryRoutes(nothing, nothing, nothing),
  ],
  'task-runner': taskRoutes(nothing),
  'blockchain-forwarder': [
    ...deadLetterRoutes(nothing),
    ...correctionRoutes(nothing),
    ...usageRoutes(nothing),
    ...ledgerRoutes(nothing),
    ...eventRoutes(nothing),
  ],
};

/** The path with an id in place of each `{parameter}`. */
export function pathOf({ path }: Route, id = '0b0f9a52-4c0e-4f5e-9a39-5d2a1a6f3c11'): string {
  return path.replace(/\{\w+\}/g, id);
}

export const ALL_ROUTES = Object.entries(ROUTES).flatMap(([service, routes]) =>
  routes.map((route) => ({ service, route, name: `${service}: ${route.method.toUpperCase()} ${route.path}` })),
);
