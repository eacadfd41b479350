import type { Findings, FaultCode } from './findings';
import { BATCH, PAGE, type Rows } from './rows';
import { batchRow, read } from './shapes';

/**
 * Batches that a place outside does not have yet. That is no fault, unless one has waited for too long.
 * @param last what the place has
 * @returns how many there are
 */
export async function auditLate(
  rows: Rows,
  { last, batches, place, code }: { last: number; batches: number; place: string; code: FaultCode },
  findings: Findings,
  { now, maxAgeMs }: { now: Date; maxAgeMs: number },
): Promise<number> {
  for (let first = last + 1; first <= batches; first += PAGE) {
    const keys = Array.from({ length: Math.min(PAGE, batches - first + 1) }, (_, n) => `${BATCH}${first + n}`);
    for (const row of (await rows.get(keys)).values()) {
      const batch = read(batchRow, row);
      if (!batch || now.getTime() - Date.parse(batch.closedAt) <= maxAgeMs) continue;
      findings.fault(code, `batch ${batch.batchId}: closed at ${batch.closedAt}, and ${place} does not have it`);
    }
  }
  return Math.max(0, batches - last);
}
