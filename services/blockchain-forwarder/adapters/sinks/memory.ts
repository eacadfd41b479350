import type { Batch } from '../../domain/batch';
import type { StoredUsage } from '../../domain/usage-record';
import type { Advance, LedgerSink, OpenBatch, Receipt, Refusal, StepParts, StepResult } from '../../ports/ledger-sink';
import { SinkUnavailable } from '../../ports/ledger-sink';

/** What several sinks in memory write to, as several processes to one chain. */
export class MemoryPlace {
  readonly batches = new Map<number, { batch: Batch; records: readonly StoredUsage[] }>();
  /** Does not answer. */
  down = false;
  /** With `down`: when it asks to be asked again. */
  retryAfterMs: number | undefined;
  /** Ids of records that it refuses. */
  readonly refuses = new Set<string>();
}

export interface MemoryProgress {
  /** How many stages are behind it. */
  taken: number;
  refused: string[];
}

export interface MemorySinkOptions {
  name?: string;
  window?: number;
  /** One more a step. The place has the batch from the first one on. */
  stages?: readonly Advance<unknown>['stage'][];
}

const DOWN = 'the place in memory is switched off';

/** A sink in memory, for tests of what uses a sink. */
export class MemoryLedgerSink implements LedgerSink<MemoryProgress> {
  readonly name: string;
  readonly place = 'memory';
  readonly window: number;
  private readonly stages: readonly Advance<unknown>['stage'][];

  constructor(
    readonly memory = new MemoryPlace(),
    { name = 'memory', window = 4, stages = ['delivered'] }: MemorySinkOptions = {},
  ) {
    this.name = name;
    this.window = window;
    this.stages = stages;
  }

  check(): Promise<void> {
    return this.memory.down ? Promise.reject(new SinkUnavailable(DOWN)) : Promise.resolve();
  }

  async step(open: readonly OpenBatch<MemoryProgress>[], parts: StepParts): Promise<StepResult<MemoryProgress>> {
    const { down, retryAfterMs } = this.memory;
    if (down) {
      const trouble = { error: DOWN, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
      return { advances: [], refusals: [], nextMs: 1_000, trouble };
    }
    const steps = await Promise.all(open.map((each) => this.advance(each, parts)));
    const advances = steps.map(({ advance }) => advance);
    return { advances, refusals: steps.flatMap(({ refusals }) => refusals), nextMs: open.length > 0 ? 0 : 1_000 };
  }

  receiptOf({ refused }: MemoryProgress, recordId: string): Receipt | null {
    return refused.includes(recordId) ? null : { id: recordId };
  }

  async confirm({ batchId, root }: Batch): Promise<boolean> {
    if (this.memory.down) throw new SinkUnavailable(DOWN);
    return this.memory.batches.get(batchId)?.batch.root === root;
  }

  reopened({ refused }: MemoryProgress, recordId: string): MemoryProgress {
    return { taken: 0, refused: refused.filter((id) => id !== recordId) };
  }

  private async advance(
    { batch, progress }: OpenBatch<MemoryProgress>,
    parts: StepParts,
  ): Promise<{ advance: Advance<MemoryProgress>; refusals: Refusal[] }> {
    const { batchId } = batch;
    const records = await parts.records(batchId);
    this.memory.batches.set(batchId, { batch, records });
    const taken = (progress?.taken ?? 0) + 1;
    const known = progress?.refused ?? [];
    const refused = records.map(({ record }) => record.id).filter((id) => this.memory.refuses.has(id));
    const refusals = refused
      .filter((id) => !known.includes(id))
      .map((recordId) => ({ batchId, recordId, detail: 'the place in memory refuses this record' }));
    const stage = this.stages[Math.min(taken, this.stages.length) - 1] ?? 'delivered';
    return { advance: { batchId, stage, progress: { taken, refused } }, refusals };
  }
}
