import { randomUUID } from 'node:crypto';
import { DEFAULT_TERMS } from '../../../../shared/contracts/inventory';
import type { Allocation, Inventory } from '../../domain/inventory';
import { decide } from '../../domain/decide';
import type { AllocateCommand, Decision, PoolCommand, ReleaseCommand, Remembered } from '../../domain/pool-commands';
import type { PoolStore, Snapshot } from '../../ports/pool-store';

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
    waiting: [],
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
    groupId: null,
    lease: null,
    updatedAt: overrides.createdAt ?? NOW,
    ...overrides,
  };
}

/** What decisions about one pool are made from. */
export interface PoolState {
  inventory: Inventory | undefined;
  allocations: Map<string, Allocation>;
  remembered: Map<string, Remembered>;
}

export function decideInPool(
  { inventory, allocations, remembered }: PoolState,
  commands: readonly PoolCommand[],
  now: string,
): Decision & { inventory: Inventory | undefined } {
  const poolId = inventory?.poolId ?? POOL;
  const inventories = new Map(inventory ? [[poolId, inventory]] : []);
  const state = { inventories, allocations, remembered, requests: new Map() };
  const orders = commands.map((command) => ({ ...command, poolId }));
  const decision = decide(state, orders, now);
  return { ...decision, inventory: decision.inventories.get(poolId) ?? inventory };
}

export async function readPool(
  store: PoolStore,
  poolId: string,
  allocationIds: string[] = [],
  rememberedIds: string[] = [],
): Promise<Snapshot & { inventory: Inventory | undefined }> {
  const snapshot = await store.read({ poolIds: [poolId], allocationIds, rememberedIds, requestIds: [] });
  return { ...snapshot, inventory: snapshot.inventories.get(poolId) };
}

export function buildState(overrides: Partial<PoolState> = {}): PoolState {
  return { inventory: buildInventory(), allocations: new Map(), remembered: new Map(), ...overrides };
}

export function allocate(
  overrides: Partial<Allocation> = {},
  idempotency?: AllocateCommand['idempotency'],
  leaseSeconds: number | null = null,
): AllocateCommand {
  const { id, serviceId, capacity, createdBy, taskId } = buildAllocation(overrides);
  return { kind: 'allocate', allocation: { id, serviceId, capacity, createdBy, taskId, leaseSeconds }, idempotency };
}

export function release(allocationId: string, overrides: Partial<ReleaseCommand> = {}): ReleaseCommand {
  return { kind: 'release', allocationId, releasedBy: randomUUID(), reason: 'released', forTask: false, ...overrides };
}

/** What task-runner sends to take capacity. */
export function taskRequest(poolId: string) {
  return {
    id: randomUUID(),
    resource_pool_id: poolId,
    service_id: randomUUID(),
    capacity: 4,
    task_id: randomUUID(),
    created_by: randomUUID(),
  };
}
