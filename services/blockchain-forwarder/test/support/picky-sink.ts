import type { Batch } from '../../domain/batch';
import type { LedgerSink, OpenBatch, Receipt, StepParts, StepResult } from '../../ports/ledger-sink';

interface Progress {
  taken: string[];
  refused: string[];
}

/** A sink that takes every record but those it is told to refuse. */
export class PickySink implements LedgerSink<Progress> {
  readonly place = 'a shelf';
  readonly window = 10;
  readonly refuses = new Set<string>();
  /** Every id that was tried, repeats included. */
  readonly tried: string[] = [];

  constructor(readonly name = 'picky') {}

  check(): Promise<void> {
    return Promise.resolve();
  }

  async step(open: readonly OpenBatch<Progress>[], { records }: StepParts): Promise<StepResult<Progress>> {
    const result: StepResult<Progress> = { advances: [], refusals: [], nextMs: 0 };
    for (const { batch, progress } of open) {
      const { taken, refused } = progress ?? { taken: [], refused: [] };
      const ids = (await records(batch.batchId)).map(({ record }) => record.id);
      const todo = ids.filter((id) => !taken.includes(id) && !refused.includes(id));
      this.tried.push(...todo);
      const bad = todo.filter((id) => this.refuses.has(id));
      result.refusals.push(
        ...bad.map((recordId) => ({ batchId: batch.batchId, recordId, detail: 'it does not like it' })),
      );
      const good = todo.filter((id) => !this.refuses.has(id));
      const next = { taken: [...taken, ...good], refused: [...refused, ...bad] };
      result.advances.push({ batchId: batch.batchId, stage: 'delivered', progress: next });
    }
    return result;
  }

  receiptOf({ taken }: Progress, recordId: string): Receipt | null {
    return taken.includes(recordId) ? { place: taken.indexOf(recordId) } : null;
  }

  confirm(_batch: Batch, _progress: Progress): Promise<null> {
    return Promise.resolve(null);
  }

  reopened({ taken, refused }: Progress, recordId: string): Progress {
    return { taken, refused: refused.filter((id) => id !== recordId) };
  }
}
