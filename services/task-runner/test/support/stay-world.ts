import { randomUUID } from 'node:crypto';
import type { Lifetime } from '../../domain/service-type';
import type { Task } from '../../domain/task';
import { buildLifetime, buildProcess, buildServiceType, buildWorld, type World } from './build';

/** A world whose tasks may not stay for ever; its clock goes on only when it is told to. */

const NINE = Date.parse('2026-11-23T09:00:00.000Z');

/** So many minutes after the tasks of these worlds began. */
export const at = (minutes: number): string => new Date(NINE + minutes * 60_000).toISOString();

export const user = randomUUID();
export const requester = { sub: user, admin: false };

/** Ten minutes idle or an hour of age, warned two minutes before, half an hour more at most; sampled every 24 s. */
export const LIFETIME: Partial<Lifetime> = { idleTimeout: 600, maxAge: 3600, warnBefore: 120, maxExtension: 1800 };

export async function openStay(lifetime: Partial<Lifetime> = LIFETIME) {
  const world = buildWorld(1000, NINE);
  world.types.set('demo', buildServiceType({ lifetime: buildLifetime(lifetime) }));
  const service = buildProcess(world);
  const { id } = await service.startTask({ userId: user, serviceType: 'demo', requester, idempotency: undefined });
  return { world, service, id };
}

type Process = ReturnType<typeof buildProcess>;

/** Lets minutes pass while these processes watch, every half minute. */
export async function watchFor(minutes: number, world: World, ...processes: Process[]): Promise<void> {
  for (let half = 0; half < minutes * 2; half += 1) {
    world.pass(30_000);
    await Promise.all(processes.map(({ watchStays }) => watchStays()));
  }
}

export async function taskIn(world: World, id: string): Promise<Task> {
  const found = await world.store.get(id);
  if (!found) throw new Error(`there is no task ${id}`);
  return found.task;
}

/** What happened since it began to run, with the minute of each. */
export function stepsOf({ history }: Task): string[] {
  const minute = (time: string): number => (Date.parse(time) - NINE) / 60_000;
  return history
    .slice(1 + history.findIndex(({ status }) => status === 'Running'))
    .map((step) => `${minute(step.at)} ${step.status} ${step.reason} ${step.actor === user ? 'user' : step.actor}`);
}
