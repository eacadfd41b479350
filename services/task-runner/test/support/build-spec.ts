import { randomUUID } from 'node:crypto';
import type { Fence } from '../../domain/service-type';
import type { ContainerSpec } from '../../ports/container-runtime';

export function buildFence(overrides: Partial<Fence> = {}): Fence {
  return {
    cpuMillis: 100,
    memoryBytes: 64 * 1024 * 1024,
    pids: 32,
    openFiles: 256,
    diskBytes: 64 * 1024 * 1024,
    logBytes: 1024 * 1024,
    gpus: 0,
    readOnly: false,
    tmpfs: {},
    user: null,
    volumes: [],
    network: 'none',
    ...overrides,
  };
}

export function buildSpec(overrides: Partial<ContainerSpec> = {}): ContainerSpec {
  const taskId = overrides.taskId ?? randomUUID();
  return {
    taskId,
    userId: randomUUID(),
    serviceType: 'demo',
    image: 'memory/web',
    command: null,
    env: { TASK_ID: taskId },
    containerPort: 8080,
    fence: buildFence(),
    ...overrides,
  };
}
