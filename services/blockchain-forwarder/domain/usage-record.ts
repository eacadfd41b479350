/**
 * The canonical record of one finished use: what finance and auditors read, and what the usage hash is taken of.
 * Fields are only ever added together with a new `version`; docs and test vectors follow it.
 */
export type UsageRecord = FirstRecord | Correction;

/** What an event of a use's end becomes. */
export interface FirstRecord extends Use {
  version: 1;
}

/** What is true instead of another record: that one stays, and this one names it. */
export interface Correction extends Use {
  version: 2;
  /** The id of the record that this one corrects. */
  corrects: string;
}

interface Use {
  /** The id of the event that told of the use's end: the same event again is the same record. */
  id: string;
  kind: 'task' | 'allocation';
  /** Whose use it was: the task's user, or the `sub` that made the allocation. */
  userId: string;
  taskId: string | null;
  allocationId: string | null;
  /** Of a task, for example `jupyter`. */
  serviceType: string | null;
  /** Of an allocation: the platform service that it was made for. */
  serviceId: string | null;
  poolId: string | null;
  /** Units of the pool that were held all the time; null for a task that held none. */
  capacity: number | null;
  /** RFC 3339, UTC. */
  startedAt: string;
  endedAt: string;
  /** ISO 8601, for example `PT1H3M20S`. */
  duration: string;
  reason: string;
  sourceEvent: { id: string; source: string; type: string };
}

/** A record with the hash that stands for it: `0x` and 64 hexadecimal digits. */
export interface SealedRecord {
  record: UsageRecord;
  usageHash: string;
}

/** A record as it is kept. */
export interface StoredUsage extends SealedRecord {
  /** 16 random bytes, base64url: see domain/leaf.ts. */
  salt: string;
  /** What stands for it in a batch's tree, base64url. */
  leaf: string;
  /** The piece of the ledger that it came in with: a batch is made of whole ones. */
  chunk: string;
  /** Of the whole event: tells the same event again from another one that came under its id. */
  contentHash: string;
  /** RFC 3339. */
  receivedAt: string;
  /** W3C trace context of what ended the use: the delivery's log lines carry it on. Not part of the record. */
  traceparent: string | null;
}

/** The ends of uses, with the fields of their events (shared/contracts/events.ts) that a record is made of. */
export type EndOfUse = EndOfTask | EndOfAllocation;

interface Envelope {
  id: string;
  source: string;
  traceparent?: string | undefined;
}

interface EndOfTask extends Envelope {
  type: 'task.stopped' | 'task.failed';
  data: {
    taskId: string;
    userId: string;
    serviceType: string;
    startTime: string | null;
    stopTime: string;
    duration: string;
    reason: string;
    allocationId: string | null;
    poolId: string | null;
    capacity: number | null;
  };
}

interface EndOfAllocation extends Envelope {
  type: 'allocation.released';
  data: {
    allocation_id: string;
    resource_pool_id: string;
    service_id: string;
    capacity: number;
    created_at: string;
    created_by: string;
    task_id: string | null;
    released_at: string;
    duration: string;
    end_reason: string;
  };
}

/**
 * @returns null where nothing was used: a task that never ran, or an allocation that a task held, whose use is in the
 * task's own record
 */
export function usageRecordOf(event: EndOfUse): FirstRecord | null {
  return event.type === 'allocation.released' ? ofAllocation(event) : ofTask(event);
}

function ofTask({ id, source, type, data }: EndOfTask): FirstRecord | null {
  if (data.startTime === null) return null;
  return {
    version: 1,
    id,
    kind: 'task',
    userId: data.userId,
    taskId: data.taskId,
    allocationId: data.allocationId,
    serviceType: data.serviceType,
    serviceId: null,
    poolId: data.poolId,
    capacity: data.capacity,
    startedAt: instant(data.startTime),
    endedAt: instant(data.stopTime),
    duration: data.duration,
    reason: data.reason,
    sourceEvent: { id, source, type },
  };
}

function ofAllocation({ id, source, type, data }: EndOfAllocation): FirstRecord | null {
  if (data.task_id !== null) return null;
  return {
    version: 1,
    id,
    kind: 'allocation',
    userId: data.created_by,
    taskId: null,
    allocationId: data.allocation_id,
    serviceType: null,
    serviceId: data.service_id,
    poolId: data.resource_pool_id,
    capacity: data.capacity,
    startedAt: instant(data.created_at),
    endedAt: instant(data.released_at),
    duration: data.duration,
    reason: data.end_reason,
    sourceEvent: { id, source, type },
  };
}

/** One spelling for one instant, so that times sort as text and hash alike. */
function instant(timestamp: string): string {
  return new Date(timestamp).toISOString();
}

/** Far above what any publisher of ours writes. */
const MAX_TEXT = 200;
/** Of its canonical JSON: a receipt stays below 2,000 bytes with it. */
export const MAX_RECORD_BYTES = 900;
export const EARLIEST = '2000-01-01T00:00:00.000Z';
/** Clocks differ, but not by more. */
const AHEAD_MS = 86_400_000;

/**
 * Says why no record can be kept of an event although it fits its schema; null when one can. PostgreSQL's jsonb knows no
 * NUL, RFC 8785 no half surrogate pair.
 */
export function faultOf(event: EndOfUse, record: UsageRecord, now: Date): string | null {
  if (record.startedAt < EARLIEST || record.endedAt < EARLIEST) return 'it ran before the year 2000';
  const latest = new Date(now.getTime() + AHEAD_MS).toISOString();
  if (record.startedAt > latest || record.endedAt > latest) return 'it ran more than a day in the future';
  const texts = [event.source, ...Object.values(event.data)].filter((value) => typeof value === 'string');
  if (texts.some((text) => text.length > MAX_TEXT)) return `it holds text of more than ${MAX_TEXT} characters`;
  if (sizeOf(record) > MAX_RECORD_BYTES) return `its record has more than ${MAX_RECORD_BYTES} bytes`;
  if (texts.some((text) => /[\0\p{Cs}]/u.test(text))) return 'it holds text with a NUL or half a surrogate pair';
  return null;
}

/** In bytes of its canonical JSON: that has other places for its keys than JSON.stringify, but the same length. */
export function sizeOf(record: UsageRecord): number {
  return new TextEncoder().encode(JSON.stringify(record)).length;
}
