import fc from 'fast-check';
import type { UsageRecord } from '../../domain/usage-record';

const text = fc.string({ unit: 'grapheme', maxLength: 20 });
const orNull = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: null });
const instant = fc
  .date({ min: new Date('2000-01-01'), max: new Date('2100-01-01'), noInvalidDate: true })
  .map((date) => date.toISOString());

const anyUse = fc.record({
  id: fc.uuid(),
  kind: fc.constantFrom('task' as const, 'allocation' as const),
  userId: fc.uuid(),
  taskId: orNull(fc.uuid()),
  allocationId: orNull(fc.uuid()),
  serviceType: orNull(text),
  serviceId: orNull(fc.uuid()),
  poolId: orNull(fc.uuid()),
  capacity: orNull(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })),
  startedAt: instant,
  endedAt: instant,
  duration: fc.nat().map((seconds) => `PT${seconds}S`),
  reason: text,
  sourceEvent: fc.record({ id: fc.uuid(), source: text, type: text }),
});

/** Any record that the type allows, also such as no event of ours leads to. */
export const anyRecord: fc.Arbitrary<UsageRecord> = fc.oneof(
  anyUse.map((use): UsageRecord => ({ version: 1, ...use })),
  fc.tuple(anyUse, fc.uuid()).map(([use, corrects]): UsageRecord => ({ version: 2, corrects, ...use })),
);

export const anySalt: fc.Arbitrary<Uint8Array> = fc.uint8Array({ minLength: 16, maxLength: 16 });
