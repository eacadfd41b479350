import { randomUUID } from 'node:crypto';
import { DEFAULT_TERMS } from '../../../../shared/contracts/inventory';
import type { Allocation, Inventory } from '../../domain/inventory';
import type { AllocateCommand, PoolState, ReleaseCommand } from '../../domain/pool-commands';

export const NOW = '2026-11-23T09:30:00.000Z';
export const POOL = '0b0f9a52-4c0e-4f5e-9a39-5d2a1a6f3c11';

export function buildInventory(overrides: Partial<Inventory> = {}): Inventory {
  return {
    poolId: POOL,
    total: 100,
    ...DEFAULT_TERMS,
    allocated: 0,
    overAllowed: false,
    drain: null,
    revision: 1,
    refused: false,
    createdAt: NOW,
    updatedAt: NOW,
    ...overrides,
  };
}

export function buildAllocation(overrides: Partial<Allocation> = {}): Allocation {
  return {
    id: randomUUID(),
    poolId: POOL,
    serviceId: randomUUID(),
    capacity: 1,
    createdAt: NOW,
    createdBy: randomUUID(),
    taskId: null,
    ...overrides,
  };
}

export function buildState(overrides: Partial<PoolState> = {}): PoolState {
  return { poolId: POOL, inventory: buildInventory(), allocations: new Map(), remembered: new Map(), ...overrides };
}

export function allocate(
  overrides: Partial<Allocation> = {},
  idempotency?: AllocateCommand['idempotency'],
): AllocateCommand {
  const { id, serviceId, capacity, createdBy, taskId } = buildAllocation(overrides);
  return { kind: 'allocate', allocation: { id, serviceId, capacity, createdBy, taskId }, idempotency };
}

export function release(allocationId: string, overrides: Partial<ReleaseCommand> = {}): ReleaseCommand {
  return { kind: 'release', allocationId, releasedBy: randomUUID(), reason: 'released', forTask: false, ...overrides };
}
