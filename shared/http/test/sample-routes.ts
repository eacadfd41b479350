import { z } from 'zod';
import { route, type Route } from '../route';

const thing = z.strictObject({ name: z.string().min(1).max(20), size: z.int().min(1) });

/** A table with a route of every kind of access; the closed ones are answered by `handle`. */
export function routesWith(handle: Route['handle'] = async ({ body }) => ({ status: 201, body })): Route[] {
  return [
    route({
      method: 'post',
      path: '/resource_pools',
      summary: 'Makes one',
      access: { permission: 'resource_pool:create' },
      query: z.object({ dry: z.enum(['yes', 'no']).optional() }),
      body: thing,
      responses: { 201: thing },
      handle,
    }),
    route({
      method: 'get',
      path: '/resource_pools/{pool_id}',
      summary: 'Shows one',
      access: { permission: 'resource_pool:get' },
      params: z.object({ pool_id: z.uuid() }),
      responses: { 200: thing },
      handle,
    }),
    route({
      method: 'delete',
      path: '/open',
      summary: 'Open to anybody',
      access: 'public',
      responses: { 204: null },
      handle: async () => ({ status: 204 }),
    }),
    route({
      method: 'get',
      path: '/internal/for-allocation',
      summary: 'Internal',
      access: { callers: ['allocation'] },
      responses: { 200: thing },
      handle: async () => ({ status: 200, body: {} }),
    }),
    route({
      method: 'get',
      path: '/events/x',
      summary: 'Delivery',
      access: { callers: [] },
      responses: { 200: thing },
      handle: async () => ({ status: 200, body: {} }),
    }),
  ];
}

export const good = { name: 'a', size: 1 };
export const POOL = '/resource_pools/0b0f9a52-4c0e-4f5e-9a39-5d2a1a6f3c11';
