import { uuidFromName } from '../../../shared/contracts/ids';
import { volumeNotFound } from '../domain/errors';
import type { Volume, VolumeKey, Volumes } from '../ports/volumes';
import type { Requester } from './requester';

export interface ListedVolume extends Volume {
  /** What the API calls it. */
  fullName: string;
  /** Breaks ties in the order of the list. */
  id: string;
}

export interface VolumeQuery {
  limit: number;
  /** Volumes after this one in the order of the list. */
  after?: { createdAt: string; id: string } | undefined;
}

/** Own volumes, or everybody's for an admin, oldest first. @throws `runtime.unavailable` */
export function createListVolumes({ volumes }: { volumes: Volumes }) {
  return async ({ limit, after }: VolumeQuery, requester: Requester): Promise<ListedVolume[]> =>
    (await volumes.list())
      .filter(({ userId }) => requester.admin || userId === requester.sub)
      .map((volume) => ({ ...volume, fullName: fullNameOf(volume), id: uuidFromName(fullNameOf(volume)) }))
      .sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1))
      .filter((volume) => after === undefined || sortKey(volume) > sortKey(after))
      .slice(0, limit);
}

/**
 * Removes a volume and all that is in it.
 * @throws `volume.not_found`, also for that of somebody else; `volume.in_use` while a
 *   task has it; `runtime.unavailable`
 */
export function createDeleteVolume({ volumes }: { volumes: Volumes }) {
  return async (fullName: string, requester: Requester): Promise<void> => {
    const key = keyOf(fullName);
    if (!key || !(requester.admin || key.userId === requester.sub)) throw volumeNotFound(fullName);
    const known = await volumes.list();
    if (!known.some((volume) => fullNameOf(volume) === fullName)) throw volumeNotFound(fullName);
    await volumes.remove(key);
  };
}

/** Neither ids nor names of types and volumes hold an underscore. */
function fullNameOf({ userId, serviceType, name }: VolumeKey): string {
  return [userId, serviceType, name].join('_');
}

function keyOf(fullName: string): VolumeKey | undefined {
  const [userId, serviceType, name, ...more] = fullName.split('_');
  return userId && serviceType && name && more.length === 0 ? { userId, serviceType, name } : undefined;
}

function sortKey({ createdAt, id }: { createdAt: string; id: string }): string {
  return `${createdAt} ${id}`;
}
