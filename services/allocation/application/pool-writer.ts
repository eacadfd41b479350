import { ConflictError } from '../../../shared/dapr/sidecar-error';
import { AppError, hasCode, unavailable } from '../../../shared/errors';
import { currentContext } from '../../../shared/logging/context';
import { decide } from '../domain/decide';
import {
  allocationsOf,
  type Decision,
  type Made,
  type Order,
  type Outcome,
  type PoolCommand,
  poolsOf,
  rememberedOf,
  requestsOf,
} from '../domain/pool-commands';
import type { PoolStore } from '../ports/pool-store';

/** Orders that go into one transaction at most. */
const BATCH = 64;
/** Orders that may wait; beyond it callers are told to come later. */
const QUEUE = 2_000;
/** Transactions under way at a time, each on pools of its own: the second fills the time that the first waits for the disk. */
const LANES = 2;
/** Fewer orders than this wait so many milliseconds for company, or for the end of the first, before they get a second. */
const WORTH_A_LANE = 16;
const COMPANY_MS = 5;
const ATTEMPTS = 40;

interface Waiting {
  order: Order;
  signal: AbortSignal | undefined;
  /** A release found its allocation in an attempt whose outcome stayed unknown: gone now means done. */
  decidedOnce: boolean;
  resolve: (made: Made) => void;
  reject: (error: unknown) => void;
}

/**
 * Changes pools. Orders that arrive while a transaction is under way go into the next one together, whatever their
 * pools, so that many callers cost one transaction and never a lock; within a pool they are served in order. Between
 * replicas the ETag decides: the one that loses reads again and decides anew; callers never see it.
 */
export class PoolWriter {
  private queue: Waiting[] = [];
  private readonly busy = new Set<string>();
  private requestsChanged: () => void = () => undefined;
  private lanes = 0;
  private gathering = false;

  constructor(
    private readonly store: PoolStore,
    private readonly now: () => string,
    private readonly pause: (ms: number) => Promise<void> = (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    private readonly random: () => number = Math.random,
  ) {}

  /**
   * @param signal aborted when nobody waits for the answer any more: a command whose turn had not come by then is
   *   dropped, and its promise stays as it is
   * @returns the id of the allocation that was made or released, or of the request that waits
   * @throws AppError what the domain says against it; `allocation.busy` (429); kind `unavailable` (503), after which a
   *   change may have been made: allocating again under the same id or Idempotency-Key is safe
   */
  execute(poolId: string, command: PoolCommand, signal?: AbortSignal): Promise<Made> {
    return this.submit({ ...command, poolId }, signal);
  }

  /** As `execute`, for orders over several pools. What it tells is traced to the request that is under way. */
  submit(order: Order, signal?: AbortSignal): Promise<Made> {
    if (this.queue.length >= QUEUE) {
      const detail = 'Too many requests wait; try again shortly.';
      return Promise.reject(new AppError('rate_limited', 'allocation.busy', detail, { retryAfter: 1 }));
    }
    return new Promise((resolve, reject) => {
      const traced = { traceparent: currentContext()?.traceparent, ...order };
      this.queue.push({ order: traced, signal, decidedOnce: false, resolve, reject });
      this.fillLanes();
    });
  }

  /** Whom to tell when a request that waits, or waited, has changed in this replica. */
  onRequestChange(listener: () => void): void {
    this.requestsChanged = listener;
  }

  private fillLanes(waited = false): void {
    while (this.lanes < LANES) {
      if (this.lanes > 0 && this.queue.length < WORTH_A_LANE && !waited) return this.waitForCompany();
      const batch = this.nextBatch();
      if (batch.length === 0) return;
      const pools = new Set(batch.flatMap(({ order }) => poolsOf(order)));
      for (const poolId of pools) this.busy.add(poolId);
      this.lanes += 1;
      void this.serve(batch).then((answer) => {
        for (const poolId of pools) this.busy.delete(poolId);
        this.lanes -= 1;
        // first, so that whoever is answered and asks again finds the lane free
        answer();
        this.fillLanes();
      });
    }
  }

  private waitForCompany(): void {
    if (this.gathering || this.queue.length === 0) return;
    this.gathering = true;
    void this.pause(COMPANY_MS).then(() => {
      this.gathering = false;
      this.fillLanes(true);
    });
  }

  /** The first orders whose pools no other transaction is changing; whoever stays behind keeps its place in its pools. */
  private nextBatch(): Waiting[] {
    const batch: Waiting[] = [];
    const left: Waiting[] = [];
    const blocked = new Set(this.busy);
    for (const waiting of this.queue) {
      if (waiting.signal?.aborted) continue;
      const pools = poolsOf(waiting.order);
      if (batch.length < BATCH && !pools.some((poolId) => blocked.has(poolId))) batch.push(waiting);
      else {
        for (const poolId of pools) blocked.add(poolId);
        left.push(waiting);
      }
    }
    this.queue = left;
    return batch;
  }

  /** @returns what answers them all */
  private async serve(batch: readonly Waiting[]): Promise<() => void> {
    try {
      const outcomes = await this.carryOut(batch);
      return () => batch.forEach((waiting, index) => settle(waiting, outcomes[index]));
    } catch (error) {
      if (error instanceof AppError || batch.length === 1) return () => batch.forEach(({ reject }) => reject(error));
      // a row that cannot be read, for example: it must not fail the neighbours
      const answers: (() => void)[] = [];
      for (const waiting of batch) answers.push(await this.serve([waiting]));
      return () => answers.forEach((answer) => answer());
    }
  }

  private async carryOut(batch: readonly Waiting[]): Promise<Outcome[]> {
    const orders = batch.map(({ order }) => order);
    let unknownOutcome: unknown;
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      if (attempt > 0) await this.pause(this.random() * Math.min(200, 5 * 2 ** attempt));
      const snapshot = await this.store.read({
        poolIds: unique(orders.flatMap(poolsOf)),
        allocationIds: unique(orders.flatMap(allocationsOf)),
        rememberedIds: unique(orders.flatMap(rememberedOf)),
        requestIds: unique(orders.flatMap(requestsOf)),
      });
      const decision = decide(snapshot, orders, this.now());
      const outcomes = batch.map((waiting, index) => forgiveDone(waiting, decision.outcomes[index]));
      if (decision.facts.length === 0 && decision.inventories.size === 0) return outcomes;
      try {
        await this.store.commit(snapshot, decision);
        if (decision.facts.some(({ kind }) => kind === 'request')) this.requestsChanged();
        return outcomes;
      } catch (error) {
        if (error instanceof ConflictError) continue;
        // written or not? The rows will tell, once: ids make a second try of the same orders harmless
        if (unknownOutcome !== undefined) throw error;
        unknownOutcome = error;
        noteDecided(batch, decision);
      }
    }
    throw unavailable('allocation.contended', 'The pool changes too fast at the moment; try again.');
  }
}

function unique(ids: readonly string[]): string[] {
  return [...new Set(ids)];
}

function settle({ resolve, reject }: Waiting, outcome: Outcome | undefined): void {
  if (outcome?.ok) resolve(outcome);
  else reject(outcome?.error);
}

function noteDecided(batch: readonly Waiting[], { outcomes }: Decision): void {
  batch.forEach((waiting, index) => {
    if (outcomes[index]?.ok) waiting.decidedOnce = true;
  });
}

/** A release whose first try was written, though nobody said so, finds nothing the second time. */
function forgiveDone({ order, decidedOnce }: Waiting, outcome: Outcome | undefined): Outcome {
  if (outcome === undefined) throw new Error(`no outcome for an order of kind ${order.kind}`);
  if (!decidedOnce || outcome.ok) return outcome;
  if (order.kind === 'release' && hasCode(outcome.error, 'allocation.not_found')) {
    return { ok: true, madeId: order.allocationId };
  }
  if (order.kind === 'release_group' && hasCode(outcome.error, 'group.not_found')) {
    return { ok: true, madeId: order.groupId };
  }
  return outcome;
}
