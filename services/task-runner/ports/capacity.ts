/** Units of pools, taken for the time that a task runs. */
export interface Capacity {
  /**
   * Id of the pool with that name, the oldest of them; undefined when there is none.
   * @throws `task.capacity_unavailable`
   */
  findPool(name: string): Promise<string | undefined>;

  /**
   * After it, the units are held under `allocationId`. The same id again changes nothing.
   * @throws one of REFUSED_GRANTS: nothing is held;
   *   `task.capacity_unavailable`: the units may be held, now or in a moment
   */
  take(request: CapacityRequest): Promise<void>;

  /**
   * After it, nothing is held under `allocationId`, whether something was or not. A `take` that is still on its way may
   * arrive later.
   * @throws `task.capacity_unavailable`
   */
  giveBack(allocationId: string): Promise<void>;
}

export interface CapacityRequest {
  allocationId: string;
  poolId: string;
  units: number;
  taskId: string;
  userId: string;
  createdBy: string;
}
