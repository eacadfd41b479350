import type { CloudEvent } from '../../../../shared/contracts/events';
import { outboxRows } from '../../../../shared/dapr/outbox';
import type { Sidecar, StateOperation } from '../../../../shared/dapr/sidecar';
import { unavailable } from '../../../../shared/errors';
import type { Scheduler } from '../../../../shared/testing/simulation/scheduler';
import { MemoryPoolStore } from '../../adapters/memory-pool-store';
import type { Allocation, Inventory, ReleasedAllocation } from '../../domain/inventory';
import type { Decision, Remembered } from '../../domain/pool-commands';
import type { AllocationRequest } from '../../domain/queue';
import type { Snapshot } from '../../ports/pool-store';

/** All that is stored, as it truly is. */
export interface Content {
  inventories: ReadonlyMap<string, Inventory>;
  live: ReadonlyMap<string, Allocation>;
  requests: ReadonlyMap<string, AllocationRequest>;
  /** What was released, a row each. */
  ended: readonly ReleasedAllocation[];
  events: readonly CloudEvent[];
}

export const EMPTY: Content = { inventories: new Map(), live: new Map(), requests: new Map(), ended: [], events: [] };
const ALL = 1_000_000;

/**
 * The memory adapter, with the rows of the outbox that are written in the same transaction. A read shows one instant, as
 * Dapr's bulk read of PostgreSQL does: it is one statement.
 */
export class Database extends MemoryPoolStore {
  /** Whether anything was written since somebody looked. */
  changed = false;
  readonly outbox = new Map<string, { value: unknown; at: number }>();
  private readonly requestIds = new Set<string>();

  constructor(
    private readonly scheduler: Scheduler,
    private readonly poolIds: readonly string[],
  ) {
    super();
  }

  override async commit(snapshot: Snapshot, decision: Decision): Promise<void> {
    const before = this.events.length;
    this.changed = true;
    await super.commit(snapshot, decision);
    for (const fact of decision.facts) if (fact.kind === 'request') this.requestIds.add(fact.request.id);
    this.carryOut(outboxRows(this.events.slice(before)));
  }

  /** On the rows of the outbox. */
  carryOut(operations: readonly StateOperation[]): void {
    for (const operation of operations) {
      if ('remove' in operation) this.outbox.delete(operation.remove);
      else this.outbox.set(operation.upsert, { value: operation.value, at: this.scheduler.elapsed });
    }
  }

  override async remember(id: string, answer: Remembered): Promise<void> {
    this.changed = true;
    await super.remember(id, answer);
  }

  async content(): Promise<Content> {
    this.changed = false;
    const live = new Map<string, Allocation>();
    const ended: ReleasedAllocation[] = [];
    for (const poolId of this.poolIds) {
      for (const allocation of await this.listAllocations({ poolId, limit: ALL })) live.set(allocation.id, allocation);
      ended.push(...(await this.listReleased({ poolId, limit: ALL })));
    }
    const inventories = new Map((await this.inventories(this.poolIds)).map((one) => [one.poolId, one]));
    const requests = new Map((await this.requests([...this.requestIds])).map((one) => [one.id, one]));
    return { inventories, live, requests, ended, events: this.events };
  }
}

/** What the relay needs of its sidecar. */
export type RelaySide = Pick<Sidecar, 'query' | 'publish' | 'publishBundle' | 'transact'>;

/** The outbox's rows as the relay reads and removes them, and a broker that may take a part of what it is sent. */
export class Broker implements RelaySide {
  readonly published = new Set<string>();
  readonly bundled = new Set<string>();
  refusal = 0;

  constructor(
    private readonly scheduler: Scheduler,
    private readonly database: Database,
  ) {}

  /** The relay's own statement, of which only the age of the rows makes a difference. */
  async query(sql: string): Promise<unknown[]> {
    const youngest = sql.includes(`interval '2 seconds'`) ? this.scheduler.elapsed - 2_000 : Infinity;
    return [...this.database.outbox.values()].filter(({ at }) => at < youngest).map(({ value }) => value);
  }

  async publish(_topic: string, events: readonly CloudEvent[]): Promise<Set<string>> {
    const taken = events.filter(() => !this.scheduler.chance(this.refusal));
    for (const { id } of taken) this.published.add(id);
    return new Set(taken.map(({ id }) => id));
  }

  async publishBundle(_topic: string, events: readonly CloudEvent[]): Promise<void> {
    if (this.scheduler.chance(this.refusal)) throw unavailable('event_broker.unavailable', 'the bundle is not taken');
    for (const { id } of events) this.bundled.add(id);
  }

  async transact(operations: readonly StateOperation[]): Promise<void> {
    this.database.carryOut(operations);
  }
}
