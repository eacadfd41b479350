import { AsyncResource } from 'node:async_hooks';
import type Docker from 'dockerode';
import { z } from 'zod';
import { messageOf } from '../../../shared/errors';
import type { Logger } from '../../../shared/logging/logger';
import { ANSWER_MS, ask } from './docker-ask';

/** The two facts of `docker info` that decide. */
const infoSchema = z.object({
  Driver: z.string(),
  DriverStatus: z
    .array(z.tuple([z.string(), z.string()]))
    .nullish()
    .transform((facts) => new Map(facts)),
});

/** Whether what a container writes into its own layer can be bounded. */
export class DockerDisk {
  private known: Promise<boolean> | undefined;
  /** It is about the host, whoever's task found it out: the line must not carry the ids of that request. */
  private readonly tell = AsyncResource.bind((why: string): void => {
    this.logger.warn(
      `the container host has no quotas (${why}): the limit on disk does not hold, except for read-only service types`,
      { activity: 'task.disk', result: 'no_quota' },
    );
  });

  constructor(
    private readonly docker: Docker,
    private readonly logger: Logger,
  ) {}

  /** Asks the engine once; where there are no quotas, says so once. @throws `runtime.unavailable` */
  hasQuota(): Promise<boolean> {
    this.known ??= this.find().catch((error: unknown) => {
      this.known = undefined;
      throw error;
    });
    return this.known;
  }

  private async find(): Promise<boolean> {
    const info: unknown = await ask(ANSWER_MS, () => this.docker.info());
    const { Driver, DriverStatus } = infoSchema.parse(info);
    const below = DriverStatus.get('Backing Filesystem') ?? 'unknown';
    if (['btrfs', 'zfs', 'windowsfilter'].includes(Driver) || (Driver === 'overlay2' && below === 'xfs')) return true;
    this.tell(`${Driver} on ${below}`);
    return false;
  }

  /** The engine knows better: xfs has quotas only where it is mounted with them, which its `info` does not tell. */
  isRefusal(error: unknown): boolean {
    if (!/storage-opt|pquota/i.test(messageOf(error))) return false;
    this.known = Promise.resolve(false);
    this.tell(messageOf(error));
    return true;
  }
}
