import { AppError } from '../../../shared/errors';
import { canEverTake, type Inventory, refusalAtHead, refusalOf, taken, type WaitingRequest } from './inventory';

/** Who waits for a pool, and who is served when something changes. Pure. */

/** So many may wait for one pool; they stand in the row of its inventory. */
export const MAX_WAITING = 500;
/** What is granted later is held so long without a lease of the request's own: whoever asked may be gone by then. */
export const UNCLAIMED_SECONDS = 60;

/** What became of a request that waited, or waits. Granted: under its own id there is, or was, an allocation. */
export interface AllocationRequest extends WaitingRequest {
  poolId: string;
  status: 'waiting' | 'granted' | 'expired' | 'cancelled';
  endedAt: string | null;
  /** Why it was cancelled: a code. */
  reason: string | null;
}

/** Behind those of its priority. @throws AppError `allocation.queue_full` */
export function enqueue(inventory: Inventory, request: WaitingRequest, now: string): Inventory {
  const { waiting, poolId } = inventory;
  if (waiting.length >= MAX_WAITING) {
    const detail = 'As many requests as may wait for this pool wait already; try again later, or use another pool.';
    throw new AppError('rate_limited', 'allocation.queue_full', detail, { retryAfter: 5, facts: { pool_id: poolId } });
  }
  const behind = waiting.findIndex(({ priority }) => priority < request.priority);
  const at = behind === -1 ? waiting.length : behind;
  return { ...inventory, waiting: [...waiting.slice(0, at), request, ...waiting.slice(at)], updatedAt: now };
}

/** True for a refusal that the pool may take back by itself, or after a release. */
export function mayWait(inventory: Inventory, capacity: number, refusal: AppError): boolean {
  return inventory.state !== 'draining' && refusal.kind === 'conflict' && canEverTake(inventory, capacity);
}

export interface Served {
  inventory: Inventory;
  granted: WaitingRequest[];
  expired: WaitingRequest[];
}

/**
 * Grants what can be granted, in order, and drops whose time is over. `strict`: whoever cannot be served holds up those
 * behind, but for one that the pool could not serve even if it were empty.
 */
export function serveQueue(before: Inventory, now: string): Served {
  const granted: WaitingRequest[] = [];
  const expired: WaitingRequest[] = [];
  const left: WaitingRequest[] = [];
  let inventory = before;
  let heldUp = false;
  for (const request of before.waiting) {
    if (request.expiresAt <= now) expired.push(request);
    else if (!heldUp && refusalAtHead(inventory, request.capacity) === undefined) {
      inventory = taken(inventory, request.capacity, now);
      granted.push(request);
    } else {
      left.push(request);
      heldUp ||= before.queuePolicy === 'strict' && canEverTake(before, request.capacity);
    }
  }
  if (granted.length + expired.length > 0) inventory = { ...inventory, waiting: left, updatedAt: now };
  return { inventory, granted, expired };
}

/** Without that request, which is absent when it does not wait. */
export function withdraw(
  inventory: Inventory,
  id: string,
  now: string,
): { inventory: Inventory; withdrawn?: WaitingRequest } {
  const withdrawn = inventory.waiting.find((request) => request.id === id);
  if (!withdrawn) return { inventory };
  const waiting = inventory.waiting.filter((request) => request !== withdrawn);
  return { inventory: { ...inventory, waiting, updatedAt: now }, withdrawn };
}

/** Where a request stands, counted from 1, and the code that says what it waits for. Undefined when it does not wait. */
export function placeOf(inventory: Inventory, id: string): { position: number; reason: string } | undefined {
  const index = inventory.waiting.findIndex((request) => request.id === id);
  const request = inventory.waiting[index];
  if (!request) return undefined;
  const ahead = { ...inventory, waiting: inventory.waiting.slice(0, index) };
  // free, and not granted yet: the next look at the pool will
  const reason = refusalOf(ahead, request.capacity, request.priority)?.code ?? 'allocation.insufficient_capacity';
  return { position: index + 1, reason };
}
