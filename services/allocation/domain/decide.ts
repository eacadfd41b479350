import { DEFAULT_TERMS, pickTerms } from '../../../shared/contracts/inventory';
import type { AppError } from '../../../shared/errors';
import { Draft } from './draft';
import {
  alreadyGivenBack,
  belowAllocated,
  groupNotFound,
  heldByTask,
  inUse,
  notLeased,
  poolNotFound,
  superseded,
} from './errors';
import {
  changeTerms,
  close,
  insufficient,
  type Inventory,
  isOpen,
  laterBy,
  leaseFrom,
  newInventory,
  refusalOf,
  take,
  taken,
} from './inventory';
import type {
  AllocateCommand,
  AllocateGroupCommand,
  CancelCommand,
  Decision,
  Made,
  Order,
  Outcome,
  ReleaseGroupCommand,
  Remembered,
  State,
} from './pool-commands';
import { mayWait, withdraw } from './queue';

/** Why a request ended whose pool was closed. */
const POOL_GONE = 'pool.not_found';

/**
 * Decides orders one after the other, first come first served, as if each had the pools to itself. Pure: what it says
 * holds once `facts` and `inventories` are written against the versions that `state` was read with.
 */
export function decide(state: State, orders: readonly Order[], now: string): Decision {
  const draft = new Draft(state, now);
  const outcomes = orders.map((order): Outcome => {
    try {
      // before it, for whose time is over may be in its way; after it, for it may have made room
      draft.serve(order);
      const made = carryOut(draft, order);
      draft.serve(order);
      return { ok: true, ...(typeof made === 'string' ? { madeId: made } : made) };
    } catch (error) {
      return { ok: false, error: error instanceof Error ? error : new Error(String(error)) };
    }
  });
  return { outcomes, facts: draft.facts, inventories: draft.changed };
}

/** @returns the id of the allocation or group that was made or changed */
function carryOut(draft: Draft, order: Order): string | Made | undefined {
  switch (order.kind) {
    case 'allocate':
      return allocate(draft, order.poolId, order);
    case 'allocate_group':
      return allocateGroup(draft, order);
    case 'release': {
      const allocation = draft.held(order.poolId, order.allocationId);
      if (allocation.taskId !== null && !order.forTask) throw heldByTask(allocation);
      draft.release(allocation, order);
      return allocation.id;
    }
    case 'release_group':
      return releaseGroup(draft, order);
    case 'renew': {
      const allocation = draft.held(order.poolId, order.allocationId);
      if (allocation.taskId !== null && !order.forTask) throw heldByTask(allocation);
      const seconds = order.seconds === undefined ? allocation.lease?.seconds : order.seconds;
      if (seconds === undefined) throw notLeased(allocation);
      const renewed = { ...allocation, lease: leaseFrom(seconds, draft.now), updatedAt: draft.now };
      draft.allocations.set(renewed.id, renewed);
      draft.facts.push({ kind: 'renewed', allocation: renewed });
      return renewed.id;
    }
    case 'expire': {
      const allocation = draft.allocations.get(order.allocationId);
      if (!allocation?.lease || allocation.lease.expiresAt > draft.now) return undefined;
      draft.release(allocation, { releasedBy: 'system', reason: 'expired' });
      return allocation.id;
    }
    case 'cancel':
      return cancel(draft, order.poolId, order);
    case 'serve':
      return undefined;
    case 'open': {
      const before = draft.inventory(order.poolId);
      if (before?.state === 'closed') throw poolNotFound(order.poolId);
      if (!before) draft.put(newInventory(order.poolId, order, order.revision, draft.now));
      return undefined;
    }
    case 'resize': {
      const terms = pickTerms({ ...DEFAULT_TERMS, ...order });
      change(
        draft,
        order.poolId,
        order.revision,
        (before) => belowAllocated(before, terms),
        (before) => changeTerms(before, terms, order.mode ?? 'refuse', draft.now),
      );
      return undefined;
    }
    case 'close': {
      const { poolId, revision } = order;
      const before = draft.inventory(poolId);
      if (!before) {
        // a pool that was never opened is closed too, so that an opening still on its way comes too late
        const never = newInventory(poolId, { total: 0 }, revision, draft.now);
        draft.put({ ...never, state: 'closed' });
      } else if (isOpen(before)) {
        change(draft, poolId, revision, inUse, (open) => close(open, draft.now));
        if (isOpen(draft.inventory(poolId))) return undefined;
        for (const request of before.waiting) draft.end(poolId, request, 'cancelled', POOL_GONE);
      }
      return undefined;
    }
  }
}

function allocate(draft: Draft, poolId: string, command: AllocateCommand): Made {
  const { allocation, waitSeconds = 0, priority = 0, traceparent } = command;
  const { leaseSeconds, taskId, ...wanted } = allocation;
  const { id, capacity } = wanted;
  const answer = draft.answered(command);
  if (taskId !== null) {
    const repeated = askedBefore(draft, poolId, command, answer !== undefined);
    if (repeated) return repeated;
  }
  if (answer) return madeOf(answer);
  // the same id again: an answer was lost on the way
  if (draft.requests.has(id)) return { madeId: id, waits: true };
  if (draft.madeBefore(id)) return { madeId: id };
  const { now } = draft;
  const before = draft.opened(poolId);
  const refusal = refusalOf(before, capacity, priority);
  if (refusal) {
    if (waitSeconds === 0 || !mayWait(before, capacity, refusal)) throw refusal;
    const expiresAt = laterBy(waitSeconds, now);
    draft.wait(before, { ...wanted, taskId, priority, leaseSeconds, createdAt: now, expiresAt, traceparent });
    draft.remember(command, { madeId: id, waits: true });
    return { madeId: id, waits: true };
  }
  draft.put(taken(before, capacity, now));
  const lease = leaseFrom(leaseSeconds, now);
  draft.make({ ...wanted, poolId, taskId, groupId: null, lease, createdAt: now, updatedAt: now }, traceparent);
  draft.remember(command, { madeId: id });
  return { madeId: id };
}

/**
 * A task's request, under an id of its choosing, when it came before: it is answered by how things stand now, so that
 * whoever waits asks again. One that comes after its end is late.
 */
function askedBefore(
  draft: Draft,
  poolId: string,
  { allocation: { id, capacity }, priority }: AllocateCommand,
  answered: boolean,
): Made | undefined {
  if (draft.allocations.has(id)) return { madeId: id };
  const request = draft.requests.get(id);
  if (request?.status === 'waiting') return { madeId: id, waits: true };
  if (request?.status === 'expired' || request?.reason === POOL_GONE) {
    const inventory = draft.opened(poolId);
    throw refusalOf(inventory, capacity, priority) ?? insufficient(inventory, capacity);
  }
  if (request || answered || draft.madeBefore(id)) throw alreadyGivenBack(id);
  return undefined;
}

function cancel(draft: Draft, poolId: string, command: CancelCommand): string {
  const { requestId, cancelledBy, forTask, traceparent } = command;
  const before = draft.inventory(poolId);
  const { inventory, withdrawn } = before ? withdraw(before, requestId, draft.now) : {};
  const allocation = draft.allocations.get(requestId);
  const taskId = withdrawn?.taskId ?? allocation?.taskId ?? null;
  if (taskId !== null && !forTask) throw heldByTask({ id: requestId, taskId });
  if (inventory && withdrawn) {
    draft.put(inventory);
    draft.end(poolId, withdrawn, 'cancelled', 'allocation_request.cancelled');
  } else if (allocation) draft.release(allocation, { releasedBy: cancelledBy, reason: 'released', traceparent });
  return requestId;
}

function allocateGroup(draft: Draft, command: AllocateGroupCommand): string {
  const answer = draft.answered(command);
  if (answer) return answer.madeId;
  const { groupId, serviceId, createdBy, claims, traceparent } = command;
  // the same ids again: an answer of the store was lost on the way
  if (claims.some(({ allocationId }) => draft.madeBefore(allocationId))) return groupId;
  // all of them on copies first: a claim that cannot be met leaves nothing behind
  const drawn = new Map<string, Inventory>();
  for (const { poolId, capacity } of claims) {
    drawn.set(poolId, take(drawn.get(poolId) ?? draft.opened(poolId), capacity, draft.now));
  }
  for (const inventory of drawn.values()) draft.put(inventory);
  const times = { createdAt: draft.now, updatedAt: draft.now };
  for (const { allocationId: id, poolId, capacity } of claims) {
    const allocation = { id, poolId, serviceId, capacity, createdBy, taskId: null, groupId, lease: null, ...times };
    draft.make(allocation, traceparent);
  }
  draft.remember(command, { madeId: groupId });
  return groupId;
}

function releaseGroup(draft: Draft, { groupId, members, releasedBy, traceparent }: ReleaseGroupCommand): string {
  const held = members.flatMap(({ allocationId }) => draft.allocations.get(allocationId) ?? []);
  const ours = held.filter((allocation) => allocation.groupId === groupId);
  if (ours.length === 0) throw groupNotFound(groupId);
  for (const allocation of ours) draft.release(allocation, { releasedBy, reason: 'released', traceparent });
  return groupId;
}

/** Decides a numbered change once; a refusal is written down too, so that the change can never succeed later. */
function change(
  draft: Draft,
  poolId: string,
  revision: number,
  refusal: (before: Inventory) => AppError,
  work: (before: Inventory) => Inventory,
): void {
  const before = draft.opened(poolId);
  if (revision < before.revision) throw superseded(poolId);
  if (revision === before.revision) {
    if (before.refused) throw refusal(before);
    return;
  }
  try {
    draft.put({ ...work(before), revision, refused: false });
  } catch (error) {
    draft.put({ ...before, revision, refused: true });
    throw error;
  }
}

function madeOf({ madeId, waits }: Remembered): Made {
  return { madeId, ...(waits ? { waits } : {}) };
}
