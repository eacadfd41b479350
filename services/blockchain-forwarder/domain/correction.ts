import { durationBetween } from '../../../shared/contracts/duration';
import { correctionRefused } from './errors';
import { EARLIEST, MAX_RECORD_BYTES, sizeOf, type Correction, type UsageRecord } from './usage-record';

/** What is to be true instead; what is absent stays as it is. */
export interface CorrectionRequest {
  /** RFC 3339. */
  startedAt?: string | undefined;
  endedAt?: string | undefined;
  capacity?: number | undefined;
  /** Why: stands in the new record in place of why the use ended, which the old one goes on to tell. */
  reason: string;
}

/** @throws AppError `usage.correction_refused` where nothing is changed, or nothing that can have been */
export function correctionOf(record: UsageRecord, request: CorrectionRequest, id: string, now: Date): Correction {
  const correction: Correction = {
    ...record,
    version: 2,
    corrects: record.id,
    id,
    capacity: request.capacity ?? record.capacity,
    startedAt: instant(request.startedAt ?? record.startedAt),
    endedAt: instant(request.endedAt ?? record.endedAt),
    reason: request.reason,
    sourceEvent: { id, source: 'blockchain-forwarder', type: 'usage.corrected' },
  };
  const { startedAt, endedAt, capacity } = correction;
  if (startedAt === record.startedAt && endedAt === record.endedAt && capacity === record.capacity) {
    throw correctionRefused('it changes nothing');
  }
  if (capacity !== record.capacity && record.poolId === null)
    throw correctionRefused('the use held no units of a pool');
  if (endedAt < startedAt) throw correctionRefused('the use would end before it began');
  if (endedAt > now.toISOString()) throw correctionRefused('the use would end in the future');
  if (startedAt < EARLIEST) throw correctionRefused('the use would begin before the year 2000');
  const whole = { ...correction, duration: durationBetween(startedAt, endedAt) };
  if (sizeOf(whole) > MAX_RECORD_BYTES) {
    throw correctionRefused(`its record would have more than ${MAX_RECORD_BYTES} bytes; give a shorter reason`);
  }
  return whole;
}

/** One spelling for one instant, so that times sort as text and hash alike. */
function instant(timestamp: string): string {
  return new Date(timestamp).toISOString();
}
