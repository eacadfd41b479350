import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { FileLedgerSink } from '../adapters/sinks/file';
import { SinkMisconfigured, SinkUnavailable } from '../ports/ledger-sink';
import { describeLedgerSink } from './ledger-sink.contract';
import { ledgerOf, type ClosedBatch } from './support/ledger';
import { readLedgerFile } from './support/ledger-file';
import { SinkDriver } from './support/sink-driver';

jest.setTimeout(30_000);

let root: string;
let folder: string;
let path: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'ledger-file-'));
  folder = join(root, 'ledger');
  mkdirSync(folder);
  path = join(folder, 'usage.jsonl');
});
afterEach(() => rmSync(root, { recursive: true }));

const newSink = (...given: ConstructorParameters<typeof FileLedgerSink> | []) =>
  new FileLedgerSink(given[0] ?? path, given[1]);

describeLedgerSink('file', () =>
  Promise.resolve({
    newSink: () => newSink(),
    held: async () => (await readLedgerFile(path)).flatMap(({ root: each, hashes }) => [each, ...hashes]),
    thingsOf: ({ batch, records }) => [batch.root, ...records.map(({ usageHash }) => usageHash)],
    goAway: async () => renameSync(folder, join(root, 'away')),
    comeBack: async () => renameSync(join(root, 'away'), folder),
  }),
);

async function written(...counts: number[]): Promise<{ ledger: ClosedBatch[]; driver: SinkDriver }> {
  const ledger = await ledgerOf(...counts);
  const driver = new SinkDriver(ledger);
  await driver.untilDone(() => newSink());
  return { ledger, driver };
}
const rootsOf = (ledger: readonly ClosedBatch[]) => ledger.map(({ batch }) => batch.root);
const rootsInFile = async () => (await readLedgerFile(path)).map(({ root: each }) => each);
const messageOf = async (promise: Promise<unknown>, kind: new () => Error): Promise<string> => {
  const error: unknown = await promise.catch((each: unknown) => each);
  expect(error).toBeInstanceOf(kind);
  return (error as Error).message;
};

describe('the file', () => {
  it('when batches are delivered, then it is in their order, for its owner alone, and the receipts say where each is', async () => {
    const { ledger, driver } = await written(3, 1, 2);
    expect(await rootsInFile()).toEqual(rootsOf(ledger));
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const bytes = readFileSync(path);
    for (const { batch, records } of ledger) {
      const [receipt] = driver.receipts(newSink(), batch.batchId) as [{ file: string; from: number; to: number }];
      expect(receipt.file).toBe(path);
      const lines = bytes
        .toString('utf8', receipt.from, receipt.to)
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
      expect(lines.map((line) => line.usageHash ?? line.batch)).toEqual([
        ...records.map(({ usageHash }) => usageHash),
        batch,
      ]);
    }
  });

  it('when a batch of a thousand long records comes, then the end is found again behind it', async () => {
    const { ledger } = await written(1_000, 2);
    expect(statSync(path).size).toBeGreaterThan(600_000);
    expect(await rootsInFile()).toEqual(rootsOf(ledger));
  });

  it('when a process died at any byte of a batch, then the next one completes it', async () => {
    const { ledger } = await written(2, 1, 3);
    const whole = readFileSync(path);
    const sizes = Array.from({ length: Math.ceil(whole.length / 41) }, (_, index) => index * 41);
    for (const size of [...sizes, 1, whole.length - 1]) {
      writeFileSync(path, whole.subarray(0, size));
      await newSink().check();
      await new SinkDriver(ledger).untilDone(() => newSink());
      expect(readFileSync(path).equals(whole)).toBe(true);
    }
  });

  it('when the power failed and left zeros where the last batch was to be, then it is written anew', async () => {
    const { ledger, driver } = await written(2, 3);
    const whole = readFileSync(path);
    const { from, to } = driver.progressOf(2) as { from: number; to: number };
    for (const end of [to, to - 100]) {
      writeFileSync(path, Buffer.concat([whole.subarray(0, from), Buffer.alloc(end - from)]));
      await new SinkDriver(ledger).untilDone(() => newSink());
      expect(readFileSync(path).equals(whole)).toBe(true);
    }
    // the closing line came to the disk, a page of the records did not
    writeFileSync(path, Buffer.concat([whole.subarray(0, from + 10), Buffer.alloc(50), whole.subarray(from + 60)]));
    await new SinkDriver(ledger).untilDone(() => newSink());
    expect(readFileSync(path).equals(whole)).toBe(true);
  });

  it('when a record that was delivered is changed in it, then it no longer has that batch', async () => {
    const { ledger, driver } = await written(2, 3, 1);
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replace(ledger[1]!.records[1]!.record.userId, '00000000-0000-4000-8000-000000000000'));
    const confirmed = ledger.map(({ batch }) => newSink().confirm(batch, driver.progressOf(batch.batchId) as never));
    // the sample's user is the same in all: the first one is changed
    expect(await Promise.all(confirmed)).toEqual([false, true, true]);
  });

  it('when it is gone, then it is said that it no longer has a batch; when its folder is, that nothing can be said', async () => {
    const { ledger, driver } = await written(1);
    const confirm = () => newSink().confirm(ledger[0]!.batch, driver.progressOf(1) as never);
    expect(await confirm()).toBe(true);
    rmSync(path);
    expect(await confirm()).toBe(false);
    rmSync(folder, { recursive: true });
    await expect(confirm()).rejects.toThrow(SinkUnavailable);
  });
});

describe('a file that the ledger cannot go on in', () => {
  async function errorOf(ledger: readonly ClosedBatch[], delivered: number): Promise<string | undefined> {
    const before = existsSync(path) ? readFileSync(path) : null;
    const driver = new SinkDriver(ledger.slice(delivered));
    const { advances, trouble } = await driver.step(newSink());
    expect(advances).toEqual([]);
    expect(existsSync(path) ? readFileSync(path) : null).toEqual(before);
    return trouble?.error;
  }

  it("when it is another ledger's, then that is said, and nothing is written", async () => {
    await written(2, 1);
    const other = await ledgerOf(1, 1, 1);
    expect(await errorOf(other, 0)).toContain('it has another batch 1, so it is another ledger');
    expect(await errorOf(other, 2)).toContain('it has another batch 2, so it is another ledger');
  });

  it('when it is gone, or lacks batches, then it is not made anew in silence', async () => {
    const { ledger, driver } = await written(1, 1, 1);
    truncateSync(path, (driver.progressOf(1) as { to: number }).to);
    expect(await errorOf(ledger, 2)).toContain('it ends with batch 1, and batch 3 is due');
    rmSync(path);
    expect(await errorOf(ledger, 2)).toContain('it is gone');
  });

  it('when somebody wrote more behind it than a batch, then that is left alone', async () => {
    const { ledger, driver } = await written(1, 1);
    truncateSync(path, (driver.progressOf(1) as { to: number }).to);
    appendFileSync(path, 'notes\n'.repeat(2_000));
    expect(await errorOf(ledger, 1)).toContain('it has more than a batch that was begun');
  });

  it('when it is damaged in front of an open batch, then that is said', async () => {
    const { ledger } = await written(1, 1, 1);
    const lines = readFileSync(path, 'utf8').split('\n');
    lines[1] = lines[1]!.replace('"from":0', '"from":9');
    writeFileSync(path, lines.join('\n'));
    expect(await errorOf(ledger, 0)).toContain('it is damaged in front of batch 2');
  });
});

describe('what the file sink is configured with', () => {
  it('when it is a folder, below a file, or holds something else, then it is refused with the cure', async () => {
    const notes = join(folder, 'notes.txt');
    writeFileSync(notes, 'buy milk\n');
    for (const [place, fault] of [
      [folder, 'is no file'],
      [join(notes, 'usage.jsonl'), 'is no folder'],
      [notes, 'holds something else than a ledger'],
    ] as const) {
      const message = await messageOf(newSink(place).check(), SinkMisconfigured);
      expect(message).toContain(fault);
      expect(message).toContain('set LEDGER_FILE to a file');
    }
    expect(readFileSync(notes, 'utf8')).toBe('buy milk\n');
  });

  it.each(['EACCES', 'EROFS'])('when it may not be written (%s), then it is refused with the cure', async (code) => {
    await written(1);
    const denied = () => Promise.reject(Object.assign(new Error(code), { code }));
    const message = await messageOf(newSink(path, denied).check(), SinkMisconfigured);
    expect(message).toContain(`cannot be written (${code}): set LEDGER_FILE to a file`);
  });

  it('when its folder is not there yet, then that may change', async () => {
    rmSync(folder, { recursive: true });
    expect(await messageOf(newSink().check(), SinkUnavailable)).toContain(`the folder ${folder} is not there`);
  });

  it('when it is absent, empty, a ledger, or relative to where the service runs, then it is fine', async () => {
    await newSink().check();
    writeFileSync(path, '');
    await newSink().check();
    await written(1);
    await newSink().check();
    expect(newSink(relative(process.cwd(), path)).place).toBe(path);
    symlinkSync(path, join(root, 'link'));
    await newSink(join(root, 'link')).check();
  });
});

describe('a disk that is full', () => {
  /** Room for so many bytes in all: then a write is short, and the next one fails. */
  const withRoom =
    (room: number): typeof open =>
    async (...given) => {
      const file = await open(...given);
      const write = file.write.bind(file) as unknown as (...all: unknown[]) => Promise<{ bytesWritten: number }>;
      const limited = (bytes: Buffer, offset: number, length: number, position: number) => {
        const left = Math.min(length, room - position);
        if (left > 0) return write(bytes, offset, left, position);
        return Promise.reject(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }));
      };
      return Object.assign(file, { write: limited });
    };

  it('when a batch no longer fits, then those before it are delivered, it is trouble, and goes on when there is room', async () => {
    const whole = await written(2, 2, 2);
    const { from } = whole.driver.progressOf(3) as { from: number };
    const expected = readFileSync(path);
    for (const room of [from, from + 1, from + 500]) {
      rmSync(path);
      const driver = new SinkDriver(whole.ledger);
      const { advances, refusals, trouble } = await driver.stepAndPersist(newSink(path, withRoom(room)));
      expect(advances).toMatchObject([
        { batchId: 1, stage: 'delivered' },
        { batchId: 2, stage: 'delivered' },
      ]);
      expect(refusals).toEqual([]);
      expect(trouble?.error).toBe(`${path} cannot be written (ENOSPC): make room on its disk`);
      await driver.untilDone(() => newSink());
      expect(readFileSync(path).equals(expected)).toBe(true);
    }
  });

  it('when the disk fails to keep what was written, then nothing is called delivered', async () => {
    const failing: typeof open = async (...given) =>
      Object.assign(await open(...given), {
        sync: () => Promise.reject(Object.assign(new Error('i/o error'), { code: 'EIO' })),
      });
    const { advances, trouble } = await new SinkDriver(await ledgerOf(1)).step(newSink(path, failing));
    expect(advances).toEqual([]);
    expect(trouble?.error).toBe(`${path} cannot be written (EIO)`);
  });
});
