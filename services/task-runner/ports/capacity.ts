/** Units of pools, taken for the time that a task runs, under leases: what nobody renews comes back to its pool by itself. */
export interface Capacity {
  /**
   * Id of the pool with that name, the oldest of them; undefined when there is none.
   * @throws `task.capacity_unavailable`
   */
  findPool(name: string): Promise<string | undefined>;

  /**
   * After it, the units are held under `allocationId`, for as long as a lease lasts; or, with `waitSeconds`, the request
   * stands in the pool's line, and will be granted, under a lease from then on, or dropped. The same id again changes
   * nothing, and renews nothing: it says how things stand.
   * @returns its place while it waits; undefined when the units are held
   * @throws one of REFUSED_GRANTS or `allocation.queue_full`: nothing is held, and nothing waits, or no longer;
   *   `allocation.given_back`: the same, for ever under this id;
   *   `task.capacity_unavailable`: the units may be held, now or in a moment, or waited for
   */
  take(request: CapacityRequest): Promise<QueuePlace | undefined>;

  /**
   * After it, whatever of these was still held is held for a whole lease from now.
   * @param held LARGEST_RENEWAL at most
   * @returns the ids of what is held no longer
   * @throws `task.capacity_unavailable`: each is renewed or not, and who is lost is not known
   */
  renew(held: readonly HeldCapacity[]): Promise<string[]>;

  /**
   * After it, nothing is held under `allocationId`, and nothing waits, whether something was or not. A `take` that is still on its way may
   * arrive later.
   * @throws `task.capacity_unavailable`
   */
  giveBack(allocationId: string): Promise<void>;
}

export const LARGEST_RENEWAL = 500;

export interface HeldCapacity {
  allocationId: string;
  poolId: string;
}

export interface CapacityRequest {
  allocationId: string;
  poolId: string;
  units: number;
  taskId: string;
  userId: string;
  createdBy: string;
  /** The larger goes first; 0 when absent. */
  priority?: number | undefined;
  /** Not at all when absent. Only the first request under an id says it. */
  waitSeconds?: number | undefined;
}

export const LONGEST_WAIT = 86_400;

/** Null where nobody knows: it changes just now. */
export interface QueuePlace {
  /** Counted from 1. */
  position: number | null;
  /** One of REFUSED_GRANTS: what it waits for. */
  reason: string | null;
}
