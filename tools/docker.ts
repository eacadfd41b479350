import type Docker from 'dockerode';
import { connectDocker } from '../services/task-runner/adapters/docker-connection';
import type { Instance } from './instance';
import { openTasks } from './task-firewall';

/** Labels that task-runner puts on all it makes in Docker; `npm run clean` finds it by them. */
const INSTANCE_LABEL = 'resource-manager.instance';

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

/** All of an instance, running or not. */
export function containersOf(docker: Docker, instance: Instance): Promise<Docker.ContainerInfo[]> {
  return docker.listContainers({ all: true, filters: filtersFor(instance) });
}

function filtersFor(instance: Instance): string {
  return JSON.stringify({ label: [`${INSTANCE_LABEL}=${instance.label}`] });
}

/** Removes the containers, networks and volumes of an instance; returns how many there were. */
export async function removeContainers(
  docker: Docker,
  instance: Instance,
): Promise<{ containers: number; networks: number; volumes: number }> {
  const filters = filtersFor(instance);
  const containers = await containersOf(docker, instance);
  await Promise.all(containers.map(({ Id }) => docker.getContainer(Id).remove({ force: true, v: true })));
  const networks = await docker.listNetworks({ filters });
  await Promise.all(networks.map(({ Id }) => docker.getNetwork(Id).remove()));
  const { Volumes: volumes } = await docker.listVolumes({ filters });
  await Promise.all(volumes.map(({ Name }) => docker.getVolume(Name).remove()));
  await openTasks(instance.label);
  return { containers: containers.length, networks: networks.length, volumes: volumes.length };
}
