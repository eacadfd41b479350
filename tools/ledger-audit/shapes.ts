import { z } from 'zod';
import type { Batch } from '../../services/blockchain-forwarder/domain/batch';
import type { UsageRecord } from '../../services/blockchain-forwarder/domain/usage-record';

/** What rows must look like to be looked at further; null for one that does not. */
export function read<T>(schema: z.ZodType<T>, row: unknown): T | null {
  const { success, data } = schema.safeParse(row);
  return success ? data : null;
}

const root = z.string().regex(/^0x[0-9a-f]{64}$/);

export const batchRow: z.ZodType<Batch & { chunks: string[]; nodes: string[] }> = z.object({
  batchId: z.int(),
  root,
  firstSequence: z.int(),
  count: z.int(),
  previousRoot: root,
  closedAt: z.iso.datetime(),
  chunks: z.array(z.string()),
  nodes: z.array(z.string()),
});

export const entries = z.array(z.tuple([z.string(), z.string()]));
export const chunkRow = z.object({ id: z.string(), receivedAt: z.iso.datetime(), entries });

export const headRow = z.object({
  batchId: z.int(),
  nextSequence: z.int(),
  root: z.string(),
  peaks: z.array(z.string()),
});

/** A correction names what it corrects; all else is as in version 1. */
export type AnyRecord = Omit<UsageRecord, 'version'> & { version: number; corrects?: string };

const text = z.string().nullable();
/** Beyond what is named here a record may hold more: its leaf is of all that is there. */
const record = z.looseObject({
  version: z.int(),
  id: z.string(),
  kind: z.enum(['task', 'allocation']),
  userId: z.string(),
  taskId: text,
  allocationId: text,
  serviceType: text,
  serviceId: text,
  poolId: text,
  capacity: z.int().nullable(),
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime(),
  duration: z.string(),
  reason: z.string(),
  sourceEvent: z.looseObject({ id: z.string(), source: z.string(), type: z.string() }),
  corrects: z.string().optional(),
});

export interface UsageRow {
  record: AnyRecord;
  salt: string;
  leaf: string;
  usageHash: string;
  chunk: string;
}
export const usageRow = z.object({
  record,
  salt: z.string(),
  leaf: z.string(),
  usageHash: z.string(),
  chunk: z.string(),
}) as unknown as z.ZodType<UsageRow>;
