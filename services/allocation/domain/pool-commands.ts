import { AppError } from '../../../shared/errors';
import {
  type Allocation,
  allocationNotFound,
  close,
  giveBack,
  type Inventory,
  poolNotFound,
  resize,
  take,
} from './inventory';

/** What can be asked of one pool. */
export type PoolCommand =
  | {
      kind: 'allocate';
      allocation: Omit<Allocation, 'poolId' | 'createdAt'>;
      idempotency?: { id: string; fingerprint: string } | undefined;
    }
  | { kind: 'release'; allocationId: string; releasedBy: string; reason: string }
  | { kind: 'open'; total: number }
  | { kind: 'resize'; total: number }
  | { kind: 'close' };

/** The answer that an Idempotency-Key stands for. */
export interface Remembered {
  fingerprint: string;
  allocationId: string;
}

/** A pool and the rows around it that the commands at hand touch. */
export interface PoolState {
  poolId: string;
  inventory: Inventory | undefined;
  allocations: Map<string, Allocation>;
  remembered: Map<string, Remembered>;
}

export type PoolFact =
  | { kind: 'allocated'; allocation: Allocation }
  | { kind: 'released'; allocation: Allocation; releasedAt: string; releasedBy: string; reason: string }
  | { kind: 'remembered'; id: string; answer: Remembered };

export type Outcome = { ok: true; allocationId?: string } | { ok: false; error: AppError };

export interface Decision {
  /** In the order of the commands. */
  outcomes: Outcome[];
  /** What is to be written, all of it or nothing. */
  facts: PoolFact[];
  /** The inventory afterwards; the same object as before when nothing changed. */
  inventory: Inventory | undefined;
}

/**
 * Decides commands one after the other, first come first served, as if each had the pool to itself. Pure: what it says
 * holds once `facts` and `inventory` are written against the versions that `state` was read with.
 */
export function decide(state: PoolState, commands: readonly PoolCommand[], now: string): Decision {
  const allocations = new Map(state.allocations);
  const remembered = new Map(state.remembered);
  const facts: PoolFact[] = [];
  let inventory = state.inventory;

  function opened(): Inventory {
    if (inventory?.state !== 'open') throw poolNotFound(state.poolId);
    return inventory;
  }

  function carryOut(command: PoolCommand): string | undefined {
    switch (command.kind) {
      case 'allocate': {
        const { idempotency } = command;
        const answer = idempotency && remembered.get(idempotency.id);
        if (answer) {
          if (answer.fingerprint === idempotency.fingerprint) return answer.allocationId;
          throw keyReused();
        }
        // the same id again: an answer was lost on the way, or the caller repeats itself
        if (allocations.has(command.allocation.id)) return command.allocation.id;
        inventory = take(opened(), command.allocation.capacity, now);
        const allocation = { ...command.allocation, poolId: state.poolId, createdAt: now };
        allocations.set(allocation.id, allocation);
        facts.push({ kind: 'allocated', allocation });
        if (idempotency) {
          const made = { fingerprint: idempotency.fingerprint, allocationId: allocation.id };
          remembered.set(idempotency.id, made);
          facts.push({ kind: 'remembered', id: idempotency.id, answer: made });
        }
        return allocation.id;
      }
      case 'release': {
        const allocation = allocations.get(command.allocationId);
        if (!allocation) throw allocationNotFound(command.allocationId);
        inventory = giveBack(opened(), allocation.capacity, now);
        allocations.delete(allocation.id);
        const { releasedBy, reason } = command;
        facts.push({ kind: 'released', allocation, releasedAt: now, releasedBy, reason });
        return allocation.id;
      }
      case 'open': {
        if (inventory?.state === 'closed') throw poolNotFound(state.poolId);
        const { poolId } = state;
        inventory ??= { poolId, total: command.total, allocated: 0, state: 'open', createdAt: now, updatedAt: now };
        return undefined;
      }
      case 'resize': {
        const before = opened();
        if (command.total !== before.total) inventory = resize(before, command.total, now);
        return undefined;
      }
      case 'close': {
        // a pool that was never opened is closed too, so that an opening still on its way comes too late
        inventory ??= { poolId: state.poolId, total: 0, allocated: 0, state: 'open', createdAt: now, updatedAt: now };
        if (inventory.state === 'open') inventory = close(inventory, now);
        return undefined;
      }
    }
  }

  const outcomes = commands.map((command): Outcome => {
    try {
      const allocationId = carryOut(command);
      return { ok: true, ...(allocationId === undefined ? {} : { allocationId }) };
    } catch (error) {
      if (error instanceof AppError) return { ok: false, error };
      throw error;
    }
  });
  return { outcomes, facts, inventory };
}

function keyReused(): AppError {
  return new AppError(
    'unprocessable',
    'request.idempotency_key_reused',
    'This Idempotency-Key was used for another request; use a new key for new content.',
  );
}
