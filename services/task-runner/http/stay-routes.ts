import { z } from 'zod';
import { uuid } from '../../../shared/contracts/fields';
import { entityTag, idempotencyKey } from '../../../shared/http/conditions';
import { route, type Route } from '../../../shared/http/route';
import type { createExtendTask, createTellActivity } from '../application/prolong-task';
import { requesterOf } from './requester';
import { taskDetailSchema, toTaskDetailWire } from './task-wire';

const params = z.object({ id: uuid });

export interface StayUseCases {
  tellActivity: ReturnType<typeof createTellActivity>;
  extendTask: ReturnType<typeof createExtendTask>;
}

/** How its owner, or who speaks for it, keeps a task. */
export function stayRoutes({ tellActivity, extendTask }: StayUseCases): Route[] {
  return [
    route({
      method: 'post',
      path: '/api/tasks/{id}/activity',
      summary: 'Tell that a task is used, beside what its container shows of it',
      access: { permission: 'task:update' },
      params,
      responses: { 204: null },
      errors: ['task.not_found', 'task.not_running', 'task.version_conflict'],
      handle: async ({ params: { id }, caller }) => {
        await tellActivity(id, requesterOf(caller));
        return { status: 204 };
      },
    }),
    route({
      method: 'post',
      path: '/api/tasks/{id}/extend',
      summary: 'Put off the end of a task, within what the operator allows',
      access: { permission: 'task:update' },
      headers: { 'Idempotency-Key': 'the same key and body extend once' },
      params,
      body: z.strictObject({ minutes: z.int().min(1).max(5_256_000).meta({ example: 30 }) }),
      responses: { 200: taskDetailSchema },
      errors: [
        'task.not_found',
        'task.not_running',
        'task.never_expires',
        'task.extension_refused',
        'task.version_conflict',
        'request.idempotency_key_reused',
      ],
      handle: async ({ params: { id: taskId }, body, caller, header }) => {
        const scope = [caller.sub, `POST /api/tasks/${taskId}/extend`];
        const idempotency = idempotencyKey(header('idempotency-key'), scope, body);
        const found = await extendTask({ ...body, taskId, requester: requesterOf(caller), idempotency });
        return { status: 200, body: toTaskDetailWire(found), headers: { ETag: entityTag(found.version) } };
      },
    }),
  ];
}
