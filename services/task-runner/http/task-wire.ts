import { z } from 'zod';
import { duration, timestamp, uuid } from '../../../shared/contracts/fields';
import { durationBetween } from '../../../shared/contracts/duration';
import { toldOf, toldOfTask } from '../../../shared/contracts/task';
import { hasEnded, TASK_STATUSES, type Task } from '../domain/task';
import { NETWORKS, type ServiceType } from '../domain/service-type';
import type { ShownTask } from '../application/read-tasks';
import type { ListedTask } from '../ports/task-store';

/** Tasks as the API shows them. */

const statusSchema = z.enum(TASK_STATUSES);
export const statusFilter = z
  .preprocess((value) => [value].flat(), z.array(statusSchema).max(TASK_STATUSES.length))
  .meta({ description: 'several times for several states, any of which a task may have' });

export const taskSchema = z
  .object({
    id: uuid,
    ...toldOfTask,
    status: statusSchema.meta({ example: 'Running' }),
    containerId: z.string().nullable().meta({ example: '4f66ad9a0b2e4d4f8f2f5c2c3f7b5f5a' }),
    port: z.int().nullable().meta({ description: 'port on the container host', example: 49153 }),
    iframeUrl: z
      .string()
      .nullable()
      .meta({ description: 'null when the container is not there', example: 'http://127.0.0.1:49153/' }),
    createdAt: timestamp,
    startTime: timestamp.nullable().meta({ description: 'when the container was ready' }),
    stopTime: timestamp.nullable().meta({ example: null }),
    duration: duration.nullable().meta({ description: 'null until it has ended', example: null }),
    reason: z.string().nullable().meta({ description: 'why it ended, for example stopped_by_user', example: null }),
    actor: z.string().nullable().meta({ description: 'who ended it: a user, or "system"', example: null }),
    exitCode: z.int().nullable().meta({ example: null }),
    error: z
      .object({
        code: z.string(),
        detail: z.string(),
        logTail: z.array(z.string()).meta({ description: 'the last that its program wrote, oldest first' }),
      })
      .nullable()
      .meta({ example: null }),
    poolId: uuid,
    allocationId: uuid,
    capacity: z.int().meta({ description: 'units of the pool that it holds or held', example: 100 }),
  })
  .meta({ id: 'Task' });

export const taskDetailSchema = taskSchema
  .extend({
    expiresAt: timestamp.nullable().meta({
      description: 'when it is stopped unless it is used or extended; null when nothing limits it, or it does not run',
    }),
    idleSince: timestamp.nullable().meta({
      description: 'null while it counts as active, which it does a little longer than it is',
      example: null,
    }),
    waiting: z
      .object({
        until: timestamp,
        position: z.int().nullable().meta({ description: 'in the line of its pool: 1 is next' }),
        reason: z
          .string()
          .nullable()
          .meta({ description: 'the code that says what it waits for', example: 'allocation.insufficient_capacity' }),
      })
      .nullable()
      .meta({
        description: 'while it waits for capacity; where it stands, as far as the process that answers has heard',
        example: null,
      }),
    history: z.array(z.object({ status: statusSchema, at: timestamp, reason: z.string(), actor: z.string() })).meta({
      example: [{ status: 'Running', at: '2026-11-23T09:30:00.000Z', reason: 'ready', actor: 'system' }],
    }),
  })
  .meta({ id: 'TaskDetail' });

export const startedSchema = z
  .object({
    taskId: uuid,
    containerPort: z.int().meta({ example: 49153 }),
    iframeUrl: z.string().meta({ example: 'http://127.0.0.1:49153/' }),
  })
  .meta({ id: 'TaskStarted' });

export const acceptedSchema = z
  .object({ taskId: uuid, status: statusSchema.meta({ example: 'Pulling' }) })
  .meta({ id: 'TaskAccepted' });

export const stoppedSchema = z.object({ success: z.literal(true), duration }).meta({ id: 'TaskStopped' });

export const serviceTypeSchema = z
  .object({
    name: toldOfTask.serviceType,
    description: z.string().meta({ example: 'A small web page that shows which container answers' }),
    image: z.string().meta({ example: 'resource-manager/demo:1' }),
    resources: z.object({
      cpuMillis: z.int().meta({ example: 100 }),
      memoryBytes: z.int().meta({ example: 67_108_864 }),
      pids: z.int().meta({ example: 32 }),
      openFiles: z.int().meta({ example: 1024 }),
      diskBytes: z
        .int()
        .meta({ description: 'holds where the storage driver of the container host has quotas', example: 67_108_864 }),
      logBytes: z.int().meta({ example: 1_048_576 }),
      gpus: z.union([z.int(), z.literal('all')]).meta({ example: 0 }),
    }),
    readOnly: z.boolean().meta({ description: 'only tmpfs and volumes can be written to' }),
    network: z.enum(NETWORKS).meta({ description: 'what a container reaches beside its own page' }),
    volumes: z.array(z.object({ name: z.string(), path: z.string() })).meta({
      description: 'kept for the next task of the same user and type',
      example: [{ name: 'work', path: '/home/jovyan/work' }],
    }),
    limits: z.object({ tasks: z.int(), tasksPerUser: z.int() }).meta({
      description: 'how many tasks of this type may be open, in all and of one user',
      example: { tasks: 1000, tasksPerUser: 20 },
    }),
    capacity: z.object({ pool: z.string(), units: z.int() }).meta({ example: { pool: 'local-cpu', units: 100 } }),
    idleTimeout: z
      .int()
      .nullable()
      .meta({ description: 'seconds without activity after which a task is stopped', example: 7200 }),
    maxAge: z
      .int()
      .nullable()
      .meta({ description: 'seconds after which a task is stopped, used or not', example: null }),
    warnBefore: z.int().meta({ description: 'seconds before its end that a warning comes; 0: none', example: 600 }),
    maxExtension: z.int().meta({ description: 'seconds by which its end can be put off, in all', example: 86_400 }),
  })
  .meta({ id: 'ServiceType' });

export function toTaskWire(task: ListedTask): z.input<typeof taskSchema> {
  return {
    id: task.id,
    ...toldOf(task),
    status: task.status,
    containerId: task.containerId,
    port: task.port,
    iframeUrl: hasEnded(task) ? null : task.iframeUrl,
    createdAt: task.createdAt,
    startTime: task.startTime,
    stopTime: task.stopTime,
    duration: durationOf(task),
    reason: task.outcome?.reason ?? null,
    actor: task.outcome?.actor ?? null,
    exitCode: task.outcome?.exitCode ?? null,
    error: errorOf(task),
    poolId: task.poolId,
    allocationId: task.allocationId,
    capacity: task.capacity,
  };
}

function errorOf({ outcome }: Pick<Task, 'outcome'>): z.input<typeof taskSchema>['error'] {
  if (!outcome?.problem) return null;
  const { code, detail, logTail } = outcome.problem;
  return { code, detail, logTail: [...logTail] };
}

export function toTaskDetailWire({ task, stay, waiting }: ShownTask): z.input<typeof taskDetailSchema> {
  return { ...toTaskWire(task), ...stay, waiting, history: [...task.history] };
}

/** @param task that was ready once */
export function toStartedWire(task: Task): z.input<typeof startedSchema> {
  if (task.port === null || task.iframeUrl === null) throw new Error(`task ${task.id} was never ready`);
  return { taskId: task.id, containerPort: task.port, iframeUrl: task.iframeUrl };
}

/** @param task that is on its way */
export function toAcceptedWire({ id, status }: Task): z.input<typeof acceptedSchema> {
  return { taskId: id, status };
}

/** @param task that has ended */
export function toStoppedWire(task: Task): z.input<typeof stoppedSchema> {
  return { success: true, duration: durationOf(task) ?? 'PT0S' };
}

export function toServiceTypeWire(type: ServiceType): z.input<typeof serviceTypeSchema> {
  const { name, description, image, capacity, limits } = type;
  const { readOnly, network, volumes, tmpfs: _tmpfs, user: _user, ...resources } = type.fence;
  const { activity: _activity, ...lifetime } = type.lifetime;
  return {
    ...{ name, description, image, resources, readOnly, network, volumes: [...volumes], limits, capacity },
    ...lifetime,
  };
}

function durationOf({ startTime, stopTime }: Pick<Task, 'startTime' | 'stopTime'>): string | null {
  return stopTime === null ? null : durationBetween(startTime ?? stopTime, stopTime);
}
