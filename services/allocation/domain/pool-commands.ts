import type { ResizeMode, Terms } from '../../../shared/contracts/inventory';
import type { Allocation, Inventory } from './inventory';
import type { AllocationRequest } from './queue';

interface NewAllocation extends Pick<Allocation, 'id' | 'serviceId' | 'capacity' | 'createdBy' | 'taskId'> {
  leaseSeconds: number | null;
}

export interface AllocateCommand {
  kind: 'allocate';
  allocation: NewAllocation;
  /** What is not there at once is waited for so long; absent or 0: not at all. */
  waitSeconds?: number | undefined;
  /** Who goes first when others wait: the larger; 0 when absent. */
  priority?: number | undefined;
  idempotency?: { id: string; fingerprint: string } | undefined;
  /** W3C trace context of the request, for the event that tells of it. */
  traceparent?: string | undefined;
}

export interface ReleaseCommand {
  kind: 'release';
  allocationId: string;
  releasedBy: string;
  reason: string;
  /** What a task holds only its end gives back: otherwise its container would run on capacity that is free on paper. */
  forTask: boolean;
  traceparent?: string | undefined;
}

/** Holds an allocation for so long from now; null for ever; undefined for as long as its lease said so far. */
interface RenewCommand {
  kind: 'renew';
  allocationId: string;
  seconds: number | null | undefined;
  forTask: boolean;
}

/** Releases what nobody renewed; whatever was renewed, or is gone, stays as it is. */
interface ExpireCommand {
  kind: 'expire';
  allocationId: string;
}

/** Takes a request back: it waits no longer, and what it was granted is released. One that has ended stays as it is. */
export interface CancelCommand {
  kind: 'cancel';
  requestId: string;
  cancelledBy: string;
  /** What a task waits for, or was granted, only its end takes back. */
  forTask: boolean;
  traceparent?: string | undefined;
}

/** One of a group's allocations. */
interface Claim {
  allocationId: string;
  poolId: string;
  capacity: number;
}

export interface AllocateGroupCommand extends Pick<AllocateCommand, 'idempotency' | 'traceparent'> {
  kind: 'allocate_group';
  groupId: string;
  serviceId: string;
  createdBy: string;
  claims: readonly Claim[];
}

export interface ReleaseGroupCommand {
  kind: 'release_group';
  groupId: string;
  members: readonly { poolId: string; allocationId: string }[];
  releasedBy: string;
  traceparent?: string | undefined;
}

/** A pool's terms as the catalogue says them; what it leaves out has its default. */
interface NewTerms extends Partial<Terms> {
  total: number;
  /** The catalogue's number of the change, see Inventory. */
  revision: number;
}

/** What can be asked of one pool. */
export type PoolCommand =
  | AllocateCommand
  | ReleaseCommand
  | RenewCommand
  | ExpireCommand
  | CancelCommand
  /** Grants and drops what waits, as every other order does on its way. */
  | { kind: 'serve' }
  | ({ kind: 'open' } & NewTerms)
  | ({ kind: 'resize'; mode?: ResizeMode } & NewTerms)
  | { kind: 'close'; revision: number };

/** A command with the pools that it may change. */
export type Order = (PoolCommand & { poolId: string }) | AllocateGroupCommand | ReleaseGroupCommand;

export function poolsOf(order: Order): readonly string[] {
  switch (order.kind) {
    case 'allocate_group':
      return order.claims.map(({ poolId }) => poolId);
    case 'release_group':
      return order.members.map(({ poolId }) => poolId);
    default:
      return [order.poolId];
  }
}

export function allocationsOf(order: Order): readonly string[] {
  switch (order.kind) {
    case 'allocate':
      return [order.allocation.id];
    case 'allocate_group':
      return order.claims.map(({ allocationId }) => allocationId);
    case 'release_group':
      return order.members.map(({ allocationId }) => allocationId);
    case 'release':
    case 'renew':
    case 'expire':
      return [order.allocationId];
    case 'cancel':
      return [order.requestId];
    default:
      return [];
  }
}

/** Ids of requests that may wait already: the answer to them was lost. */
export function requestsOf(order: Order): readonly string[] {
  return order.kind === 'allocate' && order.waitSeconds ? [order.allocation.id] : [];
}

export function rememberedOf(order: Order): readonly string[] {
  return 'idempotency' in order && order.idempotency ? [order.idempotency.id] : [];
}

/** The answer that an Idempotency-Key, or an id that the caller chose, stands for. */
export interface Remembered {
  fingerprint: string;
  /** Of the allocation or group that was made, or of the request that waited. */
  madeId: string;
  /** It is a request, which waited. */
  waits?: true;
}

/** The rows that the orders at hand touch, by id; what does not exist is absent. */
export interface State {
  inventories: ReadonlyMap<string, Inventory>;
  allocations: ReadonlyMap<string, Allocation>;
  remembered: ReadonlyMap<string, Remembered>;
  /** Ids of allocations that were made and released again. */
  ended?: ReadonlySet<string>;
  requests: ReadonlyMap<string, AllocationRequest>;
}

export type PoolFact =
  | { kind: 'allocated'; allocation: Allocation; traceparent: string | undefined }
  | {
      kind: 'released';
      allocation: Allocation;
      releasedAt: string;
      releasedBy: string;
      reason: string;
      traceparent: string | undefined;
    }
  | { kind: 'renewed'; allocation: Allocation }
  | { kind: 'remembered'; id: string; answer: Remembered }
  /** A request waits, or waits no longer. */
  | { kind: 'request'; request: AllocationRequest };

/** The id of what was made or changed; `waits`: it is a request that was not met at once. */
export interface Made {
  madeId?: string;
  waits?: true;
}

/** An error that is no AppError is a bug; it fails its own order only. */
export type Outcome = ({ ok: true } & Made) | { ok: false; error: Error };

export interface Decision {
  /** In the order of the orders. */
  outcomes: Outcome[];
  /** What is to be written, all of it or nothing. */
  facts: PoolFact[];
  /** Those that changed, as they are afterwards. */
  inventories: Map<string, Inventory>;
}
