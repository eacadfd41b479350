import { volumeInUse } from '../domain/errors';
import type { ContainerSpec } from '../ports/container-runtime';
import type { Volume, VolumeKey, Volumes } from '../ports/volumes';

/** Names of volumes in memory; nothing is in them. */
export class MemoryVolumes implements Volumes {
  private readonly made = new Map<string, VolumeKey & { createdAt: string }>();

  /** @param containers what there is now: what they want is in use. What it throws, every call throws */
  constructor(private readonly containers: () => ContainerSpec[]) {}

  async list(): Promise<Volume[]> {
    await Promise.resolve();
    const used = new Set(this.containers().flatMap((spec) => keysOf(spec).map(textOf)));
    return Promise.resolve([...this.made.values()].map((volume) => ({ ...volume, inUse: used.has(textOf(volume)) })));
  }

  async remove(key: VolumeKey): Promise<void> {
    const held = (await this.list()).find((volume) => textOf(volume) === textOf(key));
    if (held?.inUse) throw volumeInUse();
    this.made.delete(textOf(key));
  }

  make(spec: ContainerSpec, createdAt: string): void {
    for (const key of keysOf(spec)) {
      if (!this.made.has(textOf(key))) this.made.set(textOf(key), { ...key, createdAt });
    }
  }
}

function keysOf({ userId, serviceType, fence }: ContainerSpec): VolumeKey[] {
  return fence.volumes.map(({ name }) => ({ userId, serviceType, name }));
}

function textOf({ userId, serviceType, name }: VolumeKey): string {
  return [userId, serviceType, name].join('_');
}
