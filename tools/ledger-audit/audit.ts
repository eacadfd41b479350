import type { Client } from 'pg';
import { auditBalance } from './balance';
import { auditLedger, type LedgerSeen } from './batches';
import { auditChain, lookAt, type ChainOptions, type Look } from './chain';
import type { Days } from './days';
import type { Pending } from './events';
import { auditFile, sizeOf } from './file';
import { Findings } from './findings';
import { auditLate } from './late';
import { DatabaseRows, type Rows } from './rows';
import { nobodyKnows, unreadEvents } from './stream';

export interface AuditOptions {
  now: Date;
  /** How long a record, a batch or an event may be on its way. */
  maxAgeMs: number;
  since?: string;
  /** Absent where the ledger has none. */
  chain?: ChainOptions;
  file?: string;
  natsUrl?: string;
  progress?: (text: string) => void;
}

/** A place outside that has the ledger's batches; null where none is set up, or where it could not be looked at. */
export interface PlaceSeen {
  place: string;
  has: number;
  late: number;
}

export interface Audit {
  findings: Findings;
  ledger: LedgerSeen;
  days: Days;
  chain: PlaceSeen | null;
  file: PlaceSeen | null;
}

/** What is outside the database, as it was before that was read: whatever comes later is no fault. */
interface Outside {
  look: Look | null;
  fileSize: number | null;
  pending: Pending;
}

/** Audits the database that the client is connected to, all of it as of one moment. */
export async function auditDatabase(client: Client, options: AuditOptions): Promise<Audit> {
  const findings = new Findings();
  const outside = await lookOutside(findings, options);
  await client.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
  try {
    return await auditRows(new DatabaseRows(client), findings, outside, options);
  } finally {
    await client.query('ROLLBACK');
  }
}

async function lookOutside(findings: Findings, { chain, file, natsUrl }: AuditOptions): Promise<Outside> {
  const look = chain ? await unlessAway('chain', findings, () => lookAt(chain.rpcUrl)) : null;
  const fileSize = file === undefined ? null : await unlessAway('file', findings, () => sizeOf(file));
  return { look, fileSize, pending: await pendingIn(natsUrl) };
}

async function pendingIn(natsUrl: string | undefined): Promise<Pending> {
  if (natsUrl === undefined) return nobodyKnows('no broker was named (NATS_URL)');
  try {
    return await unreadEvents(natsUrl);
  } catch (error) {
    return nobodyKnows(reasonOf(error));
  }
}

export async function auditRows(
  rows: Rows,
  findings: Findings,
  { look, fileSize, pending }: Outside,
  options: AuditOptions,
): Promise<Audit> {
  const ledger = await auditLedger(rows, findings, options);
  const days = await auditBalance(rows, findings, { ...options, pending });
  const { chain, file } = options;
  const onChain =
    look && chain ? await unlessAway('chain', findings, () => auditChain(rows, look, findings, chain)) : null;
  const late = (place: string, code: 'anchor.late' | 'file.late', last: number): Promise<number> =>
    auditLate(rows, { last, batches: ledger.last, place, code }, findings, options);
  const inFile = file !== undefined && fileSize !== null ? await auditFile(rows, file, fileSize, findings) : null;
  return {
    findings,
    ledger,
    days,
    chain: onChain && {
      place: `${onChain.chainId}/${chain?.contract}, block ${onChain.block}`,
      has: onChain.anchored,
      late: await late('the chain', 'anchor.late', onChain.anchored),
    },
    file: inFile === null ? null : { place: `${file}`, has: inFile, late: await late('the file', 'file.late', inFile) },
  };
}

async function unlessAway<T>(part: string, findings: Findings, work: () => T | Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    findings.cannotCheck(part, reasonOf(error));
    return null;
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
