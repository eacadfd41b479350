import { randomUUID } from 'node:crypto';
import { cloudEvent, eventData, type EventType } from '../events';

const now = '2026-11-23T09:30:00.000Z';
const task = {
  taskId: randomUUID(),
  userId: randomUUID(),
  serviceType: 'demo',
  startTime: now,
  allocationId: null,
  poolId: null,
  capacity: null,
};
const end = { ...task, stopTime: now, duration: 'PT0S', reason: 'exited', actor: 'system', exitCode: 0 };
const allocation = {
  allocation_id: randomUUID(),
  resource_pool_id: randomUUID(),
  service_id: randomUUID(),
  capacity: 1,
  created_at: now,
  created_by: randomUUID(),
  task_id: null,
};
const data: Record<EventType, object> = {
  'task.started': task,
  'task.stopped': end,
  'task.failed': { ...end, startTime: null },
  'allocation.created': allocation,
  'allocation.released': {
    ...allocation,
    released_at: now,
    duration: 'PT0S',
    end_reason: 'released',
    released_by: 'system',
  },
};
const event = (type: EventType, more: object = {}) => ({
  specversion: '1.0',
  id: randomUUID(),
  source: 'test',
  type,
  time: now,
  datacontenttype: 'application/json',
  data: data[type],
  ...more,
});
const types = Object.keys(eventData) as EventType[];

// a published field is a contract: this list may grow, and only by optional fields
test('the fields that every event has had since its first release', () => {
  expect(Object.fromEntries(types.map((type) => [type, Object.keys(eventData[type].shape).sort()])))
    .toMatchInlineSnapshot(`
    {
      "allocation.created": [
        "allocation_id",
        "capacity",
        "created_at",
        "created_by",
        "resource_pool_id",
        "service_id",
        "task_id",
      ],
      "allocation.released": [
        "allocation_id",
        "capacity",
        "created_at",
        "created_by",
        "duration",
        "end_reason",
        "released_at",
        "released_by",
        "resource_pool_id",
        "service_id",
        "task_id",
      ],
      "task.failed": [
        "actor",
        "allocationId",
        "capacity",
        "duration",
        "exitCode",
        "poolId",
        "reason",
        "serviceType",
        "startTime",
        "stopTime",
        "taskId",
        "userId",
      ],
      "task.started": [
        "allocationId",
        "capacity",
        "poolId",
        "serviceType",
        "startTime",
        "taskId",
        "userId",
      ],
      "task.stopped": [
        "actor",
        "allocationId",
        "capacity",
        "duration",
        "exitCode",
        "poolId",
        "reason",
        "serviceType",
        "startTime",
        "stopTime",
        "taskId",
        "userId",
      ],
    }
  `);
});

test.each(types)('%s: the event of today is accepted, also with fields of tomorrow', (type) => {
  expect(cloudEvent(type).safeParse(event(type)).success).toBe(true);
  expect(cloudEvent(type).safeParse(event(type, { traceid: 'x', data: { ...data[type], later: 1 } })).success).toBe(
    true,
  );
});

test.each(types)('%s: another type, version or id is not', (type) => {
  for (const more of [{ type: 'other' }, { specversion: '0.3' }, { id: 'x' }, { data: {} }, { data: undefined }]) {
    expect(cloudEvent(type).safeParse(event(type, more)).success).toBe(false);
  }
});

test('a task that stopped had started', () => {
  expect(
    cloudEvent('task.stopped').safeParse(event('task.stopped', { data: { ...end, startTime: null } })).success,
  ).toBe(false);
});
