import { canonicalHash } from '../../services/blockchain-forwarder/domain/canonical-hash';
import { leafOf } from '../../services/blockchain-forwarder/domain/leaf';
import type { UsageRecord } from '../../services/blockchain-forwarder/domain/usage-record';
import type { Findings } from './findings';
import { USAGE } from './rows';
import { read, usageRow, type UsageRow } from './shapes';

export interface Placed {
  id: string;
  /** What stands for the record in the tree: of record and salt; null where they are not there. */
  leaf: Buffer | null;
  chunk: string | null;
}

/**
 * Computes a record's leaf anew and compares it with every place where it is kept. One line for a record, whatever is
 * wrong with it.
 * @param kept the leaf by which the ledger names it
 * @param where "batch 7, place 3"
 */
export async function auditRecord(
  id: string,
  kept: string,
  row: unknown,
  where: string,
  findings: Findings,
): Promise<Placed> {
  if (row === undefined) {
    findings.fault('record.missing', `record ${id} (${where}) is not there: the row ${USAGE}${id} is gone or no JSON`);
    return { id, leaf: null, chunk: null };
  }
  const usage = read(usageRow, row);
  if (!usage) {
    findings.fault('record.changed', `record ${id} (${where}) has not the fields of a record, or no salt`);
    return { id, leaf: null, chunk: null };
  }
  const wrong: string[] = [];
  if (usage.record.id !== id) wrong.push(`says that it is ${usage.record.id}`);
  const leaf = await leafOfRow(usage);
  if (!leaf) wrong.push('has no leaf: its salt is not 16 bytes, or its record has no canonical form');
  else {
    const text = leaf.toString('base64url');
    if (usage.leaf !== text) wrong.push('record and salt do not give the leaf that is kept with it');
    if (kept !== text) wrong.push('record and salt do not give the leaf that the ledger has');
    if (usage.usageHash !== (await canonicalHash(usage.record))) wrong.push('the record does not give its usage hash');
  }
  if (wrong.length > 0) findings.fault('record.changed', `record ${id} (${where}): ${wrong.join('; ')}`);
  return { id, leaf, chunk: usage.chunk };
}

async function leafOfRow({ record, salt }: UsageRow): Promise<Buffer | null> {
  try {
    const bytes = Buffer.from(salt, 'base64url');
    // one spelling only: other text may stand for the same bytes
    if (bytes.toString('base64url') !== salt) return null;
    return Buffer.from(await leafOf(record as UsageRecord, bytes));
  } catch {
    return null;
  }
}
