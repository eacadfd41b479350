import { randomUUID } from 'node:crypto';
import Docker from 'dockerode';
import { call, tokenFor, type Answer } from './system';
import { e2eInstance } from './e2e-instance';

export interface Started {
  taskId: string;
  containerPort: number;
  iframeUrl: string;
}

export function startTask(token: string, userId: string, serviceType: string): Promise<Answer> {
  return call('POST', 'task-runner/api/tasks', { token, body: { userId, serviceType } });
}

export function stopTask(token: string, taskId: string): Promise<Answer> {
  return call('DELETE', `task-runner/api/tasks/${taskId}`, { token });
}

/** The task as GET shows it. @throws when GET fails */
export async function taskOf(token: string, taskId: string, at = 'task-runner'): Promise<Record<string, unknown>> {
  const { status, body } = await call('GET', `${at}/api/tasks/${taskId}`, { token });
  if (status !== 200) throw new Error(`GET of task ${taskId}: ${status} ${JSON.stringify(body)}`);
  return body as Record<string, unknown>;
}

/** What a pool has left. */
export async function freeUnits(pool: string): Promise<number> {
  const token = tokenFor(randomUUID(), 'admin');
  const { body } = await call('GET', `resource-pool/resource_pools?name=${pool}`, { token });
  const [found] = body as { available_capacity: number }[];
  if (!found) throw new Error(`there is no pool ${pool}`);
  return found.available_capacity;
}

/** Which of these tasks have a container, running or not; of all tasks of the e2e instance without `taskIds`. */
export async function containersOf(taskIds?: string[]): Promise<string[]> {
  const filters = { label: [`resource-manager.instance=${e2eInstance().label}`] };
  const found = await new Docker().listContainers({ all: true, filters });
  const owners = found.flatMap(({ Labels }) => Labels['resource-manager.task'] ?? []);
  return taskIds ? owners.filter((id) => taskIds.includes(id)) : owners;
}
