import type { Batch, Chunk, Entry } from '../../domain/batch';
import type { DeadLetter } from '../../domain/dead-letter';
import type { Delivery, SinkState } from '../../domain/delivery';
import { EMPTY_LEDGER, type LedgerHead } from '../../domain/ledger-tree';
import type { StoredUsage } from '../../domain/usage-record';
import type { Transaction } from './database';

/** A batch's row. */
export interface BatchRow extends Batch {
  chunks: string[];
  nodes: string[];
}

/** All that is stored, as it truly is; kept up to date transaction by transaction. */
export class Content {
  readonly usages = new Map<string, StoredUsage>();
  readonly chunks = new Map<string, Chunk>();
  readonly batches = new Map<string, BatchRow>();
  readonly leaves = new Map<string, Entry[]>();
  readonly sinks = new Map<string, SinkState>();
  readonly deliveries = new Map<string, Delivery>();
  readonly letters = new Map<string, DeadLetter>();
  /** Chunks as they once were: by them it is seen what a batch was made of. */
  readonly takenUp = new Map<string, Chunk>();
  head: LedgerHead = EMPTY_LEDGER;

  apply({ written }: Transaction): void {
    for (const { key, after } of written) {
      const value: unknown = after === undefined ? undefined : JSON.parse(after);
      if (key === 'ledger-head') this.head = value as LedgerHead;
      const { kind, id } = rowOf(key);
      const table = this.tableOf(kind);
      if (kind === 'unbatched' && value !== undefined) this.takenUp.set(id, value as Chunk);
      if (value === undefined) table?.delete(id);
      else table?.set(id, value);
    }
  }

  /** In their order. */
  batchRows(): BatchRow[] {
    return [...this.batches.values()].sort((a, b) => a.batchId - b.batchId);
  }

  private tableOf(kind: string): Map<string, unknown> | undefined {
    const tables: Record<string, Map<string, unknown>> = {
      usage: this.usages,
      unbatched: this.chunks,
      batch: this.batches,
      leaves: this.leaves,
      sink: this.sinks,
      delivery: this.deliveries,
      dead: this.letters,
    };
    return tables[kind];
  }
}

/** What a key is of, and its id within that. */
export function rowOf(key: string): { kind: string; id: string } {
  const end = key.indexOf(':');
  return { kind: key.slice(0, Math.max(0, end)), id: key.slice(end + 1) };
}
