import { z } from 'zod';
import { duration, timestamp, uuid } from '../../../shared/contracts/fields';
import { durationBetween } from '../../../shared/contracts/duration';
import { hasEnded, TASK_STATUSES, type Task } from '../domain/task';
import { NETWORKS, type ServiceType } from '../domain/service-type';
import type { ShownTask } from '../application/read-tasks';
import type { ListedTask } from '../ports/task-store';

/** Tasks as the API shows them. */

export const statusSchema = z.enum(TASK_STATUSES);
export const statusFilter = z
  .preprocess((value) => [value].flat(), z.array(statusSchema).max(TASK_STATUSES.length))
  .meta({ description: 'several times for several states, any of which a task may have' });
/** A moment in any zone, as tasks write theirs. */
export const instant = z.iso
  .datetime({ offset: true })
  .transform((time) => new Date(time).toISOString())
  .meta({ example: '2026-11-23T09:30:00Z' });
export const serviceTypeName = z.string().min(1).max(100).meta({ example: 'demo' });

export const taskSchema = z
  .object({
    id: uuid,
    userId: uuid,
    serviceType: serviceTypeName,
    status: statusSchema,
    containerId: z.string().nullable(),
    port: z.int().nullable().meta({ description: 'port on the container host' }),
    iframeUrl: z.string().nullable().meta({ description: 'null when the container is not there' }),
    createdAt: timestamp,
    startTime: timestamp.nullable().meta({ description: 'when the container was ready' }),
    stopTime: timestamp.nullable(),
    duration: duration.nullable().meta({ description: 'null until it has ended' }),
    reason: z.string().nullable().meta({ description: 'why it ended', example: 'stopped_by_user' }),
    actor: z.string().nullable().meta({ description: 'who ended it: a user, or "system"' }),
    exitCode: z.int().nullable(),
    error: z
      .object({
        code: z.string(),
        detail: z.string(),
        logTail: z.array(z.string()).meta({ description: 'the last that its program wrote, oldest first' }),
      })
      .nullable(),
    poolId: uuid,
    allocationId: uuid,
    capacity: z.int().meta({ description: 'units of the pool that it holds or held' }),
  })
  .meta({ id: 'Task' });

export const taskDetailSchema = taskSchema
  .extend({
    expiresAt: timestamp.nullable().meta({
      description: 'when it is stopped unless it is used or extended; null when nothing limits it, or it does not run',
    }),
    idleSince: timestamp.nullable().meta({
      description: 'null while it counts as active, which it does a little longer than it is',
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
      }),
    history: z.array(z.object({ status: statusSchema, at: timestamp, reason: z.string(), actor: z.string() })),
  })
  .meta({ id: 'TaskDetail' });

export const startedSchema = z
  .object({ taskId: uuid, containerPort: z.int(), iframeUrl: z.string() })
  .meta({ id: 'TaskStarted', example: { taskId: '…', containerPort: 49153, iframeUrl: 'http://127.0.0.1:49153/' } });

export const acceptedSchema = z
  .object({ taskId: uuid, status: statusSchema })
  .meta({ id: 'TaskAccepted', example: { taskId: '…', status: 'Pulling' } });

export const stoppedSchema = z.object({ success: z.literal(true), duration }).meta({ id: 'TaskStopped' });

export const serviceTypeSchema = z
  .object({
    name: serviceTypeName,
    description: z.string(),
    image: z.string(),
    resources: z.object({
      cpuMillis: z.int(),
      memoryBytes: z.int(),
      pids: z.int(),
      openFiles: z.int(),
      diskBytes: z.int().meta({ description: 'holds where the storage driver of the container host has quotas' }),
      logBytes: z.int(),
      gpus: z.union([z.int(), z.literal('all')]),
    }),
    readOnly: z.boolean().meta({ description: 'only tmpfs and volumes can be written to' }),
    network: z.enum(NETWORKS).meta({ description: 'what a container reaches beside its own page' }),
    volumes: z.array(z.object({ name: z.string(), path: z.string() })).meta({
      description: 'kept for the next task of the same user and type',
    }),
    limits: z.object({ tasks: z.int(), tasksPerUser: z.int() }).meta({
      description: 'how many tasks of this type may be open, in all and of one user',
    }),
    capacity: z.object({ pool: z.string(), units: z.int() }),
    idleTimeout: z.int().nullable().meta({ description: 'seconds without activity after which a task is stopped' }),
    maxAge: z.int().nullable().meta({ description: 'seconds after which a task is stopped, used or not' }),
    warnBefore: z.int().meta({ description: 'seconds before its end that a warning comes; 0: none' }),
    maxExtension: z.int().meta({ description: 'seconds by which its end can be put off, in all' }),
  })
  .meta({ id: 'ServiceType' });

export function toTaskWire(task: ListedTask): z.input<typeof taskSchema> {
  return {
    id: task.id,
    userId: task.userId,
    serviceType: task.serviceType,
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
