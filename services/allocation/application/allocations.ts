import type { IdempotencyKey } from '../../../shared/http/conditions';
import { type Allocation, allocationNotFound, type Inventory, poolNotFound } from '../domain/inventory';
import type { AllocationFilter, PoolStore } from '../ports/pool-store';
import type { PoolWriter } from './pool-writer';

export interface AllocateRequest {
  poolId: string;
  serviceId: string;
  capacity: number;
  createdBy: string;
  taskId?: string;
  /** Chosen by a caller that repeats itself until it has an answer. */
  allocationId?: string;
  idempotency?: IdempotencyKey | undefined;
  signal?: AbortSignal;
}

/** What can be done with allocations. Errors: those of domain/inventory.ts and PoolWriter. */
export class Allocations {
  constructor(
    private readonly store: PoolStore,
    private readonly writer: PoolWriter,
    private readonly newId: () => string,
  ) {}

  /** @returns the allocation's id; the capacity is taken, and `allocation.created` will be told */
  async allocate(request: AllocateRequest): Promise<string> {
    const { poolId, serviceId, capacity, createdBy, idempotency } = request;
    const id = request.allocationId ?? this.newId();
    const allocation = { id, serviceId, capacity, createdBy, taskId: request.taskId ?? null };
    return (await this.writer.execute(poolId, { kind: 'allocate', allocation, idempotency }, request.signal)) ?? id;
  }

  /** Gives the capacity back; `allocation.released` will be told. */
  async release(poolId: string, allocationId: string, releasedBy: string): Promise<void> {
    await this.writer.execute(poolId, { kind: 'release', allocationId, releasedBy, reason: 'released' });
  }

  /** For callers that know the allocation only; one that is gone is gone. */
  async releaseById(allocationId: string, releasedBy: string): Promise<void> {
    const allocation = await this.store.allocation(allocationId);
    if (!allocation) return;
    await this.release(allocation.poolId, allocationId, releasedBy).catch((error: unknown) => {
      if ((error as { code?: unknown }).code !== 'allocation.not_found') throw error;
    });
  }

  async get(poolId: string, allocationId: string): Promise<Allocation> {
    const allocation = await this.store.allocation(allocationId);
    if (allocation?.poolId !== poolId) throw allocationNotFound(allocationId);
    return allocation;
  }

  /** @throws AppError `pool.not_found` */
  async list(filter: AllocationFilter): Promise<Allocation[]> {
    const [inventory] = await this.store.inventories([filter.poolId]);
    if (inventory?.state !== 'open') throw poolNotFound(filter.poolId);
    return this.store.listAllocations(filter);
  }

  async inventories(poolIds: readonly string[]): Promise<Inventory[]> {
    return (await this.store.inventories(poolIds)).filter(({ state }) => state === 'open');
  }
}
