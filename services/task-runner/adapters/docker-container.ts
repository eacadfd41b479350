import type Docker from 'dockerode';
import type { ContainerSpec } from '../ports/container-runtime';

/** Tell, to people and to us after a crash, whose a container is. */
export const LABEL = {
  task: 'resource-manager.task',
  user: 'resource-manager.user',
  serviceType: 'resource-manager.service-type',
  instance: 'resource-manager.instance',
  volume: 'resource-manager.volume',
} as const;

export function containerName(taskId: string): string {
  return `task-${taskId}`;
}

/** Named volumes outlive a task and are one user's, one type's and one instance's: the name says so, underscores part it. */
export function volumeName(instance: string, { userId, serviceType }: VolumeOwner, name: string): string {
  return [instance, userId, serviceType, name].join('_');
}

type VolumeOwner = Pick<ContainerSpec, 'userId' | 'serviceType'>;

/** What the containers of this instance run on. */
export interface Place {
  instance: string;
  bindAddress: string;
  network: string;
  /** Whether the storage driver has quotas. */
  diskQuota: boolean;
}

/**
 * What Docker is asked for: nothing that the program does not need. No capabilities, no new privileges by setuid
 * programs, the engine's seccomp profile, no swap, a bounded number of processes and open files, bounded logs, and a port
 * that Docker picks.
 */
export function createOptions(spec: ContainerSpec, place: Place): Docker.ContainerCreateOptions {
  const port = `${spec.containerPort}/tcp`;
  const { fence } = spec;
  const labels = {
    [LABEL.user]: spec.userId,
    [LABEL.serviceType]: spec.serviceType,
    [LABEL.instance]: place.instance,
  };
  return {
    name: containerName(spec.taskId),
    Image: spec.image,
    ...(spec.command === null ? {} : { Cmd: [...spec.command] }),
    ...(fence.user === null ? {} : { User: fence.user }),
    Env: Object.entries(spec.env).map(([name, value]) => `${name}=${value}`),
    ExposedPorts: { [port]: {} },
    // nobody asks for what an image finds out about itself, and finding it out would count as activity
    Healthcheck: { Test: ['NONE'] },
    Labels: { ...labels, [LABEL.task]: spec.taskId },
    HostConfig: {
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      Memory: fence.memoryBytes,
      MemorySwap: fence.memoryBytes,
      NanoCpus: fence.cpuMillis * 1_000_000,
      PidsLimit: fence.pids,
      Ulimits: [{ Name: 'nofile', Soft: fence.openFiles, Hard: fence.openFiles }],
      ...(place.diskQuota ? { StorageOpt: { size: String(fence.diskBytes) } } : {}),
      ...(fence.gpus === 0
        ? {}
        : { DeviceRequests: [{ Count: fence.gpus === 'all' ? -1 : fence.gpus, Capabilities: [['gpu']] }] }),
      ReadonlyRootfs: fence.readOnly,
      Tmpfs: Object.fromEntries(Object.entries(fence.tmpfs).map(([path, bytes]) => [path, `rw,size=${bytes}`])),
      Mounts: fence.volumes.map(({ name, path }) => ({
        Type: 'volume' as const,
        Source: volumeName(place.instance, spec, name),
        Target: path,
        // only what makes the volume says so: one that is there keeps its labels
        VolumeOptions: { NoCopy: false, Labels: { ...labels, [LABEL.volume]: name }, DriverConfig: VOLUME_DRIVER },
      })),
      // reaps orphans and passes signals on, also to programs that were never meant to be process 1
      Init: true,
      NetworkMode: place.network,
      // Docker would ask the host's resolver for it; this address is the container's own, where nobody answers
      ...(fence.network === 'none' ? { Dns: ['127.0.0.1'] } : {}),
      // an empty host port: Docker picks a free one
      PortBindings: { [port]: [{ HostIp: place.bindAddress, HostPort: '' }] },
      // whoever ended is looked at and removed by us; a restart behind our back would give a new port and a new start
      RestartPolicy: { Name: 'no' },
      LogConfig: {
        Type: 'json-file',
        Config: { 'max-size': String(Math.floor(fence.logBytes / 2)), 'max-file': '2' },
      },
    },
  };
}

const VOLUME_DRIVER = { Name: 'local', Options: {} };
