import { randomBytes, randomUUID } from 'node:crypto';
import type { CloudEvent, EventData } from '../../../../shared/contracts/events';
import type { Chunk } from '../../domain/batch';
import { toBase64url } from '../../domain/bytes';
import { canonicalHash } from '../../domain/canonical-hash';
import { leafOf } from '../../domain/leaf';
import { usageRecordOf, type FirstRecord, type StoredUsage, type UsageRecord } from '../../domain/usage-record';

export const USER = '4f1d3b52-0c9e-4c55-8d67-0d5b1f1f6a01';

/** What a test does not care about is filled in. */
export function taskStopped(
  data: Partial<EventData<'task.stopped'>> = {},
  envelope: Partial<CloudEvent<'task.stopped'>> = {},
): CloudEvent<'task.stopped'> {
  return {
    specversion: '1.0',
    id: randomUUID(),
    source: 'task-runner',
    type: 'task.stopped',
    time: '2026-11-23T10:03:20.000Z',
    datacontenttype: 'application/json',
    ...envelope,
    data: {
      taskId: randomUUID(),
      userId: USER,
      serviceType: 'jupyter',
      startTime: '2026-11-23T09:00:00.000Z',
      allocationId: randomUUID(),
      poolId: 'b7a1c1de-9d0f-4d11-8c62-52f0a3a0d7aa',
      capacity: 1000,
      stopTime: '2026-11-23T10:03:20.000Z',
      duration: 'PT1H3M20S',
      reason: 'stopped_by_user',
      actor: USER,
      exitCode: 0,
      ...data,
    },
  };
}

export function taskFailed(data: Partial<EventData<'task.failed'>> = {}): CloudEvent<'task.failed'> {
  const stopped = taskStopped();
  return { ...stopped, type: 'task.failed', data: { ...stopped.data, reason: 'exited', exitCode: 1, ...data } };
}

export function allocationReleased(
  data: Partial<EventData<'allocation.released'>> = {},
): CloudEvent<'allocation.released'> {
  return {
    specversion: '1.0',
    id: randomUUID(),
    source: 'allocation',
    type: 'allocation.released',
    time: '2026-11-23T10:00:00.000Z',
    datacontenttype: 'application/json',
    data: {
      allocation_id: randomUUID(),
      resource_pool_id: 'b7a1c1de-9d0f-4d11-8c62-52f0a3a0d7aa',
      service_id: 'c0ffee00-1111-4222-8333-444455556666',
      capacity: 4,
      created_at: '2026-11-23T09:30:00.000Z',
      created_by: USER,
      task_id: null,
      released_at: '2026-11-23T10:00:00.000Z',
      duration: 'PT30M',
      end_reason: 'released',
      released_by: USER,
      ...data,
    },
  };
}

export function usageRecord(data: Partial<EventData<'task.stopped'>> = {}): FirstRecord {
  const record = usageRecordOf(taskStopped(data));
  if (!record) throw new Error('a stopped task is a use');
  return record;
}

export function storedUsage(data: Parameters<typeof usageRecord>[0] = {}): Promise<StoredUsage> {
  return stored(usageRecord(data));
}

/** A record as it is kept. */
export async function stored(record: UsageRecord): Promise<StoredUsage> {
  const salt = randomBytes(16);
  const hash = await canonicalHash(record);
  return {
    record,
    usageHash: hash,
    contentHash: hash,
    salt: salt.toString('base64url'),
    leaf: toBase64url(await leafOf(record, salt)),
    chunk: randomUUID(),
    receivedAt: new Date().toISOString(),
    traceparent: null,
  };
}

/** @returns the chunk, and its records as they belong to it */
export function chunkOf(
  usages: readonly StoredUsage[],
  receivedAt = new Date(),
): { chunk: Chunk; usages: StoredUsage[] } {
  const id = randomUUID();
  const entries = usages.map(({ record, leaf }) => [record.id, leaf] as const);
  const chunk = { id, receivedAt: receivedAt.toISOString(), bytes: 500 * usages.length, entries };
  return { chunk, usages: usages.map((usage) => ({ ...usage, chunk: id })) };
}
