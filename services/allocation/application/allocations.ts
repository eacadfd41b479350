import { uuidFromName } from '../../../shared/contracts/ids';
import { ConflictError } from '../../../shared/dapr/sidecar-error';
import { hasCode, unavailable } from '../../../shared/errors';
import type { IdempotencyKey } from '../../../shared/http/conditions';
import { allocationNotFound, poolNotFound } from '../domain/errors';
import { type Allocation, isOpen, type OpenInventory, type ReleasedAllocation } from '../domain/inventory';
import type { AllocationFilter, HistoryFilter, PoolStore } from '../ports/pool-store';
import type { PoolWriter } from './pool-writer';

export interface AllocateRequest {
  poolId: string;
  serviceId: string;
  capacity: number;
  createdBy: string;
  /** Whole seconds; absent: held until it is released. */
  leaseSeconds?: number | undefined;
  /** Whole seconds that it may wait for what is not there at once, and who goes first: the larger. */
  waitSeconds?: number | undefined;
  priority?: number | undefined;
  idempotency?: IdempotencyKey | undefined;
  signal?: AbortSignal;
}

export interface TaskAllocateRequest extends Pick<
  AllocateRequest,
  'poolId' | 'serviceId' | 'capacity' | 'createdBy' | 'leaseSeconds' | 'waitSeconds' | 'priority'
> {
  taskId: string;
  /** Chosen by the caller, which repeats itself until it has an answer. */
  allocationId: string;
}

/** So many are released at once: fewer than may wait for one pool. */
const PAGE = 500;
const GIVEN_BACK = 'given back';
/** Names the row by which an id is used once only; kept as long as what an Idempotency-Key stands for. */
const onceId = (allocationId: string) => uuidFromName(`allocation of a task:${allocationId}`);

/** What can be done with allocations. Errors: those of domain/inventory.ts and PoolWriter. */
export class Allocations {
  constructor(
    private readonly store: PoolStore,
    private readonly writer: PoolWriter,
    private readonly newId: () => string,
    private readonly now: () => string,
  ) {}

  /**
   * @returns the allocation's id: the capacity is taken, and `allocation.created` will be told; or, with `waits`, the id
   *   of a request that waits for it, see Requests
   */
  async allocate({ poolId, idempotency, signal, ...wanted }: AllocateRequest): Promise<{ id: string; waits: boolean }> {
    const { serviceId, capacity, createdBy, leaseSeconds = null, waitSeconds, priority } = wanted;
    const allocation = { id: this.newId(), serviceId, capacity, createdBy, taskId: null, leaseSeconds };
    const command = { kind: 'allocate', allocation, waitSeconds, priority, idempotency } as const;
    const { madeId = allocation.id, waits = false } = await this.writer.execute(poolId, command, signal);
    return { id: madeId, waits };
  }

  /**
   * The same id again is the same allocation, or the same place in the line; once given back, it is never taken again,
   * however late a repetition comes.
   * @returns whether it waits: asked again, it says how things stand then, and refuses when the time to wait is over
   */
  async allocateForTask(request: TaskAllocateRequest): Promise<{ id: string; waits: boolean }> {
    const { poolId, allocationId: id, serviceId, capacity, createdBy, taskId, leaseSeconds = null } = request;
    const { waitSeconds, priority } = request;
    const allocation = { id, serviceId, capacity, createdBy, taskId, leaseSeconds };
    const idempotency = { id: onceId(id), fingerprint: JSON.stringify([poolId, serviceId, capacity, taskId]) };
    const command = { kind: 'allocate', allocation, waitSeconds, priority, idempotency } as const;
    const { waits = false } = await this.writer.execute(poolId, command);
    return { id, waits };
  }

  /** Gives the capacity back; `allocation.released` will be told. @throws AppError `allocation.held_by_task` too */
  async release(poolId: string, allocationId: string, releasedBy: string): Promise<void> {
    const how = { releasedBy, reason: 'released', forTask: false };
    await this.writer.execute(poolId, { kind: 'release', allocationId, ...how });
  }

  /** After it nothing waits, and nothing is held, under this id, whether something was or not, and a request for it that comes later fails. */
  async releaseForTask(allocationId: string): Promise<void> {
    for (let attempt = 0; attempt < 5; attempt += 1) {
      // in this order: what is remembered was written together with the allocation or the request, and that before its grant
      const remembered = await this.store.remembered(onceId(allocationId));
      if (!remembered || remembered.waits) {
        const [request] = await this.store.requests([allocationId]);
        if (request?.status === 'waiting') {
          const cancel = { kind: 'cancel', requestId: request.id, cancelledBy: 'system', forTask: true } as const;
          await this.writer.execute(request.poolId, cancel);
          return;
        }
      }
      const allocation = await this.store.allocation(allocationId);
      if (allocation) return this.giveBack(allocation);
      if (remembered) return;
      try {
        return await this.store.remember(onceId(allocationId), { fingerprint: GIVEN_BACK, madeId: allocationId });
      } catch (error) {
        // it was taken meanwhile: look again
        if (!(error instanceof ConflictError)) throw error;
      }
    }
    throw unavailable('allocation.contended', 'The allocation changes too fast at the moment; try again.');
  }

  private async giveBack({ poolId, id }: Allocation): Promise<void> {
    const how = { releasedBy: 'system', reason: 'released', forTask: true };
    try {
      await this.writer.execute(poolId, { kind: 'release', allocationId: id, ...how });
    } catch (error) {
      if (!hasCode(error, 'allocation.not_found')) throw error;
    }
  }

  /**
   * Holds it for so many seconds from now; null: until it is released; undefined: for as long as its lease says.
   * @throws AppError `allocation.not_found`, `allocation.held_by_task`, `allocation.not_leased`
   */
  async renew(poolId: string, allocationId: string, seconds: number | null | undefined): Promise<Allocation> {
    await this.writer.execute(poolId, { kind: 'renew', allocationId, seconds, forTask: false });
    return this.get(poolId, allocationId);
  }

  /** @returns the ids of those that are no longer held */
  async renewForTasks(held: readonly { poolId: string; allocationId: string }[], seconds: number): Promise<string[]> {
    const lost: string[] = [];
    await Promise.all(
      held.map(async ({ poolId, allocationId }) => {
        try {
          await this.writer.execute(poolId, { kind: 'renew', allocationId, seconds, forTask: true });
        } catch (error) {
          if (!hasCode(error, 'allocation.not_found')) throw error;
          lost.push(allocationId);
        }
      }),
    );
    return lost;
  }

  async get(poolId: string, allocationId: string): Promise<Allocation> {
    const allocation = await this.store.allocation(allocationId);
    if (allocation?.poolId !== poolId) throw allocationNotFound(allocationId);
    return allocation;
  }

  /** @throws AppError `pool.not_found` */
  async list(filter: AllocationFilter): Promise<Allocation[]> {
    const page = await this.store.listAllocations(filter);
    if (page.length > 0) return page;
    // a pool that is closed, or never was, holds nothing: only an empty page leaves open whether there is one
    const [inventory] = await this.store.inventories([filter.poolId]);
    if (!isOpen(inventory)) throw poolNotFound(filter.poolId);
    return page;
  }

  /** What was released, the latest first. A pool that is gone keeps its history. @throws AppError `pool.not_found` */
  async history(filter: HistoryFilter): Promise<ReleasedAllocation[]> {
    const released = await this.store.listReleased(filter);
    if (released.length > 0) return released;
    const [inventory] = await this.store.inventories([filter.poolId]);
    if (!inventory && (await this.store.listReleased({ poolId: filter.poolId, limit: 1 })).length === 0) {
      throw poolNotFound(filter.poolId);
    }
    return [];
  }

  /**
   * Releases what a service holds in a pool at this moment, but what tasks hold. When it fails half-way, what is released
   * stays released, and the same call again goes on.
   * @throws AppError as `release`
   */
  async releaseAll(
    poolId: string,
    serviceId: string,
    releasedBy: string,
  ): Promise<{ released: number; ofTasks: number }> {
    const begun = this.now();
    const done = { released: 0, ofTasks: 0 };
    let page = await this.list({ poolId, serviceId, limit: PAGE });
    for (;;) {
      const held = page.filter(({ createdAt }) => createdAt <= begun);
      const own = held.filter(({ taskId }) => taskId === null);
      done.ofTasks += held.length - own.length;
      const results = await Promise.allSettled(own.map(({ id }) => this.release(poolId, id, releasedBy)));
      for (const result of results) {
        if (result.status === 'fulfilled') done.released += 1;
        // somebody else was faster
        else if (!hasCode(result.reason, 'allocation.not_found')) throw result.reason;
      }
      const last = page.at(-1);
      if (page.length < PAGE || !last || last.createdAt > begun) return done;
      page = await this.store.listAllocations({
        poolId,
        serviceId,
        limit: PAGE,
        after: { at: last.createdAt, id: last.id },
      });
    }
  }

  async inventories(poolIds: readonly string[]): Promise<OpenInventory[]> {
    return (await this.store.inventories(poolIds)).filter(isOpen);
  }
}
