import { randomBytes } from 'node:crypto';
import { uuidFromName } from '../../../shared/contracts/ids';
import { idempotencyKeyReused, unavailable } from '../../../shared/errors';
import type { IdempotencyKey } from '../../../shared/http/conditions';
import type { Logger } from '../../../shared/logging/logger';
import { canonicalHash } from '../domain/canonical-hash';
import { correctionOf, type CorrectionRequest } from '../domain/correction';
import { alreadyCorrected, usageNotFound } from '../domain/errors';
import { SALT_BYTES } from '../domain/leaf';
import type { UsageInLedger, UsageStore } from '../ports/usage-store';
import { sealUsage } from './seal-usage';

export interface CorrectParts {
  usage: UsageStore;
  logger: Logger;
  now: () => Date;
  newId: () => string;
  wakeLedger: () => void;
}

const TRIES = 3;

/**
 * Adds a record that says what is true instead of record `id`, which stays. The same Idempotency-Key is the same correction,
 * for as long as there are records: its id follows from the key.
 * @returns the new record
 * @throws AppError `usage.not_found`, `usage.already_corrected`, `usage.correction_refused`,
 *   `request.idempotency_key_reused`
 */
export async function correctUsage(
  id: string,
  request: CorrectionRequest,
  { by, key }: { by: string; key: IdempotencyKey | undefined },
  parts: CorrectParts,
): Promise<UsageInLedger> {
  const { usage: store, logger, now, newId, wakeLedger } = parts;
  const correctionId = key ? uuidFromName(JSON.stringify(['correction', key.id])) : newId();
  const content = { corrects: id, ...request };
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const [corrected, known] = await Promise.all([store.get(id), store.get(correctionId)]);
    if (!corrected) throw usageNotFound();
    if (known) {
      if ((await canonicalHash(content)) !== known.usage.contentHash) throw idempotencyKeyReused();
      return known;
    }
    // the same correction was committed between the two reads: it is found by the next ones
    if (corrected.correctedBy === correctionId) continue;
    if (corrected.correctedBy !== null) throw alreadyCorrected(corrected.correctedBy);
    const record = correctionOf(corrected.usage.record, request, correctionId, now());
    const { usage, bytes } = await sealUsage(record, content, {
      receivedAt: now(),
      traceparent: null,
      salt: randomBytes(SALT_BYTES),
    });
    const chunk = { id: newId(), receivedAt: usage.receivedAt, bytes, entries: [[record.id, usage.leaf] as const] };
    if (await store.insert(chunk, [{ ...usage, chunk: chunk.id }])) {
      wakeLedger();
      logger.info('a usage record is corrected by a new one', {
        activity: 'usage.correct',
        who: by,
        resource: id,
        result: 'ok',
        correction: record.id,
        reason: request.reason,
      });
      return { usage: { ...usage, chunk: chunk.id }, batch: null, deliveries: [], correctedBy: null };
    }
  }
  throw unavailable('usage.busy', 'Others write the same records now; try again shortly.');
}
