import { z } from 'zod';
import { uuid } from '../../../shared/contracts/fields';
import { entityTag } from '../../../shared/http/conditions';
import { route, type Output, type Route } from '../../../shared/http/route';
import type { Requests } from '../application/requests';
import { presentRequest, requestBody } from './allocation-wire';

const requestParams = z.object({ request_id: uuid });

/** What becomes of allocations that were not there at once. */
export function requestRoutes(requests: Requests): Route[] {
  return [
    route({
      method: 'get',
      path: '/allocation_requests/{request_id}',
      summary: 'Show what has become of a request that waits for capacity, or hear of it',
      access: { permission: 'allocation_request:get' },
      params: requestParams,
      query: z.strictObject({
        wait: z.coerce.number().int().min(0).max(60).default(0).meta({
          description:
            'Seconds for which the answer may be held until something changes: from what `If-None-Match` names, or from now.',
        }),
      }),
      headers: { 'If-None-Match': 'The ETag that you have: 304 when nothing has changed since.' },
      responses: { 200: requestBody, 304: null },
      errors: ['allocation_request.not_found'],
      handle: async ({ params, query, header, signal }): Promise<Output> => {
        const seen = header('If-None-Match');
        const view = await requests.changed(params.request_id, query.wait, seen?.trim().replaceAll('"', ''), signal);
        const headers = { ETag: entityTag(view.version) };
        if (seen?.trim() === headers.ETag) return { status: 304, headers };
        return { status: 200, headers, body: presentRequest(view) };
      },
    }),
    route({
      method: 'delete',
      path: '/allocation_requests/{request_id}',
      summary: 'Take a request back: it waits no longer, and what it was granted is released',
      access: { permission: 'allocation_request:delete' },
      params: requestParams,
      responses: { 204: null },
      errors: ['allocation_request.not_found', 'allocation.held_by_task', 'allocation.busy'],
      handle: async ({ params, caller }) => {
        await requests.cancel(params.request_id, caller.sub);
        return { status: 204 };
      },
    }),
    route({
      method: 'get',
      path: '/resource_pools/{pool_id}/allocation_requests',
      summary: 'List who waits for a pool, next one first; 500 at most, in one page',
      access: { permission: 'allocation_request:list' },
      params: z.object({ pool_id: uuid }),
      responses: { 200: z.array(requestBody) },
      errors: ['pool.not_found'],
      handle: async ({ params }) => {
        const views = await requests.ofPool(params.pool_id);
        return { status: 200, body: views.map(presentRequest) };
      },
    }),
  ];
}
