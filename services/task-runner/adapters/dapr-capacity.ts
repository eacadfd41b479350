import { z } from 'zod';
import type { Sidecar } from '../../../shared/dapr/sidecar';
import { hasCode } from '../../../shared/errors';
import { capacityUnavailable, isRefusal, isSpent } from '../domain/errors';
import type { Capacity, CapacityRequest, HeldCapacity, QueuePlace } from '../ports/capacity';

const pools = z.array(z.looseObject({ id: z.uuid() }));
const taken = z.object({
  /** Of a request that was not met at once. */
  status: z.string().optional(),
  position: z.int().optional(),
  reason: z.string().optional(),
});
const renewed = z.object({ lost: z.array(z.uuid()) });

/** For this long a pool is taken to be there still; should it be gone, `take` says so. */
const POOL_KNOWN_MS = 30_000;

/** Pools and allocations by Dapr service invocation. */
export class DaprCapacity implements Capacity {
  private readonly known = new Map<string, { id: string; until: number }>();

  constructor(
    private readonly sidecar: Pick<Sidecar, 'invoke'>,
    private readonly leaseSeconds: number,
  ) {}

  async findPool(name: string): Promise<string | undefined> {
    const cached = this.known.get(name);
    if (cached && cached.until > Date.now()) return cached.id;
    const path = `internal/resource_pools?name=${encodeURIComponent(name)}`;
    const id = await this.ask(async () => pools.parse(await this.sidecar.invoke('resource-pool', 'GET', path))[0]?.id);
    if (id !== undefined) this.known.set(name, { id, until: Date.now() + POOL_KNOWN_MS });
    return id;
  }

  async take(request: CapacityRequest): Promise<QueuePlace | undefined> {
    const { allocationId, poolId, units, taskId, userId, createdBy, priority, waitSeconds } = request;
    return this.ask(async () => {
      try {
        const answer = await this.sidecar.invoke('allocation', 'POST', 'internal/allocations', {
          id: allocationId,
          resource_pool_id: poolId,
          service_id: userId,
          capacity: units,
          task_id: taskId,
          created_by: createdBy,
          lease_seconds: this.leaseSeconds,
          priority,
          wait_seconds: waitSeconds,
        });
        const { status, position = null, reason = null } = taken.parse(answer);
        return status === undefined ? undefined : { position, reason };
      } catch (error) {
        if (hasCode(error, 'pool.not_found')) this.known.clear();
        throw error;
      }
    });
  }

  async renew(held: readonly HeldCapacity[]): Promise<string[]> {
    return this.ask(async () => {
      const body = {
        lease_seconds: this.leaseSeconds,
        allocations: held.map(({ poolId, allocationId }) => ({ resource_pool_id: poolId, id: allocationId })),
      };
      return renewed.parse(await this.sidecar.invoke('allocation', 'POST', 'internal/allocation_renewals', body)).lost;
    });
  }

  async giveBack(allocationId: string): Promise<void> {
    await this.ask(() => this.sidecar.invoke('allocation', 'DELETE', `internal/allocations/${allocationId}`));
  }

  private async ask<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (isRefusal(error) || isSpent(error)) throw error;
      throw capacityUnavailable(error);
    }
  }
}
