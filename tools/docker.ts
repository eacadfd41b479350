import type Docker from 'dockerode';
import { connectDocker } from '../services/task-runner/adapters/docker-connection';
import type { Instance } from './instance';

/** Labels that task-runner puts on all it makes in Docker; `npm run clean` finds it by them. */
export const INSTANCE_LABEL = 'resource-manager.instance';

/**
 * A client for the engine that task-runner uses with this environment; undefined when none answers there within 3 s.
 * @throws ConfigError when the environment names none
 */
export async function findDocker(): Promise<Docker | undefined> {
  const docker = connectDocker(process.env);
  try {
    await docker.listContainers({ limit: 1, abortSignal: AbortSignal.timeout(3000) });
    return docker;
  } catch {
    return undefined; // not there, or not for us: tasks will answer 503
  }
}

/** Removes the containers and networks of an instance; returns how many there were. */
export async function removeContainers(
  docker: Docker,
  instance: Instance,
): Promise<{ containers: number; networks: number }> {
  const filters = JSON.stringify({ label: [`${INSTANCE_LABEL}=${instance.label}`] });
  const containers = await docker.listContainers({ all: true, filters });
  await Promise.all(containers.map(({ Id }) => docker.getContainer(Id).remove({ force: true, v: true })));
  const networks = await docker.listNetworks({ filters });
  await Promise.all(networks.map(({ Id }) => docker.getNetwork(Id).remove()));
  return { containers: containers.length, networks: networks.length };
}
