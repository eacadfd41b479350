import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { z } from 'zod';
import type { Batch } from '../../domain/batch';
import { canonicalText } from '../../domain/canonical-json';
import type { StoredUsage } from '../../domain/usage-record';

/**
 * The file of the sink `file`: JSON lines, batch after batch. A batch is one line a record, in its order,
 *
 *     {"leaf":…,"record":{…},"salt":…,"usageHash":…}
 *
 * and a line that closes it:
 *
 *     {"batch":{…},"from":…,"previous":…,"records":…,"version":1}
 *
 * `from` is the byte where its first record begins, `records` the SHA-256 of the record lines, `previous` that of the
 * closing line before (zeros for the first), each without its last line feed. So nothing in front can be changed without a
 * difference in every closing line behind.
 *
 * Every line is canonical JSON: the bytes of a batch, and their place, follow from the ledger alone. Two processes that
 * write the same batch write the same bytes to the same place, at once or one after the other, and what one began the
 * other completes. That is why there is no lock that could be left behind, and nothing is ever cut off.
 */
const VERSION = 1;

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
export const NO_LINE = '0'.repeat(64);

const closingLine = z.strictObject({
  batch: z.strictObject({
    batchId: z.int().min(1),
    root: z.string(),
    firstSequence: z.int().min(1),
    count: z.int().min(0),
    previousRoot: z.string(),
    closedAt: z.string(),
  }),
  from: z.int().min(0),
  previous: sha256,
  records: sha256,
  version: z.literal(VERSION),
});

/** A batch that is whole in the file. */
export interface Block {
  batch: Batch;
  from: number;
  /** The byte behind its closing line. */
  to: number;
  /** SHA-256 of its closing line. */
  hash: string;
}

const OPENS = Buffer.from('{"batch":');
const LF = 0x0a;
/** Above every closing line. */
const MAX_CLOSING_BYTES = 2_048;
const CHUNK = 262_144;

/** The bytes of a batch behind another one. */
export async function blockBytes(
  batch: Batch,
  records: readonly StoredUsage[],
  { to: from, hash: previous }: Pick<Block, 'to' | 'hash'>,
): Promise<{ bytes: Buffer; block: Block }> {
  const lines: string[] = [];
  for (const { record, usageHash, salt, leaf } of records) {
    lines.push(await canonicalText({ record, usageHash, salt, leaf }));
  }
  const body = lines.map((line) => `${line}\n`).join('');
  const { batchId, root, firstSequence, count, previousRoot, closedAt } = batch;
  const closing = await canonicalText({
    batch: { batchId, root, firstSequence, count, previousRoot, closedAt },
    from,
    previous,
    records: hashOf(withoutLastFeed(Buffer.from(body))),
    version: VERSION,
  });
  const bytes = Buffer.from(`${body}${closing}\n`);
  return { bytes, block: { batch, from, to: from + bytes.length, hash: hashOf(Buffer.from(closing)) } };
}

/** The last batch that is whole; null when there is none. What is behind it is what somebody began to write. */
export async function lastBlock(file: FileHandle): Promise<Block | null> {
  let { size: end } = await file.stat();
  for (;;) {
    const at = await lastClosingLine(file, end);
    if (at === null) return null;
    const block = await blockAt(file, at.start, at.end);
    if (block) return block;
    end = at.start;
  }
}

/** The batch in front of one; null for the first. */
export async function blockBefore(file: FileHandle, { from }: Block): Promise<Block | null> {
  const at = await lastClosingLine(file, from);
  return at?.end === from ? blockAt(file, at.start, at.end) : null;
}

/** @returns the batch whose closing line has this place, null when that is none, or its records are not as they were */
export async function blockAt(file: FileHandle, start: number, end: number): Promise<Block | null> {
  const line = await read(file, start, end - 1);
  const closing = parsed(line);
  if (closing === null || closing.from > start) return null;
  const records = await read(file, closing.from, start);
  if (closing.records !== hashOf(withoutLastFeed(records))) return null;
  return { batch: closing.batch, from: closing.from, to: end, hash: hashOf(line) };
}

/** Where the last line that closes a batch is, of those that end at or before a byte. */
export async function lastClosingLine(
  file: FileHandle,
  before: number,
): Promise<{ start: number; end: number } | null> {
  // chunks overlap by more than a line that is looked for
  for (let end = before; end > 0; end -= CHUNK - MAX_CLOSING_BYTES) {
    const base = Math.max(0, end - CHUNK);
    const chunk = await read(file, base, end);
    for (let feed = chunk.lastIndexOf(LF); feed > 0; feed = chunk.lastIndexOf(LF, feed - 1)) {
      const start = chunk.lastIndexOf(LF, feed - 1) + 1;
      const isWhole = start > 0 || base === 0;
      if (isWhole && chunk.subarray(start, start + OPENS.length).equals(OPENS)) {
        return { start: base + start, end: base + feed + 1 };
      }
    }
    if (base === 0) return null;
  }
  return null;
}

/** Fewer bytes where the file ends. */
async function read(file: FileHandle, from: number, to: number): Promise<Buffer> {
  const bytes = Buffer.alloc(Math.max(0, to - from));
  let done = 0;
  while (done < bytes.length) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, from + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return bytes.subarray(0, done);
}

function parsed(line: Buffer): z.infer<typeof closingLine> | null {
  if (line.length > MAX_CLOSING_BYTES) return null;
  try {
    return closingLine.safeParse(JSON.parse(line.toString('utf8'))).data ?? null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function withoutLastFeed(lines: Buffer): Buffer {
  return lines.at(-1) === LF ? lines.subarray(0, -1) : lines;
}

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
