import type { World } from './build';

/** What must hold whenever everything has come to rest. */
export async function expectBalance(world: World): Promise<void> {
  const tasks = world.store.all();
  const alive = tasks.filter(({ status }) => status === 'Running').map(({ id }) => id);
  const containers = await world.runtime.list();
  expect(containers.map(({ taskId }) => taskId).sort()).toEqual([...alive].sort());
  expect(world.capacity.waiting).toEqual([]);
  expect([...world.capacity.held.values()].map(({ taskId }) => taskId).sort()).toEqual([...alive].sort());
  for (const task of tasks) {
    const told = world.store.events.filter(({ data }) => data.taskId === task.id).map(({ type }) => type);
    const start = task.startTime === null ? [] : ['task.started'];
    const end = task.status === 'Running' ? [] : [told.at(-1) === 'task.stopped' ? 'task.stopped' : 'task.failed'];
    expect(told).toEqual([...start, ...end]);
  }
}
