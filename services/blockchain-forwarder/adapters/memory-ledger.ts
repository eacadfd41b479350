import type { Batch, Chunk, Entry } from '../domain/batch';
import { arrived, stateOfLetter, type DeadLetter } from '../domain/dead-letter';
import { FINAL_STAGES, type Delivery, type SinkState } from '../domain/delivery';
import { EMPTY_LEDGER, type FullSubtree, type LedgerHead } from '../domain/ledger-tree';
import type { StoredUsage } from '../domain/usage-record';
import type { DeadLetterFilter, DeadLetterStore } from '../ports/dead-letter-store';
import type { ClosedBatch, LedgerStore, Versioned } from '../ports/ledger-store';
import type { SinkWrite, OpenDelivery, SinkStore } from '../ports/sink-store';
import type { Page, UsageFilter, UsageInLedger, UsageStore } from '../ports/usage-store';

/** All stores in memory, for tests; values are copied in and out, as through a real one. */
export class MemoryLedger implements UsageStore, LedgerStore, SinkStore, DeadLetterStore {
  private readonly usages = new Map<string, StoredUsage>();
  private readonly letters = new Map<string, { value: DeadLetter; version: string }>();
  private readonly corrected = new Map<string, string>();
  private readonly chunks = new Map<string, Chunk>();
  private readonly closed = new Map<number, ClosedBatch>();
  private readonly sinks = new Map<string, { value: SinkState; version: string }>();
  private readonly deliveries = new Map<string, { delivery: Delivery; progress: unknown }>();
  private ledger: Versioned<LedgerHead> = { value: EMPTY_LEDGER, version: null };
  private versions = 0;

  find(ids: readonly string[]): Promise<Map<string, StoredUsage>> {
    const found = ids.flatMap((id) => this.usages.get(id) ?? []);
    return answer(new Map(found.map((usage) => [usage.record.id, usage])));
  }

  insert(chunk: Chunk, usages: readonly StoredUsage[]): Promise<boolean> {
    const corrections = usages.flatMap(({ record }) => (record.version === 2 ? [record] : []));
    const isKnown = usages.some(({ record }) => this.usages.has(record.id));
    if (isKnown || this.chunks.has(chunk.id) || corrections.some(({ corrects }) => this.corrected.has(corrects))) {
      return answer(false);
    }
    for (const usage of usages) this.usages.set(usage.record.id, structuredClone(usage));
    for (const { id, corrects } of corrections) this.corrected.set(corrects, id);
    this.chunks.set(chunk.id, structuredClone(chunk));
    return answer(true);
  }

  get(id: string): Promise<UsageInLedger | null> {
    const usage = this.usages.get(id);
    return answer(usage ? this.inLedger(usage) : null);
  }

  list(filter: UsageFilter, page: Page): Promise<UsageInLedger[]> {
    const rows = [...this.usages.values()].filter((usage) => fits(usage, filter));
    const at = (usage: StoredUsage) => ({ at: usage.record.endedAt, id: usage.record.id });
    return answer(paged(rows, at, page).map((usage) => this.inLedger(usage)));
  }

  keepDeadLetters(letters: readonly DeadLetter[]): Promise<void> {
    for (const letter of letters) this.putLetter(arrived(letter, this.letters.get(letter.id)?.value));
    return answer(undefined);
  }

  deadLetter(id: string): Promise<Versioned<DeadLetter> | null> {
    return answer(this.letters.get(id) ?? null);
  }

  listDeadLetters(filter: DeadLetterFilter, page: Page): Promise<DeadLetter[]> {
    const rows = [...this.letters.values()].map(({ value }) => value).filter((letter) => isLike(letter, filter));
    return answer(paged(rows, (letter) => ({ at: letter.receivedAt, id: letter.id }), page));
  }

  async countDeadLetters(filter: DeadLetterFilter, after?: Page['after']): Promise<number> {
    return (await this.listDeadLetters(filter, { limit: Infinity, after })).length;
  }

  changeDeadLetter(letter: DeadLetter, version: string | null): Promise<boolean> {
    if ((this.letters.get(letter.id)?.version ?? null) !== version) return answer(false);
    this.putLetter(letter);
    return answer(true);
  }

  head(): Promise<Versioned<LedgerHead>> {
    return answer(this.ledger);
  }

  unbatched({ count, bytes }: { count: number; bytes: number }): Promise<{ chunks: Chunk[]; more: boolean }> {
    const waiting = [...this.chunks.values()];
    const chunks: Chunk[] = [];
    let sum = { count: 0, bytes: 0 };
    for (const chunk of waiting) {
      sum = { count: sum.count + chunk.entries.length, bytes: sum.bytes + chunk.bytes };
      if (chunks.length > 0 && (sum.count > count || sum.bytes > bytes)) break;
      chunks.push(chunk);
    }
    return answer({ chunks, more: chunks.length < waiting.length });
  }

  close(closed: ClosedBatch, version: string | null): Promise<boolean> {
    if (this.ledger.version !== version) return answer(false);
    this.ledger = { value: structuredClone(closed.head), version: this.nextVersion() };
    this.closed.set(closed.batch.batchId, structuredClone(closed));
    for (const { id } of closed.chunks) this.chunks.delete(id);
    return answer(true);
  }

  batches(batchIds: readonly number[]): Promise<Batch[]> {
    return answer(batchIds.flatMap((batchId) => this.closed.get(batchId)?.batch ?? []));
  }

  entries(batchId: number): Promise<readonly Entry[]> {
    return answer((this.closed.get(batchId)?.chunks ?? []).flatMap(({ entries }) => entries));
  }

  async records(batchId: number): Promise<StoredUsage[]> {
    return answer((await this.entries(batchId)).flatMap(([id]) => this.usages.get(id) ?? []));
  }

  nodes(subtrees: readonly FullSubtree[]): Promise<string[]> {
    return answer(subtrees.map(({ batchId, height }) => this.closed.get(batchId)?.nodes[height] ?? 'no such node'));
  }

  state(sink: string): Promise<Versioned<SinkState | null>> {
    return answer(this.sinks.get(sink) ?? { value: null, version: null });
  }

  open(sink: string, place: string, limit: number): Promise<OpenDelivery[]> {
    const rows = [...this.deliveries.values()]
      .filter(({ delivery }) => delivery.sink === sink && delivery.place === place)
      .filter(({ delivery }) => !FINAL_STAGES.includes(delivery.stage))
      .sort((a, b) => a.delivery.batchId - b.delivery.batchId)
      .slice(0, limit);
    return answer(
      rows.flatMap((row) => {
        const batch = this.closed.get(row.delivery.batchId)?.batch;
        return batch ? [{ ...row, batch }] : [];
      }),
    );
  }

  delivery(sink: string, batchId: number): Promise<{ delivery: Delivery; progress: unknown } | null> {
    return answer(this.deliveries.get(keyOf({ sink, batchId })) ?? null);
  }

  write(state: SinkState, version: string | null, more: SinkWrite = {}): Promise<boolean> {
    const { deliveries = [], letters = [], handled = [] } = more;
    if ((this.sinks.get(state.sink)?.version ?? null) !== version) return answer(false);
    const isChanged = (each: Versioned<DeadLetter>) => this.letters.get(each.value.id)?.version !== each.version;
    if (handled.some(isChanged)) return answer(false);
    this.sinks.set(state.sink, { value: structuredClone(state), version: this.nextVersion() });
    for (const { delivery, progress } of deliveries) {
      this.deliveries.set(keyOf(delivery), structuredClone({ delivery, progress }));
    }
    for (const letter of letters) this.putLetter(arrived(letter, this.letters.get(letter.id)?.value));
    for (const { value } of handled) this.putLetter(value);
    return answer(true);
  }

  backlog(): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const { delivery } of this.deliveries.values()) {
      if (!FINAL_STAGES.includes(delivery.stage)) counts[delivery.sink] = (counts[delivery.sink] ?? 0) + 1;
    }
    return answer(counts);
  }

  private inLedger(usage: StoredUsage): UsageInLedger {
    const batch = [...this.closed.values()].find(({ chunks }) => chunks.some(({ id }) => id === usage.chunk))?.batch;
    const rows = [...this.deliveries.values()].filter(({ delivery }) => delivery.batchId === batch?.batchId);
    const correctedBy = this.corrected.get(usage.record.id) ?? null;
    return { usage, batch: batch ?? null, deliveries: rows.map(({ delivery }) => delivery), correctedBy };
  }

  private putLetter(letter: DeadLetter): void {
    this.letters.set(letter.id, { value: structuredClone(letter), version: this.nextVersion() });
  }

  private nextVersion(): string {
    this.versions += 1;
    return String(this.versions);
  }
}

function answer<T>(value: T): Promise<T> {
  return Promise.resolve(structuredClone(value));
}

function keyOf({ sink, batchId }: { sink: string; batchId: number }): string {
  return `${sink}:${batchId}`;
}

function fits({ record }: StoredUsage, filter: UsageFilter): boolean {
  return (
    (filter.userId === undefined || record.userId === filter.userId) &&
    (filter.serviceType === undefined || record.serviceType === filter.serviceType) &&
    (filter.kind === undefined || record.kind === filter.kind) &&
    (filter.from === undefined || record.endedAt >= filter.from) &&
    (filter.to === undefined || record.endedAt < filter.to)
  );
}

function isLike(letter: DeadLetter, { state, reason, eventId, sink }: DeadLetterFilter): boolean {
  return (
    (state === undefined || stateOfLetter(letter) === state) &&
    (reason === undefined || letter.reason === reason) &&
    (eventId === undefined || letter.eventId === eventId) &&
    (sink === undefined || letter.refusedBy?.sink === sink)
  );
}

function paged<T>(rows: T[], keyset: (row: T) => { at: string; id: string }, { limit, after }: Page): T[] {
  const order = (row: T) => `${keyset(row).at} ${keyset(row).id}`;
  return rows
    .filter((row) => after === undefined || order(row) < `${after.at} ${after.id}`)
    .sort((a, b) => (order(a) < order(b) ? 1 : -1))
    .slice(0, limit);
}
