import type Docker from 'dockerode';
import type { ContainerSpec } from '../ports/container-runtime';

/** Tell, to people and to us after a crash, whose a container is. */
export const LABEL = {
  task: 'resource-manager.task',
  user: 'resource-manager.user',
  serviceType: 'resource-manager.service-type',
  instance: 'resource-manager.instance',
} as const;

export function containerName(taskId: string): string {
  return `task-${taskId}`;
}

/**
 * What Docker is asked for: nothing that the program does not need. No capabilities, no new privileges by setuid
 * programs, no swap, a bounded number of processes and bounded logs, and a port that Docker picks.
 */
export function createOptions(
  spec: ContainerSpec,
  place: { instance: string; bindAddress: string; network: string },
): Docker.ContainerCreateOptions {
  const port = `${spec.containerPort}/tcp`;
  return {
    name: containerName(spec.taskId),
    Image: spec.image,
    ...(spec.command === null ? {} : { Cmd: [...spec.command] }),
    Env: Object.entries(spec.env).map(([name, value]) => `${name}=${value}`),
    ExposedPorts: { [port]: {} },
    Labels: {
      [LABEL.task]: spec.taskId,
      [LABEL.user]: spec.userId,
      [LABEL.serviceType]: spec.serviceType,
      [LABEL.instance]: place.instance,
    },
    HostConfig: {
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      Memory: spec.memoryBytes,
      MemorySwap: spec.memoryBytes,
      NanoCpus: spec.cpuMillis * 1_000_000,
      PidsLimit: spec.pids,
      // reaps orphans and passes signals on, also to programs that were never meant to be process 1
      Init: true,
      NetworkMode: place.network,
      // an empty host port: Docker picks a free one
      PortBindings: { [port]: [{ HostIp: place.bindAddress, HostPort: '' }] },
      // whoever ended is looked at and removed by us; a restart behind our back would give a new port and a new start
      RestartPolicy: { Name: 'no' },
      LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '2' } },
    },
  };
}
