import { createHash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { leafOf } from '../../services/blockchain-forwarder/domain/leaf';
import { merkleTree, rootOf } from '../../services/blockchain-forwarder/domain/merkle';
import type { UsageRecord } from '../../services/blockchain-forwarder/domain/usage-record';
import type { Findings } from './findings';
import { BATCH, type Rows } from './rows';
import { batchRow, read } from './shapes';

/**
 * The file of the sink `file`: JSON lines; of each batch a line a record, `{leaf, record, salt, usageHash}`, then the line
 * that closes it. What is behind the last closing line is being written.
 */
const recordLine = z.object({ leaf: z.string(), record: z.looseObject({ id: z.string() }), salt: z.string() });
const closingLine = z.object({
  batch: z.object({
    batchId: z.int(),
    root: z.string(),
    firstSequence: z.int(),
    count: z.int(),
    previousRoot: z.string(),
    closedAt: z.string(),
  }),
  from: z.int(),
  previous: z.string(),
  records: z.string(),
  version: z.literal(1),
});

/** How much of it there is: read before the database, which may not have what comes later. @throws when it is not there */
export function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    throw new Error(`the file ${path} cannot be read`);
  }
}

/** @returns the last batch that is whole in the file */
export async function auditFile(rows: Rows, path: string, size: number, findings: Findings): Promise<number> {
  const audit = new FileAudit(rows, path, findings);
  if (size === 0) return 0;
  const input = createReadStream(path, { end: size - 1 });
  for await (const line of createInterface({ input, crlfDelay: Infinity })) await audit.line(line);
  return audit.last;
}

class FileAudit {
  last = 0;
  private at = 0;
  private from = 0;
  private previous = '0'.repeat(64);
  private leaves: Buffer[] = [];
  private strange = 0;
  private hash = createHash('sha256');

  constructor(
    private readonly rows: Rows,
    private readonly path: string,
    private readonly findings: Findings,
  ) {}

  async line(line: string): Promise<void> {
    this.at += Buffer.byteLength(line) + 1;
    if (line.startsWith('{"batch":')) return this.close(line);
    if (this.leaves.length + this.strange > 0) this.hash.update('\n');
    this.hash.update(line);
    const entry = read(recordLine, json(line));
    const leaf = entry && (await computed(entry));
    if (leaf && leaf.toString('base64url') === entry.leaf) this.leaves.push(leaf);
    else this.strange += 1;
  }

  private async close(line: string): Promise<void> {
    const closing = read(closingLine, json(line));
    const expected = this.last + 1;
    const wrong: string[] = [];
    if (!closing) wrong.push('its closing line is not of its shape');
    else {
      const { batch, from, previous, records } = closing;
      const own = read(batchRow, (await this.rows.get([`${BATCH}${expected}`])).get(`${BATCH}${expected}`));
      const root = `0x${rootOf(merkleTree(this.leaves)).toString('hex')}`;
      if (batch.batchId !== expected) wrong.push(`it says that it is batch ${batch.batchId}`);
      if (this.strange > 0) wrong.push(`${this.strange} of its records do not give their leaves`);
      else if (batch.root !== root) wrong.push('its records, in their order, do not give its root');
      if (!own) wrong.push('the ledger has no such batch');
      else if (!same(own, batch)) wrong.push('the ledger says something else of this batch');
      if (from !== this.from) wrong.push(`it says that it begins at byte ${from}, not ${this.from}`);
      if (previous !== this.previous) wrong.push('it does not name the closing line before');
      if (records !== this.hash.digest('hex')) wrong.push('its closing line is of other record lines');
    }
    if (wrong.length > 0) this.findings.fault('file.differs', `${this.path}, batch ${expected}: ${wrong.join('; ')}`);
    this.last = expected;
    this.previous = createHash('sha256').update(line).digest('hex');
    [this.from, this.leaves, this.strange, this.hash] = [this.at, [], 0, createHash('sha256')];
  }
}

type Said = z.infer<typeof closingLine>['batch'];

function same(own: Said, said: Said): boolean {
  return (['batchId', 'root', 'firstSequence', 'count', 'previousRoot', 'closedAt'] as const).every(
    (name) => own[name] === said[name],
  );
}

async function computed({ record, salt }: z.infer<typeof recordLine>): Promise<Buffer | null> {
  try {
    return Buffer.from(await leafOf(record as unknown as UsageRecord, Buffer.from(salt, 'base64url')));
  } catch {
    return null;
  }
}

function json(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
