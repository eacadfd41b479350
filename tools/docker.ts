import Docker from 'dockerode';
import type { Instance } from './instance';

/** Labels that task-runner puts on all it makes in Docker; `npm run clean` finds it by them. */
export const INSTANCE_LABEL = 'resource-manager.instance';

/** A client for DOCKER_HOST, or the usual socket; undefined when no engine answers there within 3 s. */
export async function findDocker(): Promise<Docker | undefined> {
  try {
    const docker = new Docker({ timeout: 3000 });
    await docker.ping();
    return new Docker();
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
