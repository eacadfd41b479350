/** Units of pools, taken for the time that a task runs, under leases: what nobody renews comes back to its pool by itself. */
export interface Capacity {
  /**
   * Id of the pool with that name, the oldest of them; undefined when there is none.
   * @throws `task.capacity_unavailable`
   */
  findPool(name: string): Promise<string | undefined>;

  /**
   * After it, the units are held under `allocationId`, for as long as a lease lasts. The same id again changes nothing,
   * and renews nothing.
   * @throws one of REFUSED_GRANTS: nothing is held;
   *   `allocation.given_back`: nothing is held, and nothing ever will be under this id;
   *   `task.capacity_unavailable`: the units may be held, now or in a moment
   */
  take(request: CapacityRequest): Promise<void>;

  /**
   * After it, whatever of these was still held is held for a whole lease from now.
   * @param held LARGEST_RENEWAL at most
   * @returns the ids of what is held no longer
   * @throws `task.capacity_unavailable`: each is renewed or not, and who is lost is not known
   */
  renew(held: readonly HeldCapacity[]): Promise<string[]>;

  /**
   * After it, nothing is held under `allocationId`, whether something was or not. A `take` that is still on its way may
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
}
