import { z } from 'zod';
import { timestamp, uuid } from '../../../shared/contracts/fields';
import { pageQuery } from '../../../shared/http/paging';
import { DEAD_LETTER_REASONS, type DeadLetter } from '../domain/dead-letter';
import type { UsageWithDeliveries } from '../ports/usage-store';

export const usageId = z.object({ id: uuid });
export const pageOnly = z.strictObject(pageQuery);

export const usageQuery = z.strictObject({
  userId: uuid.optional(),
  serviceType: z.string().min(1).max(200).optional(),
  kind: z.enum(['task', 'allocation']).optional(),
  from: timestamp.optional().meta({ description: 'Uses that ended at this time or later.' }),
  to: timestamp.optional().meta({ description: 'Uses that ended before this time.' }),
  ...pageQuery,
});

const usageHash = z.string().regex(/^0x[0-9a-f]{64}$/);
const state = z.enum(['pending', 'delivered', 'rejected']);
const receipt = z.record(z.string(), z.unknown()).nullable().meta({ description: "The sink's proof, as it gave it." });

const recordSchema = z
  .object({
    version: z.literal(1),
    id: uuid,
    kind: z.enum(['task', 'allocation']),
    userId: uuid,
    taskId: uuid.nullable(),
    allocationId: uuid.nullable(),
    serviceType: z.string().nullable(),
    serviceId: uuid.nullable(),
    poolId: uuid.nullable(),
    capacity: z.int().nullable(),
    startedAt: timestamp,
    endedAt: timestamp,
    duration: z.string().meta({ example: 'PT1H3M20S' }),
    reason: z.string(),
    sourceEvent: z.object({ id: uuid, source: z.string(), type: z.string() }),
  })
  .meta({ id: 'UsageRecord', description: 'What the usage hash is the SHA-256 of, in canonical JSON (RFC 8785).' });

export const usageSchema = z
  .object({
    id: uuid,
    usageHash,
    receivedAt: timestamp,
    record: recordSchema,
    sinks: z.record(
      z.string(),
      z.object({
        state,
        attempts: z.int(),
        nextAttemptAt: timestamp.nullable(),
        deliveredAt: timestamp.nullable(),
        receipt,
        lastError: z.string().nullable().meta({ description: 'For administrators only; null for others.' }),
      }),
    ),
  })
  .meta({ id: 'Usage' });

export const verificationSchema = z
  .object({
    valid: z.boolean(),
    storedHash: usageHash,
    computedHash: usageHash,
    sinks: z.record(z.string(), z.object({ state: state.nullable(), found: z.boolean().nullable(), receipt })),
  })
  .meta({ id: 'UsageVerification' });

export const deadLetterSchema = z
  .object({
    id: uuid,
    topic: z.string(),
    eventId: z.string().nullable(),
    reason: z.enum(DEAD_LETTER_REASONS),
    detail: z.string(),
    event: z.unknown(),
    receivedAt: timestamp,
  })
  .meta({ id: 'DeadLetter' });

export function presentUsage(
  { usage, deliveries }: UsageWithDeliveries,
  isAdmin: boolean,
): z.input<typeof usageSchema> {
  const sinks = deliveries.map((delivery) => [
    delivery.sink,
    {
      state: delivery.state,
      attempts: delivery.attempts,
      nextAttemptAt: delivery.state === 'delivered' ? null : delivery.nextAttemptAt,
      deliveredAt: delivery.deliveredAt,
      receipt: delivery.receipt,
      // may name hosts and ports of the platform
      lastError: isAdmin ? delivery.lastError : null,
    },
  ]);
  const { record, usageHash: hash, receivedAt } = usage;
  return { id: record.id, usageHash: hash, receivedAt, record, sinks: Object.fromEntries(sinks) as never };
}

export function presentDeadLetter(letter: DeadLetter): z.input<typeof deadLetterSchema> {
  return { ...letter, event: JSON.parse(letter.event) as unknown };
}
