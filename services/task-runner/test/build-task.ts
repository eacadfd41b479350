import { randomUUID } from 'node:crypto';
import type { Lifetime } from '../domain/service-type';
import { newTask, type NewTask, type Task } from '../domain/task';

/** What tests of the pure rules need: apart from build.ts, which loads a whole service. */

export const POOL_ID = '11111111-1111-4111-8111-111111111111';

export function buildLifetime(overrides: Partial<Lifetime> = {}): Lifetime {
  const activity = { cpuCores: 0.05, networkRate: 1024 };
  return { idleTimeout: null, maxAge: null, warnBefore: 0, maxExtension: 0, activity, ...overrides };
}

export function buildTask(overrides: Partial<NewTask> = {}): Task {
  return newTask({
    id: randomUUID(),
    userId: randomUUID(),
    serviceType: 'demo',
    createdAt: new Date().toISOString(),
    createdBy: randomUUID(),
    secret: 'f'.repeat(32),
    poolId: POOL_ID,
    allocationId: randomUUID(),
    capacity: 100,
    requestKey: null,
    trace: null,
    ...overrides,
  });
}
