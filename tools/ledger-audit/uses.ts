import { z } from 'zod';
import { durationBetween } from '../../shared/contracts/duration';
import { uuidFromName } from '../../shared/contracts/ids';
import { read, type AnyRecord } from './shapes';

/** A finished use as the service tells it that it was of, and the record that there must be of it. */
export interface Use {
  /** "task 8f…" or "allocation 8f…". */
  name: string;
  recordId: string;
  expected: Omit<AnyRecord, 'version' | 'id' | 'sourceEvent' | 'corrects'> & { eventType: string };
}

const time = z.iso.datetime();
const taskRow = z.object({
  id: z.string(),
  userId: z.string(),
  serviceType: z.string(),
  status: z.string(),
  startTime: time.nullable(),
  stopTime: time.nullable(),
  poolId: z.string(),
  allocationId: z.string(),
  capacity: z.int(),
  capacityState: z.string(),
  outcome: z.object({ reason: z.string() }).nullable(),
});

const allocationRow = z.object({
  id: z.string(),
  resource_pool_id: z.string(),
  service_id: z.string(),
  allocated_capacity: z.int(),
  created_at: time,
  created_by: z.string(),
  task_id: z.string().nullable().default(null),
  released_at: time.nullable().default(null),
  end_reason: z.string().default(''),
});

/** @returns a sentence's end where there was no use (yet) */
export function useOfTask(row: unknown): Use | string {
  const task = read(taskRow, row);
  if (!task) return 'that is not there, or not of its shape';
  const { id, status, startTime, stopTime, outcome } = task;
  if (status !== 'Stopped' && status !== 'Error') return `that has not ended (${status})`;
  if (startTime === null) return 'that never ran';
  if (stopTime === null || outcome === null) return 'that has ended without a time or a reason';
  const held = task.capacityState !== 'wanted';
  const eventType = status === 'Stopped' ? 'task.stopped' : 'task.failed';
  return {
    name: `task ${id}`,
    recordId: uuidFromName(`${eventType} ${id}`),
    expected: {
      kind: 'task',
      userId: task.userId,
      taskId: id,
      allocationId: held ? task.allocationId : null,
      serviceType: task.serviceType,
      serviceId: null,
      poolId: held ? task.poolId : null,
      capacity: held ? task.capacity : null,
      startedAt: instant(startTime),
      endedAt: instant(stopTime),
      duration: durationBetween(startTime, stopTime),
      reason: outcome.reason,
      eventType,
    },
  };
}

/** @returns as useOfTask */
export function useOfAllocation(row: unknown): Use | string {
  const allocation = read(allocationRow, row);
  if (!allocation) return 'that is not there, or not of its shape';
  const { id, released_at, task_id } = allocation;
  if (released_at === null) return 'that is still held';
  if (task_id !== null) return `that task ${task_id} held, whose own record covers it`;
  return {
    name: `allocation ${id}`,
    recordId: uuidFromName(`allocation.released:${id}`),
    expected: {
      kind: 'allocation',
      userId: allocation.created_by,
      taskId: null,
      allocationId: id,
      serviceType: null,
      serviceId: allocation.service_id,
      poolId: allocation.resource_pool_id,
      capacity: allocation.allocated_capacity,
      startedAt: instant(allocation.created_at),
      endedAt: instant(released_at),
      duration: durationBetween(allocation.created_at, released_at),
      reason: allocation.end_reason,
      eventType: 'allocation.released',
    },
  };
}

function instant(timestamp: string): string {
  return new Date(timestamp).toISOString();
}

/** What the record says otherwise: "capacity is 5, not 4". */
export function differences({ expected, recordId }: Use, record: AnyRecord): string[] {
  const { eventType, ...fields } = expected;
  const wrong = Object.entries(fields).flatMap(([name, value]) => {
    const said = record[name as keyof typeof fields];
    return said === value ? [] : [`${name} is ${JSON.stringify(said)}, not ${JSON.stringify(value)}`];
  });
  if (record.sourceEvent.type !== eventType) wrong.push(`it tells of ${record.sourceEvent.type}, not ${eventType}`);
  if (record.sourceEvent.id !== recordId) wrong.push(`it tells of event ${record.sourceEvent.id}`);
  return wrong;
}

/** Of a use's time from start to end; 0 where a clock went backwards. In milliseconds, as whole numbers of any size. */
export function unitMilliseconds(use: { capacity: number | null; startedAt: string; endedAt: string }): bigint {
  const milliseconds = Math.max(0, Date.parse(use.endedAt) - Date.parse(use.startedAt));
  return BigInt(use.capacity ?? 0) * BigInt(milliseconds);
}

/** Whether the allocation that a task names says the same of what was held. */
export function holdingFault({ expected }: Use, row: unknown): string | null {
  const { allocationId, taskId, poolId, capacity } = expected;
  if (allocationId === null) return null;
  const held = read(allocationRow, row);
  if (!held) return `allocation ${allocationId}, which it held, is not there`;
  const wrong = [
    held.task_id === taskId ? [] : [`is of task ${held.task_id}`],
    held.resource_pool_id === poolId ? [] : [`is of pool ${held.resource_pool_id}, not ${poolId}`],
    held.allocated_capacity === capacity ? [] : [`is of ${held.allocated_capacity} units, not ${capacity}`],
  ].flat();
  return wrong.length > 0 ? `allocation ${allocationId}, which it held, ${wrong.join(', ')}` : null;
}
