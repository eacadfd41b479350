import type { Allocation, Inventory, OpenInventory, ReleasedAllocation } from '../domain/inventory';
import type { Kind } from '../domain/placement';
import type { Decision, Remembered, State } from '../domain/pool-commands';
import type { AllocationRequest } from '../domain/queue';
import type { Keyset } from '../../../shared/http/paging';

/** Rows with the versions they had when they were read. */
export interface Snapshot extends State {
  /** Opaque; hand it back to `commit`. */
  versions: unknown;
}

/** Ids of the rows that are wanted, each once. */
export interface Wanted {
  poolIds: readonly string[];
  allocationIds: readonly string[];
  rememberedIds: readonly string[];
  requestIds: readonly string[];
}

export interface AllocationFilter {
  poolId: string;
  serviceId?: string | undefined;
  after?: Keyset | undefined;
  limit: number;
}

export interface HistoryFilter extends AllocationFilter {
  reason?: string | undefined;
  /** Released at this time or later, and before that one. */
  from?: string | undefined;
  to?: string | undefined;
}

/** Where inventories and allocations are kept. Every method throws AppError of kind `unavailable` when it is away. */
export interface PoolStore {
  /** Those of the rows that exist, all as they were at one instant: a release is decided on allocation and inventory. */
  read(wanted: Wanted): Promise<Snapshot>;
  /**
   * Writes a decision with its events, all or nothing.
   * @throws ConflictError when a row changed since `snapshot`: nothing is written. After `unavailable` it may be written,
   *   now or in a moment; a commit of the same snapshot that was written then conflicts.
   */
  commit(snapshot: Snapshot, decision: Decision): Promise<void>;
  allocation(id: string): Promise<Allocation | undefined>;
  remembered(id: string): Promise<Remembered | undefined>;
  /** Requests that wait or waited, those that exist; what has ended is kept for a day. */
  requests(ids: readonly string[]): Promise<AllocationRequest[]>;
  /** Pools where somebody has waited long enough by `now`. May lag behind a commit of the last instant. */
  overdueQueues(now: string, limit: number): Promise<string[]>;
  /** For 24 hours. @throws ConflictError when something is remembered under this id already */
  remember(id: string, answer: Remembered): Promise<void>;
  /** Inventories by pool id, open and closed; unknown ids are absent. */
  inventories(poolIds: readonly string[]): Promise<Inventory[]>;
  /** Those of a kind that are not closed, in no certain order. May lag behind a commit of the last instant. */
  inventoriesOfKind(kind: Kind): Promise<OpenInventory[]>;
  /** Oldest first, behind `after`. May lag behind a commit of the last instant; never shows a released one for long. */
  listAllocations(filter: AllocationFilter): Promise<Allocation[]>;
  /** What was released, the latest first, behind `after` (of releasedAt and id); also of a pool that is gone. */
  listReleased(filter: HistoryFilter): Promise<ReleasedAllocation[]>;
  /** Allocations whose lease had ended by `now`, the oldest first. May lag behind a commit of the last instant. */
  expiredLeases(now: string, limit: number): Promise<Pick<Allocation, 'poolId' | 'id'>[]>;
  /** What is still held of a group, in no certain order. */
  groupMembers(groupId: string): Promise<Allocation[]>;
}
