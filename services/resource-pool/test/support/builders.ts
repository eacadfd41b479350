import { randomUUID } from 'node:crypto';
import type { Logger } from '../../../../shared/logging/logger';
import { recordingLogger } from '../../../../shared/testing/recording-logger';
import { type AppError, unavailable } from '../../../../shared/errors';
import { MemoryInventories } from '../../adapters/memory-inventories';
import { MemoryPoolCatalogue } from '../../adapters/memory-pool-catalogue';
import type { Rooms } from '../../application/settle-pool';
import { newDescription, newPool, settled, type Pool, type PoolDescription } from '../../domain/pool';

export function describePool(overrides: Partial<PoolDescription> = {}): PoolDescription {
  const usual = { name: 'gpu-a100', resourceType: 'GPU', totalCapacity: 8, location: 'eu-west-1' };
  return newDescription({ ...usual, ...overrides });
}

/** A settled pool. */
export function buildPool(overrides: Partial<Pool> = {}): Pool {
  const pool = settled(newPool(randomUUID(), describePool(), '2026-11-23T09:30:00.000Z', null));
  return { ...pool, ...overrides };
}

export const away = (): AppError => unavailable('allocation.unavailable', 'The allocation does not answer now.');

/** The application on memory adapters. The clock goes on by a second with every look at it. */
export function buildRooms() {
  const catalogue = new MemoryPoolCatalogue();
  const inventories = new MemoryInventories();
  const clock = { seconds: 0 };
  const rooms: Rooms = {
    catalogue,
    inventories,
    now: () => new Date(Date.UTC(2026, 10, 23) + (clock.seconds += 1) * 1000).toISOString(),
    newId: randomUUID,
  };
  const logger: Logger & { lines: Record<string, unknown>[] } = recordingLogger();
  return { ...rooms, catalogue, inventories, clock, logger };
}

export type TestRooms = ReturnType<typeof buildRooms>;
