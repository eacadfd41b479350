import { LEASE_MS } from '../adapters/memory-capacity';
import { starting } from '../domain/task';
import { buildProcess, buildTask, buildWorld, eventually, POOL_ID, NO_LIMITS } from './support/build';
import { A_THIRD, heldBy, only, reasons, running, settled, stop, takenByOthers } from './support/lease-world';

describe('the lease of a task', () => {
  test('when it is renewed, then the capacity is held for as long as the task runs, and its row is not touched', async () => {
    const { world, service, id } = await running();
    const before = await world.store.get(id);
    for (let round = 0; round < 6; round += 1) {
      world.pass(A_THIRD);
      await service.renewLeases();
    }
    expect(heldBy(world, id)).toEqual([before!.task.allocationId]);
    expect(await world.store.get(id)).toEqual(before);
    await stop(service, id);
    world.capacity.renewals.length = 0;
    await service.renewLeases();
    expect([world.capacity.renewals, world.capacity.held.size]).toEqual([[], 0]);
  });

  test('when task-runner dies and nobody renews, then the capacity comes back by itself', async () => {
    const { world, id } = await running();
    world.pass(LEASE_MS - 1_000);
    expect(heldBy(world, id)).toHaveLength(1);
    world.pass(1_000);
    expect(heldBy(world, id)).toEqual([]);
  });

  test('when task-runner is back within the lease, then the next process goes on with it and nothing is told', async () => {
    const { world, id } = await running();
    world.pass(LEASE_MS - 1_000);
    const next = buildProcess(world);
    await Promise.all([next.reconcile(), next.renewLeases()]);
    world.pass(LEASE_MS - 1_000);
    expect(heldBy(world, id)).toEqual([only(world).allocationId]);
    expect(reasons(only(world))).toEqual(['Pending requested', 'Starting capacity_taken', 'Running ready']);
  });

  test('when many tasks live, then all are renewed, page by page', async () => {
    const world = buildWorld(1_000_000);
    const service = buildProcess(world);
    // many of the same time: the order is by id then
    const tasks = Array.from({ length: 1_201 }, () => buildTask({ createdAt: '2026-11-23T09:00:00.000Z' }));
    for (const task of tasks) {
      await world.store.insert(starting(task, task.createdAt), NO_LIMITS);
      world.capacity.held.set(task.allocationId, { ...task, units: 100, taskId: task.id });
    }
    await service.renewLeases();
    expect(world.capacity.renewals.map(({ length }) => length)).toEqual([500, 500, 201]);
    expect(new Set(world.capacity.renewals.flat())).toEqual(new Set(tasks.map(({ allocationId }) => allocationId)));
  });
});

describe('task-runner away for longer than the lease, while the container runs on', () => {
  test('when the pool still has capacity, then the task takes it anew under another id, and runs on', async () => {
    const { world, service, id } = await running();
    const first = only(world).allocationId;
    world.pass(LEASE_MS);
    expect(world.capacity.held.size).toBe(0);
    const next = buildProcess(world);
    await next.renewLeases();
    await settled(world);
    const task = only(world);
    expect(task).toMatchObject({ status: 'Running', capacityState: 'held', nextAllocationId: null });
    expect(task.allocationId).not.toBe(first);
    expect(heldBy(world, id)).toEqual([task.allocationId]);
    expect(reasons(task).slice(2)).toEqual(['Running ready', 'Running lease_expired', 'Running capacity_taken']);
    expect(await world.runtime.inspect(id)).toMatchObject({ running: true });
    await stop(service, id);
    expect(world.capacity.held.size).toBe(0);
    expect(world.store.events.at(-1)).toMatchObject({
      type: 'task.stopped',
      data: { allocationId: task.allocationId, capacity: 100, reason: 'stopped_by_user' },
    });
  });

  test('when others have it all, then the task ends in order, and says why and what it had held', async () => {
    const { world, id } = await running(150);
    const { allocationId } = only(world);
    world.pass(LEASE_MS);
    await takenByOthers(world, 100);
    await buildProcess(world).renewLeases();
    await eventually(() => only(world).status === 'Error');
    expect(only(world)).toMatchObject({
      capacityState: 'returned',
      outcome: {
        reason: 'capacity_lost',
        actor: 'system',
        problem: { code: 'task.capacity_lost', detail: expect.stringContaining('allocation.insufficient_capacity') },
      },
    });
    expect(await world.runtime.inspect(id)).toBeUndefined();
    expect(heldBy(world, id)).toEqual([]);
    expect(world.store.events.at(-1)).toMatchObject({
      type: 'task.failed',
      data: { reason: 'capacity_lost', allocationId, poolId: POOL_ID, capacity: 100, startTime: expect.any(String) },
    });
  });

  test('when the runtime is away too, then the task without capacity ends as soon as it is back', async () => {
    const { world, id } = await running(150);
    world.pass(LEASE_MS);
    await takenByOthers(world, 100);
    world.runtime.goAway();
    const next = buildProcess(world);
    await next.renewLeases();
    await eventually(() => only(world).status === 'Stopping');
    world.runtime.comeBack();
    await next.reconcile();
    expect(only(world)).toMatchObject({ status: 'Error', outcome: { reason: 'capacity_lost' } });
    expect(await world.runtime.inspect(id)).toBeUndefined();
  });

  test('when the task was just starting, then its container is made on capacity that it holds', async () => {
    const world = buildWorld();
    const task = starting(buildTask({ createdAt: world.now() }), world.now());
    await world.capacity.take({ ...task, units: task.capacity, taskId: task.id });
    await world.store.insert(task, NO_LIMITS);
    world.pass(LEASE_MS);
    const next = buildProcess(world);
    await Promise.all([next.renewLeases(), next.reconcile()]);
    await eventually(() => only(world).status === 'Running');
    await next.renewLeases();
    await settled(world);
    expect(heldBy(world, task.id)).toEqual([only(world).allocationId]);
    expect(only(world).allocationId).not.toBe(task.allocationId);
  });

  test('when the container ended meanwhile, then the task ends as its container did, and asks for nothing', async () => {
    const { world, id } = await running();
    world.runtime.exit(id, 3, { untold: true });
    world.pass(LEASE_MS);
    const next = buildProcess(world);
    await next.reconcile();
    await next.renewLeases();
    expect(only(world)).toMatchObject({ status: 'Error', outcome: { reason: 'crashed' } });
    expect(world.capacity.held.size).toBe(0);
  });
});
