import { ZERO_ROOT, type Batch } from '../../services/blockchain-forwarder/domain/batch';
import { appended, EMPTY_LEDGER, type LedgerHead } from '../../services/blockchain-forwarder/domain/ledger-tree';
import { merkleTree, rootOf } from '../../services/blockchain-forwarder/domain/merkle';
import type { Findings } from './findings';
import { IdPlaces } from './id-places';
import { auditRecord, type Placed } from './records';
import { BATCH, HEAD, LEAVES, PAGE, UNBATCHED, USAGE, type Rows } from './rows';
import { batchRow, chunkRow, entries as entriesShape, headRow, read } from './shapes';

export interface LedgerSeen {
  batches: number;
  /** Number of the last one. */
  last: number;
  /** In batches. */
  records: number;
  waiting: number;
  places: IdPlaces;
}

export interface LedgerOptions {
  now: Date;
  maxAgeMs: number;
  progress?: (text: string) => void;
}

type BatchRow = Batch & { chunks: string[]; nodes: string[] };
interface Loaded {
  batchId: number;
  row: BatchRow | null;
  entries: [string, string][] | null;
}

/** Rows of so many batches are read at once. */
const BATCHES = 50;
/** Where a record is that waits for a batch. */
const WAITING = 0;

/** Recomputes the whole ledger from records and salts, batch by batch. */
export async function auditLedger(rows: Rows, findings: Findings, options: LedgerOptions): Promise<LedgerSeen> {
  return new LedgerAudit(rows, findings, options).run();
}

class LedgerAudit {
  /** What the batches so far come to; null after a batch that was not there, whose part in the tree nobody knows. */
  private head: LedgerHead | null = EMPTY_LEDGER;
  private before: { root: string; nextSequence: number } | null = { root: ZERO_ROOT, nextSequence: 1 };
  private readonly places = new IdPlaces();
  private batches = 0;
  private records = 0;
  private waiting = 0;

  constructor(
    private readonly rows: Rows,
    private readonly findings: Findings,
    private readonly options: LedgerOptions,
  ) {}

  async run(): Promise<LedgerSeen> {
    const head = read(headRow, (await this.rows.get([HEAD])).get(HEAD));
    const last = await this.lastBatch();
    for (let first = 1; first <= last; first += BATCHES) {
      await this.piece(first, Math.min(last, first + BATCHES - 1));
      this.options.progress?.(`ledger: batch ${Math.min(last, first + BATCHES - 1)} of ${last}`);
    }
    this.compareHead(head, last);
    await this.auditWaiting();
    await this.auditPlaces();
    const { batches, records, waiting, places } = this;
    return { batches, last, records, waiting, places };
  }

  /** By the rows alone: what the head says is compared with it. */
  private async lastBatch(): Promise<number> {
    let last = 0;
    for (const prefix of [BATCH, LEAVES]) {
      for await (const page of this.rows.each(prefix)) {
        for (const key of page.keys()) {
          const text = key.slice(prefix.length);
          const batchId = /^[1-9]\d{0,8}$/.test(text) ? Number(text) : 0;
          if (batchId === 0) this.findings.fault('batch.changed', `row ${key} is of no batch: it has no such number`);
          last = Math.max(last, batchId);
        }
      }
    }
    return last;
  }

  private async piece(first: number, last: number): Promise<void> {
    const ids = Array.from({ length: last - first + 1 }, (_, index) => first + index);
    const found = await this.rows.get(ids.flatMap((id) => [`${BATCH}${id}`, `${LEAVES}${id}`]));
    let group: Loaded[] = [];
    let size = 0;
    for (const batchId of ids) {
      const entries = read(entriesShape, found.get(`${LEAVES}${batchId}`));
      group.push({ batchId, row: read(batchRow, found.get(`${BATCH}${batchId}`)), entries });
      size += entries?.length ?? 0;
      if (size < PAGE && batchId !== last) continue;
      await this.group(group);
      [group, size] = [[], 0];
    }
  }

  private async group(group: readonly Loaded[]): Promise<void> {
    const keys = group.flatMap(({ entries }) => (entries ?? []).map(([id]) => `${USAGE}${id}`));
    const usages = await this.rows.get(keys);
    for (const loaded of group) await this.batch(loaded, usages);
  }

  private async batch({ batchId, row, entries }: Loaded, usages: ReadonlyMap<string, unknown>): Promise<void> {
    const placed = await this.entriesOf(batchId, entries ?? [], usages);
    if (!row || !entries) {
      const what = row ? 'its list of records is' : 'its row is';
      this.findings.fault('batch.missing', `batch ${batchId}: ${what} not there, or not of its shape`);
      this.head = null;
      this.before = row && { root: row.root, nextSequence: row.firstSequence + row.count };
      return;
    }
    this.batches += 1;
    this.records += entries.length;
    const wrong = this.differences(batchId, row, entries, placed);
    wrong.push(...(await this.treeFault({ ...row, batchId }, wrong.length === 0)));
    if (wrong.length > 0) this.findings.fault('batch.changed', `batch ${batchId}: ${wrong.join('; ')}`);
    this.before = { root: row.root, nextSequence: row.firstSequence + row.count };
  }

  private async entriesOf(
    batchId: number,
    entries: readonly [string, string][],
    usages: ReadonlyMap<string, unknown>,
  ): Promise<Placed[]> {
    const placed: Placed[] = [];
    for (const [index, [id, leaf]] of entries.entries()) {
      const where = `batch ${batchId}, place ${index + 1}`;
      this.place(id, batchId, where);
      placed.push(await auditRecord(id, leaf, usages.get(`${USAGE}${id}`), where, this.findings));
    }
    return placed;
  }

  private place(id: string, batchId: number, where: string): void {
    const known = this.places.put(id, batchId);
    if (known === null) return;
    const first = known === WAITING ? 'among those that wait for a batch' : `in batch ${known}`;
    this.findings.fault('record.placed_twice', `record ${id} is ${first} and again in ${where}`);
  }

  private differences(
    batchId: number,
    row: BatchRow,
    entries: readonly [string, string][],
    placed: Placed[],
  ): string[] {
    const wrong: string[] = [];
    if (row.batchId !== batchId) wrong.push(`says that it is ${row.batchId}`);
    if (row.count !== entries.length) wrong.push(`says ${row.count} records and lists ${entries.length}`);
    // of a record that is not there its leaf is taken: that it is gone was said
    const leaves = placed.map(({ leaf }, index) => leaf ?? Buffer.from(entries[index]?.[1] ?? '', 'base64url'));
    const fit = leaves.every(({ length }) => length === 32);
    if (!fit || row.root !== `0x${rootOf(merkleTree(leaves)).toString('hex')}`) {
      wrong.push(`its records, in their order, do not give its root ${row.root}`);
    }
    if (this.before && row.previousRoot !== this.before.root) {
      wrong.push(`names ${row.previousRoot} as the root before, which is ${this.before.root}`);
    }
    if (this.before && row.firstSequence !== this.before.nextSequence) {
      wrong.push(
        `begins with number ${row.firstSequence}, the batch before ends in front of ${this.before.nextSequence}`,
      );
    }
    const chunks = new Set(row.chunks);
    const strange = placed.filter(({ chunk }) => chunk !== null && !chunks.has(chunk));
    if (strange.length > 0) {
      wrong.push(`${strange.length} of its records came with a chunk that it does not name, as ${strange[0]?.id}`);
    }
    return wrong;
  }

  /**
   * The nodes of the tree over all batches that end here.
   * @param isSound whether the row is right otherwise: if not, its nodes are believed, so that one fault is told once
   */
  private async treeFault(row: BatchRow, isSound: boolean): Promise<string[]> {
    if (!this.head) return [];
    const { head, nodes } = await appended(this.head, row);
    const fits = nodes.length === row.nodes.length && nodes.every((node, index) => node === row.nodes[index]);
    this.head = head;
    if (fits) return [];
    const said = row.nodes[nodes.length - 1];
    if (!isSound && said !== undefined) this.head = { ...head, peaks: [...head.peaks.slice(0, -1), said] };
    return ['its nodes are not those of the tree over the batches up to it'];
  }

  private compareHead(said: LedgerHead | null, last: number): void {
    if (!said) {
      if (last > 0) this.findings.fault('ledger.head', `there are ${last} batches, and the row ${HEAD} is not there`);
      return;
    }
    if (said.batchId !== last) {
      this.findings.fault(
        'ledger.head',
        `the head says that batch ${said.batchId} is the last; the last there is ${last}`,
      );
      return;
    }
    const { before, head } = this;
    if (before && (said.root !== before.root || said.nextSequence !== before.nextSequence)) {
      const is = `${before.root}, ${before.nextSequence}`;
      this.findings.fault(
        'ledger.head',
        `the head says ${said.root}, next ${said.nextSequence}; the last batch: ${is}`,
      );
    }
    if (head && (said.peaks.length !== head.peaks.length || said.peaks.some((peak, n) => peak !== head.peaks[n]))) {
      this.findings.fault('ledger.head', 'the head has other peaks than the tree over the batches');
    }
  }

  private async auditWaiting(): Promise<void> {
    for await (const page of this.rows.each(UNBATCHED)) {
      for (const [key, value] of page) {
        const chunk = read(chunkRow, value);
        if (!chunk) {
          this.findings.fault('batch.changed', `row ${key} has not the fields of a chunk`);
          continue;
        }
        const usages = await this.rows.get(chunk.entries.map(([id]) => `${USAGE}${id}`));
        const where = `chunk ${chunk.id}`;
        for (const [id, leaf] of chunk.entries) {
          this.place(id, WAITING, where);
          const placed = await auditRecord(id, leaf, usages.get(`${USAGE}${id}`), where, this.findings);
          if (placed.chunk !== null && placed.chunk !== chunk.id) {
            this.findings.fault(
              'record.changed',
              `record ${id} (${where}) says that it came with chunk ${placed.chunk}`,
            );
          }
        }
        this.waiting += chunk.entries.length;
        if (this.options.now.getTime() - Date.parse(chunk.receivedAt) > this.options.maxAgeMs) {
          this.findings.fault(
            'record.stuck',
            `${where}: its ${chunk.entries.length} records wait since ${chunk.receivedAt}`,
          );
        }
      }
    }
  }

  private async auditPlaces(): Promise<void> {
    let seen = 0;
    for await (const page of this.rows.each(USAGE)) {
      for (const key of page.keys()) {
        const id = key.slice(USAGE.length);
        if (!this.places.has(id))
          this.findings.fault('record.unplaced', `record ${id} is in no batch and waits for none`);
      }
      seen += page.size;
      this.options.progress?.(`ledger: ${seen} records have their place`);
    }
  }
}
