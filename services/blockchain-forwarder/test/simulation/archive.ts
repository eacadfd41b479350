import { unavailable } from '../../../../shared/errors';
import type { Life, Scheduler } from '../../../../shared/testing/simulation/scheduler';
import type { Batch } from '../../domain/batch';
import type { LedgerSink, OpenBatch, Refusal, StepParts, StepResult } from '../../ports/ledger-sink';
import type { Content } from './content';

/** What the archive was given, a batch each. */
export interface Taken {
  token: string;
  batchId: number;
  root: string;
  recordIds: string[];
}

/**
 * A place that keeps batches for good. It knows what it has only by the token under which it came, as a chain knows a
 * transaction by its nonce: the same batch under another token is another one. It expects them in their order.
 */
export class Archive {
  readonly taken: Taken[] = [];
  readonly refused = new Set<string>();
  isDown = false;

  constructor(private readonly refusing: number) {}

  /** @returns the records that it does not take */
  async put(token: string, { batchId, root }: Batch, recordIds: string[]): Promise<string[]> {
    if (this.isDown) throw unavailable('archive.down', 'the archive is closed');
    if (!this.taken.some((each) => each.token === token)) this.taken.push({ token, batchId, root, recordIds });
    const refused = recordIds.filter((id) => this.refuses(id));
    for (const id of refused) this.refused.add(id);
    return refused;
  }

  /** Some never; which ones follows from the id. */
  private refuses(recordId: string): boolean {
    return parseInt(recordId.slice(0, 4), 16) / 0x1_0000 < this.refusing;
  }
}

export interface ArchiveHabits {
  window: number;
  /** Probability of a step that takes longer than a lease. */
  slow: number;
}

/** The token under which the archive gets a batch. */
type Progress = { token: string };

/** The sink to the archive, written as the port asks: what it will do is written down before it does it. */
export class ArchiveSink implements LedgerSink<Progress> {
  readonly name = 'archive';
  readonly place = 'the archive';

  constructor(
    private readonly life: Life,
    private readonly archive: Pick<Archive, 'put'>,
    private readonly scheduler: Scheduler,
    private readonly habits: ArchiveHabits,
  ) {}

  get window(): number {
    return this.habits.window;
  }

  check(): Promise<void> {
    return Promise.resolve();
  }

  async step(open: readonly OpenBatch<Progress>[], { records }: StepParts): Promise<StepResult<Progress>> {
    const { scheduler, life } = this;
    const result: StepResult<Progress> & { refusals: Refusal[] } = { advances: [], refusals: [], nextMs: 500 };
    if (scheduler.chance(this.habits.slow)) await scheduler.sleep(4_000, `${life.name} is slow`, life);
    try {
      for (const { batch, progress } of open) {
        const { batchId } = batch;
        if (progress) {
          const ids = (await records(batchId)).map(({ record }) => record.id);
          const refused = await this.archive.put(progress.token, batch, ids);
          result.refusals.push(...refused.map((recordId) => ({ batchId, recordId, detail: 'not to our taste' })));
          result.advances.push({ batchId, stage: 'delivered', progress });
        } else {
          result.advances.push({ batchId, stage: 'submitted', progress: { token: scheduler.uuid() } });
          result.nextMs = 0;
        }
      }
    } catch (error) {
      result.trouble = { error: String(error) };
    }
    return result;
  }

  receiptOf({ token }: Progress): { token: string } {
    return { token };
  }

  confirm(): Promise<null> {
    return Promise.resolve(null);
  }

  reopened(progress: Progress): Progress {
    return progress;
  }
}

/** What the archive was given, beside what is stored. */
export function faultOfArchive({ taken }: Archive, content: Content): string | undefined {
  for (const [index, { batchId, root, recordIds }] of taken.entries()) {
    if (batchId !== index + 1) return `batch ${batchId} came as number ${index + 1}`;
    const ids = (content.leaves.get(String(batchId)) ?? []).map(([id]) => id);
    if (root !== content.batches.get(String(batchId))?.root || String(ids) !== String(recordIds))
      return `batch ${batchId} came otherwise than it is stored`;
  }
  return undefined;
}
