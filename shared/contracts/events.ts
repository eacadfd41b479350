import { z } from 'zod';
import { capacity, duration, timestamp, uuid } from './fields';
import { toldOfTask } from './task';

/**
 * Every event that crosses a service border. Publisher and consumer parse with the same schema; a schema is only ever
 * extended (new fields optional), since old events wait in the broker while services are replaced.
 */

const taskFields = {
  taskId: uuid,
  ...toldOfTask,
  /** When the container was ready; null when it never was. */
  startTime: timestamp.nullable(),
  /** The pool units that the task held while it ran. */
  allocationId: uuid.nullable(),
  poolId: uuid.nullable(),
  capacity: capacity.nullable(),
};

const taskEnd = {
  ...taskFields,
  stopTime: timestamp,
  duration,
  /** Why it ended: `stopped_by_user`, `exited`, `oom_killed`, `image_missing`, `start_failed`, … An open set. */
  reason: z.string(),
  /** Who ended it: a user's id, or `system`. */
  actor: z.string(),
  exitCode: z.int().nullable(),
};

const allocationFields = {
  allocation_id: uuid,
  resource_pool_id: uuid,
  service_id: uuid,
  capacity,
  created_at: timestamp,
  /** `sub` of the caller that made the allocation. */
  created_by: uuid,
  /** Set when a task holds this allocation: the task's own record then covers the use. */
  task_id: uuid.nullable(),
};

export const eventData = {
  'task.started': z.object({ ...taskFields, startTime: timestamp }),
  'task.stopped': z.object({ ...taskEnd, startTime: timestamp }),
  'task.failed': z.object(taskEnd),
  'allocation.created': z.object(allocationFields),
  'allocation.released': z.object({
    ...allocationFields,
    released_at: timestamp,
    duration,
    /** `released`; later also `expired`. An open set. */
    end_reason: z.string(),
    /** Who released it: a `sub`, or `system`. */
    released_by: z.string(),
  }),
} as const;

export type EventType = keyof typeof eventData;

/** Types that tell of the end of a use. Beside their own topics such events go, in bundles, to the topic `USAGE_ENDED`. */
export const ENDS_USE = ['task.stopped', 'task.failed', 'allocation.released'] as const satisfies readonly EventType[];

/** One message is a bundle: the events themselves as a JSON array, the JSON batch format of CloudEvents 1.0. */
export const USAGE_ENDED = 'usage.ended';

export function endsUse(type: EventType): boolean {
  return (ENDS_USE as readonly EventType[]).includes(type);
}

export type EventData<T extends EventType> = z.infer<(typeof eventData)[T]>;

/** CloudEvents 1.0 in structured mode (https://cloudevents.io), with the Distributed Tracing extension. */
export function cloudEvent<T extends EventType>(type: T) {
  return z.object({
    specversion: z.literal('1.0'),
    id: uuid,
    source: z.string().min(1),
    type: z.literal(type),
    time: timestamp,
    datacontenttype: z.literal('application/json'),
    /** W3C trace context of the request that caused the event. */
    traceparent: z.string().optional(),
    data: eventData[type],
  });
}

export interface CloudEvent<T extends EventType = EventType> {
  specversion: '1.0';
  id: string;
  source: string;
  type: T;
  time: string;
  datacontenttype: 'application/json';
  traceparent?: string;
  data: EventData<T>;
}
