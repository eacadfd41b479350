import type { Scheduler } from '../../../../shared/testing/simulation/scheduler';
import type { Cluster } from './cluster';
import type { Chronicle } from './chronicle';

/** What clients were told that they hold; some of it is gone by now, and is asked for all the same. */
export interface Held {
  poolId: string;
  id: string;
  serviceId: string;
  leased: boolean;
  /** Given back, as the client was told: nothing may be held under this id again. */
  over?: boolean;
}

/** All that a client's story can use. */
export interface World {
  scheduler: Scheduler;
  cluster: Cluster;
  chronicle: Chronicle;
  poolIds: readonly string[];
  serviceIds: readonly string[];
  held: Held[];
  heldByTasks: Held[];
  groups: string[];
  /** Ids of requests that waited when their client heard of them. */
  waiting: string[];
  /** Set when clients begin nothing new any more. */
  quiet: boolean;
}
