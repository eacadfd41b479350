import { DEFAULT_TERMS, type ResizeMode, type Terms } from '../../../shared/contracts/inventory';
import { AppError, idempotencyKeyReused } from '../../../shared/errors';
import {
  type Allocation,
  allocationNotFound,
  belowAllocated,
  changeTerms,
  close,
  giveBack,
  heldByTask,
  inUse,
  type Inventory,
  isOpen,
  poolNotFound,
  take,
} from './inventory';

export interface AllocateCommand {
  kind: 'allocate';
  allocation: Omit<Allocation, 'poolId' | 'createdAt'>;
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
  | ({ kind: 'open' } & NewTerms)
  | ({ kind: 'resize'; mode?: ResizeMode } & NewTerms)
  | { kind: 'close'; revision: number };

/** The answer that an Idempotency-Key, or an id that the caller chose, stands for. */
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
  | { kind: 'allocated'; allocation: Allocation; traceparent: string | undefined }
  | {
      kind: 'released';
      allocation: Allocation;
      releasedAt: string;
      releasedBy: string;
      reason: string;
      traceparent: string | undefined;
    }
  | { kind: 'remembered'; id: string; answer: Remembered };

/** An error that is no AppError is a bug; it fails its own command only. */
export type Outcome = { ok: true; allocationId?: string } | { ok: false; error: Error };

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
  const { poolId } = state;
  const allocations = new Map(state.allocations);
  const remembered = new Map(state.remembered);
  const facts: PoolFact[] = [];
  let inventory = state.inventory;

  function opened(): Inventory {
    if (!isOpen(inventory)) throw poolNotFound(poolId);
    return inventory;
  }

  function allocate({ allocation: wanted, idempotency, traceparent }: AllocateCommand): string {
    const answer = idempotency && remembered.get(idempotency.id);
    if (answer) {
      if (answer.fingerprint !== idempotency.fingerprint) throw idempotencyKeyReused();
      // under an id of the caller's choosing: given back since, so this request comes late
      if (answer.allocationId === wanted.id && !allocations.has(wanted.id)) throw alreadyGivenBack(wanted.id);
      return answer.allocationId;
    }
    // the same id again: an answer was lost on the way
    if (allocations.has(wanted.id)) return wanted.id;
    inventory = take(opened(), wanted.capacity, now);
    const allocation = { ...wanted, poolId, createdAt: now };
    allocations.set(allocation.id, allocation);
    facts.push({ kind: 'allocated', allocation, traceparent });
    if (idempotency) {
      const made = { fingerprint: idempotency.fingerprint, allocationId: allocation.id };
      remembered.set(idempotency.id, made);
      facts.push({ kind: 'remembered', id: idempotency.id, answer: made });
    }
    return allocation.id;
  }

  function release({ allocationId, releasedBy, reason, forTask, traceparent }: ReleaseCommand): string {
    const allocation = allocations.get(allocationId);
    if (!allocation) throw allocationNotFound(allocationId);
    if (allocation.taskId !== null && !forTask) throw heldByTask(allocation);
    inventory = giveBack(opened(), allocation.capacity, now);
    allocations.delete(allocation.id);
    facts.push({ kind: 'released', allocation, releasedAt: now, releasedBy, reason, traceparent });
    return allocation.id;
  }

  /** Decides a numbered change once; a refusal is written down too, so that the change can never succeed later. */
  function change(
    revision: number,
    refusal: (before: Inventory) => AppError,
    work: (before: Inventory) => Inventory,
  ): void {
    const before = opened();
    if (revision < before.revision) throw superseded(poolId);
    if (revision === before.revision) {
      if (before.refused) throw refusal(before);
      return;
    }
    try {
      inventory = { ...work(before), revision, refused: false };
    } catch (error) {
      inventory = { ...before, revision, refused: true };
      throw error;
    }
  }

  function carryOut(command: PoolCommand): string | undefined {
    switch (command.kind) {
      case 'allocate':
        return allocate(command);
      case 'release':
        return release(command);
      case 'open': {
        if (inventory?.state === 'closed') throw poolNotFound(poolId);
        inventory ??= newInventory(poolId, termsOf(command), command.revision, now);
        return undefined;
      }
      case 'resize': {
        const terms = termsOf(command);
        change(
          command.revision,
          (before) => belowAllocated(before, terms),
          (before) => changeTerms(before, terms, command.mode ?? 'refuse', now),
        );
        return undefined;
      }
      case 'close': {
        const { revision } = command;
        // a pool that was never opened is closed too, so that an opening still on its way comes too late
        inventory ??= { ...newInventory(poolId, { ...DEFAULT_TERMS, total: 0 }, revision, now), state: 'closed' };
        if (isOpen(inventory)) change(revision, inUse, (before) => close(before, now));
        return undefined;
      }
    }
  }

  const outcomes = commands.map((command): Outcome => {
    try {
      const allocationId = carryOut(command);
      return { ok: true, ...(allocationId === undefined ? {} : { allocationId }) };
    } catch (error) {
      return { ok: false, error: error instanceof Error ? error : new Error(String(error)) };
    }
  });
  return { outcomes, facts, inventory };
}

function termsOf(command: NewTerms): Terms {
  const { total, reserved, allocationRatio, minUnit, maxUnit, stepSize, state } = { ...DEFAULT_TERMS, ...command };
  return { total, reserved, allocationRatio, minUnit, maxUnit, stepSize, state };
}

function newInventory(poolId: string, terms: Terms, revision: number, now: string): Inventory {
  const empty = {
    poolId,
    allocated: 0,
    overAllowed: false,
    drain: null,
    revision,
    refused: false,
    createdAt: now,
    updatedAt: now,
  };
  // a pool that is opened for being emptied is empty
  return changeTerms({ ...empty, ...terms }, terms, 'refuse', now);
}

function alreadyGivenBack(allocationId: string): AppError {
  return new AppError('conflict', 'allocation.given_back', 'What was taken under this id has been given back.', {
    facts: { allocation_id: allocationId },
  });
}

function superseded(poolId: string): AppError {
  return new AppError('conflict', 'pool.change_superseded', 'A later change of this pool was decided already.', {
    facts: { pool_id: poolId },
  });
}
