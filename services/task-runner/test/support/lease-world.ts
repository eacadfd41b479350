import { randomUUID } from 'node:crypto';
import { LEASE_MS } from '../../adapters/memory-capacity';
import type { Task } from '../../domain/task';
import { buildProcess, buildWorld, eventually, POOL_ID, type World } from './build';

const requester = { sub: randomUUID(), admin: false };

export const A_THIRD = LEASE_MS / 3;

/** A process on a new world with one running task. */
export async function running(units?: number) {
  const world = buildWorld(units);
  const service = buildProcess(world);
  const { id } = await service.startTask({
    userId: requester.sub,
    serviceType: 'demo',
    requester,
    idempotency: undefined,
  });
  return { world, service, id };
}

export function stop(service: ReturnType<typeof buildProcess>, taskId: string): Promise<Task> {
  return service.stopTask({ taskId, requester, checkVersion: () => undefined });
}

export function only(world: World): Task {
  const [task, ...others] = world.store.all();
  if (!task || others.length > 0) throw new Error(`${others.length + 1} tasks`);
  return task;
}

/** Somebody else takes so much of the pool. */
export async function takenByOthers(world: World, units: number): Promise<void> {
  const [taskId, userId, createdBy] = [randomUUID(), randomUUID(), randomUUID()];
  await world.capacity.take({ allocationId: randomUUID(), poolId: POOL_ID, units, taskId, userId, createdBy });
}

export const heldBy = (world: World, taskId: string): string[] =>
  [...world.capacity.held.values()].flatMap((held) => (held.taskId === taskId ? [held.allocationId] : []));

export const reasons = ({ history }: Task): string[] => history.map(({ status, reason }) => `${status} ${reason}`);

export const settled = (world: World): Promise<void> =>
  eventually(() => world.store.all().every(({ capacityState }) => capacityState !== 'lost'));
