import type { StoredUsage } from '../../domain/usage-record';
import type { Advance, OpenBatch, Receipt, Refusal, StepParts, StepResult } from '../../ports/ledger-sink';
import { postUsage, type Answer, type PostOptions } from './http-post';

/** By ids of records. Who is in none of the three was not tried yet, or only when nobody passed. */
export interface HttpProgress {
  receipts: Record<string, Receipt>;
  /** Failed while others passed: how often, and when it is due again (milliseconds since 1970). */
  tries: Record<string, { count: number; dueAt: number }>;
  /** Refused for good, with what was said. */
  refused: Record<string, string>;
}

export interface HttpSinkOptions extends PostOptions {
  /** Requests under way at once. */
  parallel?: number;
  /** Most records of one step. */
  perStep?: number;
}

export const IDLE_MS = 1_000;
const STEP_MS = 15_000;
/** A step may take 20 s; what is left is for all but the requests. */
const END_MS = 18_000;
const MAX_TRIES = 12;
/** Twelve tries take about a minute: so long a batch, and with it a place in the window, may wait for one record. */
const TRY_CAP_MS = 8_000;

/** A record on its way, with the batch that it is of. */
interface Item {
  batchId: number;
  usage: StoredUsage;
  tries: number;
}

type Failed = Extract<Answer, { kind: 'failed' }>;

/** One step of the sink `http`: its state is that of this step alone. */
export class HttpStep {
  private readonly began = performance.now();
  private readonly batches: Map<number, { count: number; progress: HttpProgress }>;
  private readonly changed = new Set<number>();
  private readonly refusals: Refusal[] = [];
  private readonly failures: { item: Item; answer: Failed }[] = [];
  private accepted = 0;
  /** In a row: after so many as are under way at once, the service is believed to be away. */
  private failedInRow = 0;
  private isLimited = false;
  private readonly perStep: number;

  constructor(
    open: readonly OpenBatch<HttpProgress>[],
    private readonly parts: StepParts,
    private readonly options: HttpSinkOptions,
  ) {
    this.perStep = options.perStep ?? 500;
    const ofBatch = ({ batch, progress }: OpenBatch<HttpProgress>) => {
      const { receipts, tries, refused } = progress ?? { receipts: {}, tries: {}, refused: {} };
      return {
        count: batch.count,
        progress: { receipts: { ...receipts }, tries: { ...tries }, refused: { ...refused } },
      };
    };
    this.batches = new Map(open.map((each) => [each.batch.batchId, ofBatch(each)]));
  }

  async run(): Promise<StepResult<HttpProgress>> {
    for (const batchId of this.batches.keys()) if (this.isDone(batchId)) this.changed.add(batchId);
    const items = await this.items();
    await this.postAll(items);
    const works = this.accepted > 0 || (await this.acceptsAnother(items));
    if (works) for (const failure of this.failures) this.blame(failure);
    const advances = [...this.changed].map((batchId) => this.advanceOf(batchId));
    const result = { advances, refusals: this.refusals };
    const retryAfterMs = this.retryAfterMs();
    if (this.failures.length > 0 && !works) {
      return { ...result, nextMs: retryAfterMs ?? IDLE_MS, trouble: this.trouble(retryAfterMs) };
    }
    if (this.isLimited) return { ...result, nextMs: retryAfterMs ?? IDLE_MS };
    return { ...result, nextMs: this.changed.size > 0 && this.hasMore() ? 0 : this.waitMs() };
  }

  /** Those that are due, in the ledger's order, but who failed comes last: nobody waits for it. */
  private async items(): Promise<Item[]> {
    const items: Item[] = [];
    let fresh = 0;
    for (const [batchId, { progress }] of this.batches) {
      if (fresh >= this.perStep) break;
      if (this.isDone(batchId)) continue;
      for (const usage of await this.parts.records(batchId)) {
        const { id } = usage.record;
        if (Object.hasOwn(progress.receipts, id) || Object.hasOwn(progress.refused, id)) continue;
        const { count: tries, dueAt } = progress.tries[id] ?? { count: 0, dueAt: 0 };
        if (dueAt <= this.parts.now.getTime()) items.push({ batchId, usage, tries });
        if (tries === 0) fresh += 1;
      }
    }
    return items.sort((a, b) => a.tries - b.tries).slice(0, this.perStep);
  }

  private async postAll(items: readonly Item[]): Promise<void> {
    const { timeoutMs, parallel = 8 } = this.options;
    const waiting = items.values();
    const work = async (): Promise<void> => {
      for (const item of waiting) {
        this.note(item, await postUsage(item.usage, this.options));
        const isLate = this.elapsedMs() + timeoutMs > STEP_MS;
        if (isLate || this.isLimited || this.failedInRow >= parallel) return;
      }
    };
    await Promise.all(Array.from({ length: parallel }, work));
  }

  private note(item: Item, answer: Answer): void {
    if (answer.kind === 'failed') {
      this.failures.push({ item, answer });
      this.failedInRow += 1;
      this.isLimited ||= answer.isLimit;
      return;
    }
    this.failedInRow = 0;
    if (answer.kind === 'refused') return this.refuse(item, answer.detail);
    const progress = this.progressOf(item.batchId);
    progress.receipts[item.usage.record.id] = answer.receipt;
    progress.tries = without(progress.tries, item.usage.record.id);
    this.accepted += 1;
    this.changed.add(item.batchId);
  }

  /** For a failure that others did not share. A limit is no fault of the record that met it. */
  private blame({ item, answer }: { item: Item; answer: Failed }): void {
    if (answer.isLimit) return;
    const count = item.tries + 1;
    if (count >= MAX_TRIES) return this.refuse(item, `${answer.error}, ${count} times while others passed`);
    const waitMs = Math.min(TRY_CAP_MS, 500 * 2 ** (count - 1));
    this.progressOf(item.batchId).tries[item.usage.record.id] = { count, dueAt: this.parts.now.getTime() + waitMs };
    this.changed.add(item.batchId);
  }

  private refuse({ batchId, usage }: Item, detail: string): void {
    const progress = this.progressOf(batchId);
    progress.tries = without(progress.tries, usage.record.id);
    progress.refused[usage.record.id] = detail;
    this.refusals.push({ batchId, recordId: usage.record.id, detail });
    this.changed.add(batchId);
  }

  /**
   * Tells a service that fails some records from one that fails all: what it has it accepts again. Where it has none of
   * these batches, the one that is farthest from those that failed is asked about.
   */
  private async acceptsAnother(items: readonly Item[]): Promise<boolean> {
    if (this.failures.length === 0 || this.isLimited) return false;
    const known = await this.knownUsage();
    const timeoutMs = Math.min(this.options.timeoutMs, Math.floor(END_MS - this.elapsedMs()));
    if (timeoutMs <= 0) return false;
    const options = { ...this.options, timeoutMs };
    if (known) return (await postUsage(known, options)).kind === 'accepted';
    const last = items.at(-1);
    if (!last || this.failures.some(({ item }) => item === last)) return false;
    this.note(last, await postUsage(last.usage, options));
    return this.accepted > 0;
  }

  private async knownUsage(): Promise<StoredUsage | undefined> {
    for (const [batchId, { progress }] of this.batches) {
      if (Object.keys(progress.receipts).length === 0) continue;
      const records = await this.parts.records(batchId);
      return records.find(({ record }) => Object.hasOwn(progress.receipts, record.id));
    }
    return undefined;
  }

  private trouble(retryAfterMs: number | undefined): { error: string; retryAfterMs?: number } {
    const error = this.failures[0]?.answer.error ?? '';
    return { error, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  }

  private retryAfterMs(): number | undefined {
    const asked = this.failures.flatMap(({ answer }) => answer.retryAfterMs ?? []);
    return asked.length === 0 ? undefined : Math.max(...asked);
  }

  private advanceOf(batchId: number): Advance<HttpProgress> {
    return { batchId, stage: this.isDone(batchId) ? 'delivered' : 'pending', progress: this.progressOf(batchId) };
  }

  private isDone(batchId: number): boolean {
    return this.countLeft(batchId) <= 0;
  }

  private countLeft(batchId: number): number {
    const { receipts, refused } = this.progressOf(batchId);
    return (this.batches.get(batchId)?.count ?? 0) - Object.keys(receipts).length - Object.keys(refused).length;
  }

  /** A batch that is done makes room for the next; else some may not have had their turn. */
  private hasMore(): boolean {
    return [...this.batches].some(([batchId, { progress }]) => {
      const waiting = Object.keys(progress.tries).length;
      return this.isDone(batchId) || this.countLeft(batchId) > waiting;
    });
  }

  private waitMs(): number {
    const due = [...this.batches.values()].flatMap(({ progress }) => Object.values(progress.tries));
    if (due.length === 0) return IDLE_MS;
    return Math.max(0, Math.min(...due.map(({ dueAt }) => dueAt)) - this.parts.now.getTime());
  }

  private progressOf(batchId: number): HttpProgress {
    const found = this.batches.get(batchId);
    if (!found) throw new Error(`batch ${batchId} is not open`);
    return found.progress;
  }

  private elapsedMs(): number {
    return performance.now() - this.began;
  }
}

export function without<T>(values: Record<string, T>, id: string): Record<string, T> {
  const { [id]: _, ...others } = values;
  return others;
}
