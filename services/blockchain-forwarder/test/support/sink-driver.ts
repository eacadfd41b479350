import type { Advance, LedgerSink, OpenBatch, Receipt, Refusal, StepResult } from '../../ports/ledger-sink';
import type { ClosedBatch } from './ledger';

const isFinal = (stage: string): boolean => stage === 'finalized' || stage === 'delivered';

interface Row {
  stage: Advance<unknown>['stage'];
  /** As in a state store: nothing but JSON outlives a step. */
  progress: string | null;
}

/**
 * What the delivery loop does with a sink, without a store: hands over the open batches of a ledger, and writes down what
 * a step came to, or forgets it as a crash does.
 */
export class SinkDriver {
  readonly rows = new Map<number, Row>();
  readonly refusals: Refusal[] = [];
  now = new Date('2026-11-23T10:05:00.000Z');

  constructor(private readonly ledger: readonly ClosedBatch[]) {
    for (const { batch } of ledger) this.rows.set(batch.batchId, { stage: 'pending', progress: null });
  }

  open(sink: LedgerSink): OpenBatch<unknown>[] {
    return this.ledger
      .map(({ batch }) => ({ batch, ...this.row(batch.batchId) }))
      .filter(({ stage }) => !isFinal(stage))
      .slice(0, sink.window)
      .map(({ batch, stage, progress }) => ({ batch, stage, progress: parsed(progress) }));
  }

  /** A step whose outcome is not written down. */
  async step(sink: LedgerSink): Promise<StepResult<unknown>> {
    const open = this.open(sink);
    const records = async (batchId: number) => structuredClone(this.batchOf(batchId).records);
    const result = await sink.step(structuredClone(open), { now: this.now, records });
    const handed = open.map(({ batch }) => batch.batchId);
    for (const { batchId } of [...result.advances, ...result.refusals]) expect(handed).toContain(batchId);
    expect(result.nextMs).toBeGreaterThanOrEqual(0);
    return result;
  }

  persist({ advances, refusals }: StepResult<unknown>): void {
    for (const { batchId, stage, progress } of advances) {
      const written = JSON.stringify(progress);
      // PostgreSQL's jsonb has no form for these
      expect(written).not.toMatch(/\\u(0000|d[89a-f])/i);
      this.rows.set(batchId, { stage, progress: written });
    }
    this.refusals.push(...refusals);
  }

  /** The next step is when the sink wants it. */
  async stepAndPersist(sink: LedgerSink): Promise<StepResult<unknown>> {
    const result = await this.step(sink);
    this.persist(result);
    this.now = new Date(this.now.getTime() + result.nextMs);
    return result;
  }

  get done(): boolean {
    return [...this.rows.values()].every(({ stage }) => isFinal(stage));
  }

  /**
   * Goes on until every batch is at its end.
   * @param turn one turn of the loop; a step whose outcome is written down unless given
   * @param pause between turns; the time that the sink wants to wait passes by the driver's clock only
   */
  async untilDone(
    sink: () => LedgerSink,
    turn: (sink: LedgerSink) => Promise<unknown> = (each) => this.stepAndPersist(each),
    pause: () => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    for (let turns = 0; !this.done; turns += 1) {
      if (turns > 500) throw new Error(`the sink is not done after ${turns} turns`);
      await turn(sink());
      await pause();
    }
  }

  progressOf(batchId: number): unknown {
    return parsed(this.row(batchId).progress);
  }

  receipts(sink: LedgerSink, batchId: number): (Receipt | null)[] {
    const progress = this.progressOf(batchId);
    return this.batchOf(batchId).records.map(({ record }) => sink.receiptOf(progress, record.id));
  }

  reopen(sink: LedgerSink, batchId: number, recordId: string): void {
    const progress = JSON.stringify(sink.reopened(this.progressOf(batchId), recordId));
    this.rows.set(batchId, { stage: 'pending', progress });
  }

  private row(batchId: number): Row {
    const row = this.rows.get(batchId);
    if (!row) throw new Error(`there is no batch ${batchId}`);
    return row;
  }

  private batchOf(batchId: number): ClosedBatch {
    const found = this.ledger.find(({ batch }) => batch.batchId === batchId);
    if (!found) throw new Error(`there is no batch ${batchId}`);
    return found;
  }
}

function parsed(progress: string | null): unknown {
  return progress === null ? null : JSON.parse(progress);
}
