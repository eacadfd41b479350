import { z } from 'zod';
import { instant, timestamp, uuid } from '../../../shared/contracts/fields';
import { exampleOf } from '../../../shared/http/example';
import { pageQuery } from '../../../shared/http/paging';
import { STAGES } from '../domain/delivery';
import { receiptSchema } from '../domain/receipt';
import { stateOf, USAGE_STATES } from '../domain/usage-state';
import type { UsageInLedger } from '../ports/usage-store';

export const usageId = z.object({ id: uuid });

export const usageQuery = z.strictObject({
  userId: uuid.optional(),
  serviceType: z.string().min(1).max(200).optional(),
  kind: z.enum(['task', 'allocation']).optional(),
  from: instant.optional().meta({ description: 'Uses that ended at this time or later.' }),
  to: instant.optional().meta({ description: 'Uses that ended before this time.' }),
  ...pageQuery,
});

const usageHash = z
  .string()
  .regex(/^0x[0-9a-f]{64}$/)
  .meta({ example: `0x${'5e'.repeat(32)}` });
const stage = z.enum(STAGES);
const base64url = z
  .string()
  .regex(/^[\w-]+$/)
  .meta({ example: 'Z2FiCg' });
const receipt = z
  .record(z.string(), z.unknown())
  .nullable()
  .meta({ description: "The sink's proof, as it gave it.", example: null });

const use = {
  id: uuid,
  kind: z.enum(['task', 'allocation']),
  userId: uuid,
  taskId: uuid.nullable(),
  allocationId: uuid.nullable(),
  serviceType: z.string().nullable().meta({ example: 'demo' }),
  serviceId: uuid.nullable().meta({ example: null }),
  poolId: uuid.nullable(),
  capacity: z.int().nullable().meta({ example: 100 }),
  startedAt: timestamp,
  endedAt: timestamp,
  duration: z.string().meta({ example: 'PT1H3M20S' }),
  reason: z.string().meta({ example: 'stopped_by_user' }),
  sourceEvent: z.object({
    id: uuid,
    source: z.string().meta({ example: 'task-runner' }),
    type: z.string().meta({ example: 'task.stopped' }),
  }),
};

const recordSchema = z
  .discriminatedUnion('version', [
    z.object({ version: z.literal(1), ...use }),
    z.object({
      version: z.literal(2),
      corrects: uuid.meta({ description: 'The record in whose place this one stands.' }),
      ...use,
    }),
  ])
  .meta({ id: 'UsageRecord', description: 'What the usage hash is the SHA-256 of, in canonical JSON (RFC 8785).' });

export const batchSchema = z
  .object({
    batchId: z.int(),
    root: usageHash,
    firstSequence: z.int(),
    count: z.int(),
    previousRoot: usageHash,
    closedAt: timestamp,
  })
  .meta({ id: 'Batch', description: 'Records whose leaves are one Merkle tree; what a chain anchors.' });

export const usageSchema = z
  .object({
    id: uuid,
    usageHash,
    receivedAt: timestamp,
    record: recordSchema,
    state: z.enum(USAGE_STATES).meta({
      description: 'How far the record is on its way into a chain; `batched` is the end where none is set up.',
    }),
    batch: batchSchema.nullable(),
    sinks: z
      .record(z.string(), z.object({ stage, since: timestamp }))
      .meta({ example: { evm: { stage: STAGES[0], since: '2026-11-23T09:30:00.000Z' } } }),
    correctedBy: uuid.nullable().meta({ description: 'The record that stands in place of this one.', example: null }),
    openLetters: z.int().optional().meta({
      description: 'Open dead letters of this record or its id: for an administrator, where one record is asked for.',
    }),
  })
  .meta({ id: 'Usage' });

export const verificationSchema = z
  .object({
    valid: z.boolean().meta({ example: true }),
    storedHash: usageHash,
    computedHash: usageHash,
    storedLeaf: base64url,
    computedLeaf: base64url,
    batch: z
      .object({ batchId: z.int(), leafIndex: z.int(), storedRoot: usageHash, computedRoot: usageHash })
      .nullable(),
    sinks: z
      .record(z.string(), z.object({ stage: stage.nullable(), found: z.boolean().nullable(), receipt }))
      .meta({ example: { evm: { stage: STAGES[0], found: null, receipt: null } } }),
  })
  .meta({ id: 'UsageVerification' });

const bytes = (count: number): string => Buffer.alloc(count, 0x5e).toString('base64url');

export const receiptShown = receiptSchema.meta({
  description: 'docs/receipt.md tells of each field. The example has the form of a receipt, and proves nothing.',
  example: {
    version: 1,
    record: exampleOf(recordSchema),
    salt: bytes(16),
    leafIndex: 2,
    treeSize: 3,
    sequence: 3399,
    path: bytes(32),
    root: bytes(32),
    chainId: 31_337,
    contract: `0x${'5e'.repeat(20)}`,
    transaction: bytes(32),
    block: bytes(32),
    signature: `eyJhbGciOiJFZERTQSJ9..${bytes(64)}`,
  },
});

export function presentUsage(found: UsageInLedger & { openLetters?: number }): z.input<typeof usageSchema> {
  const { usage, batch, deliveries, correctedBy, openLetters } = found;
  const sinks = deliveries.map(({ sink, stage: at, since }) => [sink, { stage: at, since }] as const);
  const { record, usageHash: hash, receivedAt } = usage;
  const state = stateOf({ batch, deliveries });
  return {
    id: record.id,
    usageHash: hash,
    receivedAt,
    record,
    state,
    batch,
    sinks: Object.fromEntries(sinks),
    correctedBy,
    ...(openLetters === undefined ? {} : { openLetters }),
  };
}
