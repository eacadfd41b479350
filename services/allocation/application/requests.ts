import { createHash } from 'node:crypto';
import { poolNotFound, requestNotFound } from '../domain/errors';
import { type Allocation, type Inventory, isOpen } from '../domain/inventory';
import { type AllocationRequest, placeOf } from '../domain/queue';
import type { PoolStore } from '../ports/pool-store';
import type { PoolWriter } from './pool-writer';

/** A request as it is now. */
export interface RequestView {
  request: AllocationRequest;
  /** While it waits. */
  place: { position: number; reason: string } | undefined;
  /** What it was granted, while that is held. */
  allocation: Allocation | undefined;
  /** Differs when anything of it does. */
  version: string;
}

interface Held {
  id: string;
  poolId: string;
  /** What the caller has seen; undefined: whatever there is now. */
  seen: string;
  until: number;
  signal: AbortSignal;
  resolve: (view: RequestView) => void;
  reject: (error: unknown) => void;
}

/** So often the rows are looked at while callers wait for news: other replicas change them too. */
const LOOK_MS = 40;

/** Requests that wait for capacity: what becomes of them, and taking them back. */
export class Requests {
  private readonly held = new Set<Held>();
  private looking = false;
  private wakeUp: () => void = () => undefined;

  constructor(
    private readonly store: PoolStore,
    private readonly writer: PoolWriter,
    private readonly clock: {
      now: () => string;
      pause: (ms: number) => Promise<void>;
      /** Aborted when the service ends: nobody is kept waiting for news then. */
      stopping: AbortSignal;
    },
  ) {
    writer.onRequestChange(() => this.wakeUp());
  }

  /** @throws AppError `allocation_request.not_found` */
  async get(id: string): Promise<RequestView> {
    const [request] = await this.store.requests([id]);
    const view = request && (await this.look([request])).get(id);
    if (!view) throw requestNotFound(id);
    return view;
  }

  /**
   * As `get`, and for so many seconds at most not before the request has ended or differs from the version that the
   * caller has seen, or from what it is now.
   */
  async changed(id: string, seconds: number, seen: string | undefined, signal: AbortSignal): Promise<RequestView> {
    const now = await this.get(id);
    const { stopping } = this.clock;
    if (
      seconds === 0 ||
      now.request.status !== 'waiting' ||
      (seen ?? now.version) !== now.version ||
      stopping.aborted
    ) {
      return now;
    }
    const until = Date.parse(this.clock.now()) + seconds * 1000;
    return new Promise((resolve, reject) => {
      const { poolId } = now.request;
      this.held.add({ id, poolId, seen: now.version, until, signal, resolve, reject });
      if (!this.looking) void this.keepLooking();
    });
  }

  /** Who waits for a pool, in the order in which they are served. @throws AppError `pool.not_found` */
  async ofPool(poolId: string): Promise<RequestView[]> {
    const [inventory] = await this.store.inventories([poolId]);
    if (!isOpen(inventory)) throw poolNotFound(poolId);
    return inventory.waiting.map((waiting) =>
      viewOf({ ...waiting, poolId, status: 'waiting', endedAt: null, reason: null }, inventory, undefined),
    );
  }

  /**
   * After it nothing waits, and nothing is held, under this id.
   * @throws AppError `allocation_request.not_found`, `allocation.held_by_task`
   */
  async cancel(id: string, cancelledBy: string): Promise<void> {
    const { request } = await this.get(id);
    await this.writer.execute(request.poolId, { kind: 'cancel', requestId: id, cancelledBy, forTask: false });
  }

  /** The requests as they are, by id. */
  private async look(named: readonly { id: string; poolId: string }[]): Promise<Map<string, RequestView>> {
    const ids = named.map(({ id }) => id);
    const poolIds = [...new Set(named.map(({ poolId }) => poolId))];
    const { requests, inventories, allocations } = await this.store.read({
      poolIds,
      allocationIds: ids,
      rememberedIds: [],
      requestIds: ids,
    });
    return new Map(
      [...requests].map(([id, request]) => [id, viewOf(request, inventories.get(request.poolId), allocations.get(id))]),
    );
  }

  private async keepLooking(): Promise<void> {
    this.looking = true;
    while (this.held.size > 0) {
      const news = new Promise<void>((resolve) => (this.wakeUp = resolve));
      await Promise.race([news, this.clock.pause(LOOK_MS)]);
      const all = [...this.held];
      try {
        const views = await this.look(all);
        for (const held of all) this.answer(held, views.get(held.id));
      } catch (error) {
        for (const held of all) if (this.held.delete(held)) held.reject(error);
      }
    }
    this.looking = false;
  }

  private answer(held: Held, view: RequestView | undefined): void {
    const { now, stopping } = this.clock;
    const over = stopping.aborted || held.until <= Date.parse(now());
    if (view?.version === held.seen && !over && !held.signal.aborted) return;
    this.held.delete(held);
    if (view) held.resolve(view);
    else held.reject(requestNotFound(held.id));
  }
}

function viewOf(
  request: AllocationRequest,
  inventory: Inventory | undefined,
  allocation: Allocation | undefined,
): RequestView {
  const place = request.status === 'waiting' && inventory ? placeOf(inventory, request.id) : undefined;
  const seen = JSON.stringify([request.status, place, allocation?.updatedAt]);
  const version = createHash('sha256').update(seen).digest('base64url').slice(0, 22);
  return { request, place, allocation, version };
}
