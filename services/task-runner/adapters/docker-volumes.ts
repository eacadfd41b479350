import type Docker from 'dockerode';
import { z } from 'zod';
import { volumeInUse } from '../domain/errors';
import type { Fence } from '../domain/service-type';
import type { Volume, VolumeKey, Volumes } from '../ports/volumes';
import { ask, START_MS, statusOf } from './docker-ask';
import { LABEL, volumeName } from './docker-container';

const volumeSchema = z.object({
  Name: z.string(),
  CreatedAt: z.string(),
  Labels: z.object({ [LABEL.user]: z.string(), [LABEL.serviceType]: z.string(), [LABEL.volume]: z.string() }),
});

/** Volumes of the engine's local driver. It has no quotas: what a user may keep is bounded by the disk alone. */
export class DockerVolumes implements Volumes {
  constructor(
    private readonly docker: Docker,
    private readonly instance: string,
  ) {}

  async list(): Promise<Volume[]> {
    const [all, idle] = await Promise.all([this.found(), this.found({ dangling: ['true'] })]);
    const idleNames = new Set(idle.map(({ Name }) => Name));
    return all.map(({ Name, CreatedAt, Labels }) => ({
      userId: Labels[LABEL.user],
      serviceType: Labels[LABEL.serviceType],
      name: Labels[LABEL.volume],
      createdAt: new Date(CreatedAt).toISOString(),
      inUse: !idleNames.has(Name),
    }));
  }

  async remove(key: VolumeKey): Promise<void> {
    const volume = this.docker.getVolume(volumeName(this.instance, key, key.name));
    try {
      await ask(START_MS, (abortSignal) => volume.remove({ abortSignal }));
    } catch (error) {
      if (statusOf(error) === 409) throw volumeInUse();
      if (statusOf(error) !== 404) throw error;
    }
  }

  private async found(more: Record<string, string[]> = {}): Promise<z.output<typeof volumeSchema>[]> {
    const filters = { label: [`${LABEL.instance}=${this.instance}`, LABEL.volume], ...more };
    const { Volumes: volumes } = await ask(START_MS, (abortSignal) =>
      this.docker.listVolumes({ filters: JSON.stringify(filters), abortSignal }),
    );
    return z.array(volumeSchema).parse(volumes);
  }
}

/**
 * A new volume belongs to root, unless the image has something at its path. This gives the volumes of a container to be to
 * the user that its service type names: unpacking a folder gives its owner to the one that is there, and a container that
 * never runs is what Docker unpacks into. It has the task's label, so that one left behind by a crash is found and removed
 * with the task's own.
 */
export async function giveVolumes(docker: Docker, options: Docker.ContainerCreateOptions, fence: Fence): Promise<void> {
  const { user, volumes } = fence;
  if (user === null || volumes.length === 0) return;
  const name = helperName(options.name ?? '');
  const { Image, Labels, HostConfig: { Mounts } = {} } = options;
  const helper = { name, Image, Labels, HostConfig: { Mounts, NetworkMode: 'none' } } as Docker.ContainerCreateOptions;
  await unlessStatus(409, () => ask(START_MS, (abortSignal) => docker.createContainer({ ...helper, abortSignal })));
  const archive = Buffer.concat([...volumes.map(({ path }) => folder(path, user)), Buffer.alloc(1024)]);
  // 404: another replica has done it meanwhile
  await unlessStatus(404, () =>
    ask(START_MS, (abortSignal) => docker.getContainer(name).putArchive(archive, { path: '/', abortSignal })),
  );
  await removeHelper(docker, options.name ?? '');
}

export async function removeHelper(docker: Docker, containerName: string): Promise<void> {
  const helper = docker.getContainer(helperName(containerName));
  await unlessStatus(404, () =>
    // 409: another replica is removing it
    unlessStatus(409, () => ask(START_MS, (abortSignal) => helper.remove({ force: true, abortSignal }))),
  );
}

function helperName(containerName: string): string {
  return `${containerName}-volumes`;
}

async function unlessStatus(status: number, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (statusOf(error) !== status) throw error;
  }
}

/** An entry of a tar (ustar): a folder with its owner. */
function folder(path: string, user: string): Buffer {
  const [uid = 0, gid = 0] = user.split(':').map(Number);
  const header = Buffer.alloc(512);
  const octal = (value: number, at: number, length: number): number =>
    header.write(value.toString(8).padStart(length - 1, '0'), at);
  header.write(`${path.slice(1)}/`, 0);
  octal(0o750, 100, 8);
  octal(uid, 108, 8);
  octal(gid, 116, 8);
  octal(0, 124, 12);
  octal(0, 136, 12);
  header.write(' '.repeat(8), 148);
  header.write('5', 156);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  octal(sum, 148, 7);
  return header;
}
