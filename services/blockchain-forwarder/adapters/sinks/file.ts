import { constants } from 'node:fs';
import { access, open, stat, type FileHandle } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import type { Batch } from '../../domain/batch';
import type { Advance, LedgerSink, OpenBatch, Receipt, StepParts, StepResult } from '../../ports/ledger-sink';
import { SinkMisconfigured, SinkUnavailable } from '../../ports/ledger-sink';
import { blockAt, blockBefore, blockBytes, lastBlock, lastClosingLine, NO_LINE, type Block } from './ledger-file';

export const fileVariables = {
  LEDGER_FILE: z.string().regex(/[^/]$/).optional().meta({
    description: 'file that the sink `file` appends the ledger to: switches it on',
    allowed: 'the path of a file that this service may write',
  }),
};

/** @returns null when it is not switched on */
export function fileSink({ LEDGER_FILE: path }: z.output<z.ZodObject<typeof fileVariables>>): FileLedgerSink | null {
  return path === undefined ? null : new FileLedgerSink(path);
}

/** Where the batch is: bytes `from` to `to`, and the SHA-256 of its closing line. */
export interface FileProgress {
  from: number;
  to: number;
  sha256: string;
}

const IDLE_MS = 1_000;

/** The file is not one that this ledger can go on in; the message says the cure. */
class OtherFile extends Error {}

/**
 * An append-only file of JSON lines (adapters/sinks/ledger-file.ts), for those without a chain. A batch is delivered when
 * it is on the disk.
 */
export class FileLedgerSink implements LedgerSink<FileProgress> {
  readonly name = 'file';
  readonly window = 4;
  readonly place: string;

  /** @param openFile as `open` of node:fs/promises */
  constructor(
    path: string,
    private readonly openFile = open,
  ) {
    this.place = resolve(path);
  }

  async check(): Promise<void> {
    const folder = dirname(this.place);
    const cure = `set LEDGER_FILE to a file that this service may write`;
    try {
      const found = await stat(this.place).catch(unlessAbsent);
      if (found && !found.isFile()) throw new SinkMisconfigured(`${this.place} is no file: ${cure}`);
      if (!found) await access(folder, constants.W_OK);
      else await this.checkContent();
    } catch (error) {
      const code = codeOf(error);
      if (code === 'ENOENT') throw new SinkUnavailable(`the folder ${folder} is not there: make it, or ${cure}`);
      if (code === 'ENOTDIR') throw new SinkMisconfigured(`${folder} is no folder: ${cure}`);
      if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
        throw new SinkMisconfigured(`${this.place} cannot be written (${code}): ${cure}`);
      if (code !== undefined) throw new SinkUnavailable(`${this.place} cannot be opened (${code})`);
      throw error;
    }
  }

  async step(batches: readonly OpenBatch<FileProgress>[], parts: StepParts): Promise<StepResult<FileProgress>> {
    const result: StepResult<FileProgress> = { advances: [], refusals: [], nextMs: IDLE_MS };
    const [first] = batches;
    if (!first) return result;
    try {
      const file = await this.openForWriting(first.batch.batchId === 1);
      try {
        await this.append(file, batches, parts, result);
      } finally {
        await file.close();
      }
    } catch (error) {
      result.trouble = { error: this.troubleOf(error) };
    }
    if (!result.trouble) result.nextMs = 0;
    return result;
  }

  receiptOf({ from, to, sha256 }: FileProgress): Receipt {
    return { file: this.place, from, to, sha256 };
  }

  async confirm(batch: Batch, { from, to, sha256 }: FileProgress): Promise<boolean> {
    try {
      await stat(dirname(this.place));
      const file = await this.openFile(this.place, 'r').catch(unlessAbsent);
      if (!file) return false;
      try {
        const at = await lastClosingLine(file, to);
        const block = at?.end === to ? await blockAt(file, at.start, to) : null;
        return block?.from === from && block.hash === sha256 && isSame(block.batch, batch);
      } finally {
        await file.close();
      }
    } catch (error) {
      throw new SinkUnavailable(`${this.place} cannot be read (${codeOf(error) ?? String(error)})`);
    }
  }

  /** Nothing is ever refused. */
  reopened(progress: FileProgress): FileProgress {
    return progress;
  }

  /** What came to the disk before a fault counts. */
  private async append(
    file: FileHandle,
    batches: readonly OpenBatch<FileProgress>[],
    parts: StepParts,
    result: StepResult<FileProgress>,
  ): Promise<void> {
    const advances: Advance<FileProgress>[] = [];
    let last = await lastBlock(file);
    try {
      for (const { batch } of batches) {
        const there = await this.find(file, batch, last);
        const { from, to, hash } = there ?? (last = await this.write(file, batch, last, parts));
        advances.push({ batchId: batch.batchId, stage: 'delivered', progress: { from, to, sha256: hash } });
      }
    } finally {
      // also what another process wrote: nobody says that it did this for it
      await file.sync();
      result.advances = advances;
    }
  }

  /** @returns null when the batch is the next one to be written */
  private async find(file: FileHandle, batch: Batch, last: Block | null): Promise<Block | null> {
    const { batchId } = batch;
    const lastId = last?.batch.batchId ?? 0;
    if (batchId > lastId + 1)
      throw new OtherFile(
        `it ends with batch ${lastId}, and batch ${batchId} is due: put back the file that has those between, or set ` +
          'LEDGER_FILE to a new one, which then gets the whole ledger',
      );
    if (batchId === lastId + 1) {
      if (last && last.batch.root !== batch.previousRoot) throw foreign(lastId);
      return null;
    }
    let block = last;
    while (block && block.batch.batchId > batchId) block = await blockBefore(file, block);
    if (!block) throw new OtherFile(`it is damaged in front of batch ${batchId + 1}: put back a copy that is whole`);
    if (!isSame(block.batch, batch)) throw foreign(batchId);
    return block;
  }

  private async write(file: FileHandle, batch: Batch, last: Block | null, parts: StepParts): Promise<Block> {
    const records = await parts.records(batch.batchId);
    const { bytes, block } = await blockBytes(batch, records, last ?? { to: 0, hash: NO_LINE });
    if ((await file.stat()).size > block.to) return this.written(file, batch, block);
    let done = 0;
    while (done < bytes.length) {
      const { bytesWritten } = await file.write(bytes, done, bytes.length - done, block.from + done);
      done += bytesWritten;
    }
    return block;
  }

  /** There is more than what is to be written: another process was faster, or it is none of ours. */
  private async written(file: FileHandle, batch: Batch, { from }: Block): Promise<Block> {
    const last = await lastBlock(file);
    const isThere = last !== null && last.batch.batchId >= batch.batchId;
    const found = isThere ? await this.find(file, batch, last) : null;
    if (found) return found;
    throw new OtherFile(
      `behind byte ${from} it has more than a batch that was begun: it is damaged, or not of this ledger. Put back a ` +
        'copy that is whole, or set LEDGER_FILE to a new one, which then gets the whole ledger',
    );
  }

  /** @param isNew whether the ledger may begin here: a file that was lost is not made anew in silence */
  private async openForWriting(isNew: boolean): Promise<FileHandle> {
    if (!isNew) {
      const file = await this.openFile(this.place, constants.O_RDWR).catch(unlessAbsent);
      if (file) return file;
      await stat(dirname(this.place));
      throw new OtherFile('it is gone: put it back, or set LEDGER_FILE to a new one, which then gets the whole ledger');
    }
    const file = await this.openFile(this.place, constants.O_RDWR | constants.O_CREAT, 0o600);
    const folder = await open(dirname(this.place), 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
    return file;
  }

  private async checkContent(): Promise<void> {
    const file = await this.openFile(this.place, 'r+');
    try {
      if ((await file.stat()).size === 0 || (await lastBlock(file))) return;
      const start = Buffer.alloc(BEGINS.length);
      const { bytesRead } = await file.read(start, 0, start.length, 0);
      // a process died over the first batch
      if (BEGINS.startsWith(start.toString('latin1', 0, bytesRead))) return;
      throw new SinkMisconfigured(
        `${this.place} holds something else than a ledger: set LEDGER_FILE to a file of its own`,
      );
    } finally {
      await file.close();
    }
  }

  private troubleOf(error: unknown): string {
    const code = codeOf(error);
    if (error instanceof OtherFile) return `${this.place} does not fit: ${error.message}`;
    if (code === 'ENOSPC' || code === 'EDQUOT')
      return `${this.place} cannot be written (${code}): make room on its disk`;
    if (code === undefined) return `the step broke off: ${(error as Error).message}`;
    return `${this.place} cannot be written (${code})`;
  }
}

const BEGINS = '{"leaf":"';

function foreign(batchId: number): OtherFile {
  return new OtherFile(
    `it has another batch ${batchId}, so it is another ledger's: set LEDGER_FILE to a file of its own`,
  );
}

function isSame(one: Batch, other: Batch): boolean {
  return (
    one.batchId === other.batchId &&
    one.root === other.root &&
    one.firstSequence === other.firstSequence &&
    one.count === other.count &&
    one.previousRoot === other.previousRoot
  );
}

function codeOf(error: unknown): string | undefined {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : undefined;
}

function unlessAbsent(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error;
}
