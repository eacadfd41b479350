import { z } from 'zod';
import { toldOfTask } from '../../../shared/contracts/task';
import type { ListedTask, UNLISTED } from '../ports/task-store';
import { NEW_STAY, type Stay } from '../domain/stay';
import { CAPACITY_STATES, isOpen, TASK_STATUSES, type Task } from '../domain/task';

const time = z.iso.datetime();
const status = z.enum(TASK_STATUSES);
const problem = z.object({
  kind: z.enum([
    'invalid',
    'unauthenticated',
    'forbidden',
    'not_found',
    'conflict',
    'precondition_failed',
    'too_large',
    'unsupported_media_type',
    'unprocessable',
    'rate_limited',
    'upstream_failed',
    'unavailable',
  ]),
  code: z.string(),
  detail: z.string(),
  // rows from before failures told it have none
  logTail: z.array(z.string()).default([]),
});

const stay = z
  .object({
    activeUntil: time.nullable(),
    keptUntil: time.nullable(),
    warnedOf: time.nullable(),
    extensions: z.array(
      z.object({ seconds: z.int(), key: z.object({ id: z.string(), fingerprint: z.string() }).nullable() }),
    ),
  })
  .nullish()
  .transform((given): Stay => given ?? NEW_STAY);

/** A task as it lies in the state store. Only ever extended, since rows are kept for ever. */
const taskRow = z.object({
  id: z.uuid(),
  ...toldOfTask,
  status,
  createdAt: time,
  createdBy: z.uuid(),
  secret: z.string(),
  containerId: z.string().nullable(),
  port: z.int().nullable(),
  iframeUrl: z.string().nullable(),
  startTime: time.nullable(),
  stopTime: time.nullable(),
  poolId: z.uuid(),
  allocationId: z.uuid(),
  // rows from before there were leases have none
  nextAllocationId: z.uuid().nullable().default(null),
  capacity: z.int(),
  capacityState: z.enum(CAPACITY_STATES),
  // rows from before tasks could wait for capacity
  priority: z.int().default(0),
  wait: z.object({ until: time, inLine: z.boolean() }).nullable().default(null),
  // rows from before tasks were counted
  placed: z.boolean().default(false),
  // rows from before stays were limited
  stay,
  outcome: z
    .object({
      status: z.enum(['Stopped', 'Error']),
      reason: z.string(),
      actor: z.string(),
      at: time,
      finishedAt: time.nullable(),
      exitCode: z.int().nullable(),
      problem: problem.nullable(),
    })
    .nullable(),
  history: z.array(z.object({ status, at: time, reason: z.string(), actor: z.string() })),
  requestKey: z.string().nullable(),
  trace: z.string().nullable(),
});

export function toTaskRow(task: Task): Task & { open: boolean } {
  return { ...task, open: isOpen(task) };
}

/** @throws ZodError when the row is none of ours */
export function fromTaskRow(row: unknown): Task {
  return taskRow.parse(row);
}

const listedRow = taskRow.omit({ history: true, secret: true, trace: true, requestKey: true } satisfies Record<
  (typeof UNLISTED)[number],
  true
>);

/** @throws ZodError when the row is none of ours */
export function fromListedRow(row: unknown): ListedTask {
  return listedRow.parse(row);
}

export const rememberedRow = z.object({ taskId: z.uuid(), fingerprint: z.string() });

export const openTaskRow = taskRow
  .pick({ id: true, serviceType: true, status: true, capacityState: true })
  .extend({ since: time });

export const taskLeaseRow = taskRow.pick({
  id: true,
  createdAt: true,
  poolId: true,
  allocationId: true,
  capacityState: true,
});

export const runningTaskRow = taskRow.pick({ id: true, serviceType: true, startTime: true, stay: true });
