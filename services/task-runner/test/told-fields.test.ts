import { eventData } from '../../../shared/contracts/events';
import { TOLD_OF_TASK } from '../../../shared/contracts/task';
import { taskSchema } from '../adapters/task-schema';

/** What whoever starts a task says of it comes to people's reports, too: the view `tasks`. */

const columns = [...taskSchema.matchAll(/ AS (\w+)(?=,\n|\nFROM)|^ +(document)(?=,?\n)/gm)].map(
  ([, named, whole]) => named ?? whole,
);
const columnOf = (field: string): string => field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

test('a new column of the view comes last: PostgreSQL replaces no view whose earlier columns differ', () => {
  const released = ['id', 'user_id', 'service_type', 'container_id', 'port', 'start_time', 'stop_time', 'duration'];
  expect(columns.slice(0, 11)).toEqual([...released, 'status', 'created_at', 'document']);
});

test.each(TOLD_OF_TASK)('%s has a column of the view, and an index that its filter reads', (field) => {
  expect(columns).toContain(columnOf(field));
  expect(taskSchema).toContain(`((state_json(value) ->> '${field}'), `);
});

test('every event of a task has all of it', () => {
  for (const type of ['task.started', 'task.stopped', 'task.failed'] as const) {
    expect([type, Object.keys(eventData[type].shape)]).toEqual([type, expect.arrayContaining([...TOLD_OF_TASK])]);
  }
});
