import { z } from 'zod';
import type { Sidecar } from '../../../shared/dapr/sidecar';
import { hasCode } from '../../../shared/errors';
import { capacityUnavailable, isRefusal } from '../domain/errors';
import type { Capacity, CapacityRequest } from '../ports/capacity';

const pools = z.array(z.looseObject({ id: z.uuid() }));

/** For this long a pool is taken to be there still; should it be gone, `take` says so. */
const POOL_KNOWN_MS = 30_000;

/** Pools and allocations by Dapr service invocation. */
export class DaprCapacity implements Capacity {
  private readonly known = new Map<string, { id: string; until: number }>();

  constructor(private readonly sidecar: Pick<Sidecar, 'invoke'>) {}

  async findPool(name: string): Promise<string | undefined> {
    const cached = this.known.get(name);
    if (cached && cached.until > Date.now()) return cached.id;
    const path = `internal/resource_pools?name=${encodeURIComponent(name)}`;
    const id = await this.ask(async () => pools.parse(await this.sidecar.invoke('resource-pool', 'GET', path))[0]?.id);
    if (id !== undefined) this.known.set(name, { id, until: Date.now() + POOL_KNOWN_MS });
    return id;
  }

  async take({ allocationId, poolId, units, taskId, userId, createdBy }: CapacityRequest): Promise<void> {
    await this.ask(async () => {
      try {
        await this.sidecar.invoke('allocation', 'POST', 'internal/allocations', {
          id: allocationId,
          resource_pool_id: poolId,
          service_id: userId,
          capacity: units,
          task_id: taskId,
          created_by: createdBy,
        });
      } catch (error) {
        if (hasCode(error, 'pool.not_found')) this.known.clear();
        throw error;
      }
    });
  }

  async giveBack(allocationId: string): Promise<void> {
    await this.ask(() => this.sidecar.invoke('allocation', 'DELETE', `internal/allocations/${allocationId}`));
  }

  private async ask<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (isRefusal(error)) throw error;
      throw capacityUnavailable(error);
    }
  }
}
