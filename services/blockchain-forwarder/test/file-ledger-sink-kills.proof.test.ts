import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { FileLedgerSink } from '../adapters/sinks/file';
import { ledgerOf } from './support/ledger';
import { readLedgerFile } from './support/ledger-file';
import { seededRandom } from './support/random';

const PROGRAM = resolve(__dirname, 'support/append-to-ledger-file.cjs');
const BATCHES = 120;

interface Claim {
  batchId: number;
  from: number;
  to: number;
  sha256: string;
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ledger-kills-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Appends until it is killed, so long after its first word. @returns what it said was delivered, and how it ended */
function append(from: number, killAfterMs: number): Promise<{ claims: Claim[]; ended: string; errors: string }> {
  const child = spawn(process.execPath, [PROGRAM, join(folder, 'ledger.json'), join(folder, 'usage.jsonl'), `${from}`]);
  let [output, errors] = ['', ''];
  let timer: NodeJS.Timeout | undefined;
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  child.stdout.on('data', (chunk: Buffer) => {
    if (output === '') timer = setTimeout(() => child.kill('SIGKILL'), killAfterMs);
    output += chunk.toString();
  });
  return new Promise((done) => {
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      // the last line may be torn, too: then it was not said
      const lines = output.split('\n').slice(1, -1);
      done({ claims: lines.map((line) => JSON.parse(line)), ended: signal ?? `exit ${code}`, errors });
    });
  });
}

it('when processes are killed while they append, two at once, then the file is whole, with each batch once', async () => {
  const random = seededRandom(6);
  const ledger = await ledgerOf(...Array.from({ length: BATCHES }, (_, index) => 1 + (index % 9)));
  writeFileSync(join(folder, 'ledger.json'), JSON.stringify(ledger));
  const claims = new Map<number, Claim>();
  let [from, kills] = [1, 0];
  for (let round = 0; from <= BATCHES; round += 1) {
    if (round > 60) throw new Error(`only ${from - 1} batches after ${round} rounds`);
    const twins = Array.from({ length: 2 }, () => append(from, round < 5 ? random() * 60 : 60_000));
    for (const { claims: said, ended, errors } of await Promise.all(twins)) {
      expect(errors).toBe('');
      if (ended === 'SIGKILL') kills += 1;
      for (const claim of said) {
        // what two of them said of a batch is the same
        expect(claims.get(claim.batchId) ?? claim).toEqual(claim);
        claims.set(claim.batchId, claim);
      }
    }
    while (claims.has(from)) from += 1;
  }
  expect(kills).toBeGreaterThanOrEqual(4);
  const path = join(folder, 'usage.jsonl');
  expect((await readLedgerFile(path)).map(({ root }) => root)).toEqual(ledger.map(({ batch }) => batch.root));
  const sink = new FileLedgerSink(path);
  for (const { batch } of ledger) expect(await sink.confirm(batch, claims.get(batch.batchId)!)).toBe(true);
}, 120_000);
