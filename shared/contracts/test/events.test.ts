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

/** The fields of an event's first release. They stay; what comes later is optional and is not in this table. */
const TASK = ['taskId', 'userId', 'serviceType', 'startTime', 'allocationId', 'poolId', 'capacity'];
const TASK_END = [...TASK, 'stopTime', 'duration', 'reason', 'actor', 'exitCode'];
const ALLOCATION = [
  ...['allocation_id', 'resource_pool_id', 'service_id', 'capacity', 'created_at', 'created_by', 'task_id'],
];
const RELEASED: Record<EventType, string[]> = {
  'task.started': TASK,
  'task.stopped': TASK_END,
  'task.failed': TASK_END,
  'allocation.created': ALLOCATION,
  'allocation.released': [...ALLOCATION, 'released_at', 'duration', 'end_reason', 'released_by'],
};

test.each(types)('%s has kept every field of its first release', (type) => {
  expect(Object.keys(eventData[type].shape)).toEqual(expect.arrayContaining(RELEASED[type]));
});

test.each(types)('%s: a field that is not of its first release is optional, for old events still wait', (type) => {
  const later = Object.entries(eventData[type].shape).filter(([name]) => !RELEASED[type].includes(name));
  expect(later.filter(([, field]) => !field.safeParse(undefined).success).map(([name]) => name)).toEqual([]);
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
