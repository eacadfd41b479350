import { z } from 'zod';
import { instant, priority, uuid, waitSeconds } from '../../../shared/contracts/fields';
import { REFUSED_GRANTS } from '../../../shared/contracts/inventory';
import { toldOfTask } from '../../../shared/contracts/task';
import { checkIfMatch, entityTag, idempotencyKey, prefers } from '../../../shared/http/conditions';
import { decodePosition, pageBothWays, pageQuery } from '../../../shared/http/paging';
import { route, type Route } from '../../../shared/http/route';
import type { createFollowTask } from '../application/follow-task';
import type { createGetTask, createListTasks } from '../application/read-tasks';
import type { createStartTask } from '../application/start-task';
import type { createStopTask } from '../application/stop-task';
import type { createDeleteVolume, createListVolumes } from '../application/volumes';
import type { ServiceType } from '../domain/service-type';
import { keysetOf } from '../ports/task-store';
import { followRoute } from './follow-route';
import { lookInRoutes, type LookInUseCases } from './look-in-routes';
import { requesterOf } from './requester';
import { stayRoutes, type StayUseCases } from './stay-routes';
import {
  acceptedSchema,
  serviceTypeSchema,
  startedSchema,
  statusFilter,
  stoppedSchema,
  taskDetailSchema,
  taskSchema,
  toAcceptedWire,
  toServiceTypeWire,
  toStartedWire,
  toStoppedWire,
  toTaskDetailWire,
  toTaskWire,
} from './task-wire';
import { volumeRoutes } from './volume-routes';

export interface TaskUseCases extends StayUseCases, LookInUseCases {
  startTask: ReturnType<typeof createStartTask>;
  stopTask: ReturnType<typeof createStopTask>;
  getTask: ReturnType<typeof createGetTask>;
  listTasks: ReturnType<typeof createListTasks>;
  followTask: ReturnType<typeof createFollowTask>;
  serviceTypes: ReadonlyMap<string, ServiceType>;
  listVolumes: ReturnType<typeof createListVolumes>;
  deleteVolume: ReturnType<typeof createDeleteVolume>;
}

const taskId = z.object({ id: uuid });

export function taskRoutes(useCases: TaskUseCases): Route[] {
  const { startTask, stopTask, getTask, listTasks, followTask, serviceTypes } = useCases;
  return [
    ...volumeRoutes(useCases),
    route({
      method: 'post',
      path: '/api/tasks',
      summary: 'Start a container for a user: 201 when it serves within ten seconds, else 202 and it goes on',
      access: { permission: 'task:create' },
      headers: {
        'Idempotency-Key': 'the same key and body get the same task',
        Prefer: '`respond-async`: do not wait until it serves',
      },
      body: z.strictObject({
        ...toldOfTask,
        waitSeconds: waitSeconds.optional().meta({
          description: 'capacity that is not there at once is waited for so long: 202, and the task stays Pending',
        }),
        priority: priority
          .optional()
          .meta({ description: 'among those who wait for capacity the larger goes first; 0 unless told' }),
      }),
      responses: { 201: startedSchema, 202: acceptedSchema },
      errors: [
        'task.unknown_service_type',
        'task.not_for_others',
        'task.pool_missing',
        'task.limit_reached',
        'task.capacity_unavailable',
        ...REFUSED_GRANTS,
        'allocation.queue_full',
        'runtime.unavailable',
        'runtime.image_missing',
        'runtime.pull_failed',
        'task.start_failed',
        'task.start_interrupted',
        'task.start_refused',
        'task.cancelled',
        'request.idempotency_key_reused',
      ],
      handle: async (input) => {
        const { body, caller } = input;
        const idempotency = idempotencyKey(input.header('idempotency-key'), [caller.sub, 'POST /api/tasks'], body);
        const background = prefers(input.header('prefer'), 'respond-async');
        const task = await startTask({ ...body, requester: requesterOf(caller), idempotency, background });
        const headers = { Location: `/api/tasks/${task.id}` };
        if (task.startTime !== null) return { status: 201, body: toStartedWire(task), headers };
        const applied = background ? { 'Preference-Applied': 'respond-async' } : {};
        return { status: 202, body: toAcceptedWire(task), headers: { ...headers, ...applied } };
      },
    }),
    route({
      method: 'get',
      path: '/api/tasks',
      summary: 'Own tasks, or everybody’s for an administrator, newest first',
      access: { permission: 'task:list' },
      query: z
        .strictObject({
          ...pageQuery,
          ...z.object(toldOfTask).partial().shape,
          status: statusFilter.optional(),
          from: instant.optional().meta({ description: 'created then or later' }),
          to: instant.optional().meta({ description: 'created earlier than then' }),
        })
        .refine(({ from, to }) => from === undefined || to === undefined || from < to, {
          path: ['to'],
          message: 'must be later than `from`',
        }),
      responses: { 200: z.array(taskSchema) },
      errors: ['task.not_for_others'],
      handle: async (input) => {
        const { limit, cursor, ...filter } = input.query;
        const position = decodePosition(cursor);
        const rows = await listTasks({ ...filter, limit: limit + 1, ...position }, requesterOf(input.caller));
        return pageBothWays(input, limit, position, rows, keysetOf, toTaskWire);
      },
    }),
    route({
      method: 'get',
      path: '/api/tasks/{id}',
      summary: 'One task with its history',
      access: { permission: 'task:get' },
      params: taskId,
      responses: { 200: taskDetailSchema },
      errors: ['task.not_found'],
      handle: async ({ params, caller }) => {
        const found = await getTask(params.id, requesterOf(caller));
        return { status: 200, body: toTaskDetailWire(found), headers: { ETag: entityTag(found.version) } };
      },
    }),
    followRoute(followTask),
    ...stayRoutes(useCases),
    ...lookInRoutes(useCases),
    route({
      method: 'delete',
      path: '/api/tasks/{id}',
      summary: 'Stop a task and remove its container; one that has ended stays as it is',
      access: { permission: 'task:delete' },
      headers: { 'If-Match': 'stop it only if it is still this version' },
      params: taskId,
      responses: { 200: stoppedSchema },
      errors: ['task.not_found', 'task.version_conflict', 'runtime.unavailable', 'request.precondition_failed'],
      handle: async (input) => {
        const checkVersion = (version: string): void => checkIfMatch(input.header('if-match'), version);
        const task = await stopTask({ taskId: input.params.id, requester: requesterOf(input.caller), checkVersion });
        return { status: 200, body: toStoppedWire(task) };
      },
    }),
    route({
      method: 'get',
      path: '/api/service-types',
      summary: 'What can be started',
      access: { permission: 'task:list' },
      responses: { 200: z.array(serviceTypeSchema) },
      handle: () => Promise.resolve({ status: 200, body: [...serviceTypes.values()].map(toServiceTypeWire) }),
    }),
  ];
}
