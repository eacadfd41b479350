/**
 * Named volumes, each of one user and one service type. They come with the first task that wants them
 * (ports/container-runtime.ts, `start`) and stay until somebody removes them.
 *
 * Every method throws `runtime.unavailable` when the runtime does not answer in time.
 */
export interface Volumes {
  /** Those of this instance of the system, in no order. */
  list(): Promise<Volume[]>;

  /**
   * After it, the volume and all that is in it are gone. No such volume: nothing to do.
   * @throws `volume.in_use` while a container, running or not, has it
   */
  remove(volume: VolumeKey): Promise<void>;
}

export interface VolumeKey {
  userId: string;
  serviceType: string;
  /** As the service type calls it. */
  name: string;
}

export interface Volume extends VolumeKey {
  /** RFC 3339 by the runtime's clock. */
  createdAt: string;
  /** A container, running or not, has it. */
  inUse: boolean;
}
