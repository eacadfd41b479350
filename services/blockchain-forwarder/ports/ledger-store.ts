import type { Batch, Chunk, Entry } from '../domain/batch';
import type { FullSubtree, LedgerHead } from '../domain/ledger-tree';
import type { StoredUsage } from '../domain/usage-record';

/** A value as it was read; a write that finds another version is refused. Null: it is not there yet. */
export interface Versioned<T> {
  value: T;
  version: string | null;
}

/** Everything that closing a batch writes, in one transaction. */
export interface ClosedBatch {
  batch: Batch;
  chunks: readonly Chunk[];
  /** Full subtrees of the ledger that end with this batch: see domain/ledger-tree.ts. */
  nodes: readonly string[];
  head: LedgerHead;
}

/** Where batches are kept. Every method fails with an AppError of kind `unavailable` when the store cannot be reached. */
export interface LedgerStore {
  head(): Promise<Versioned<LedgerHead>>;
  /**
   * Chunks that no batch has, oldest first: as many as hold `limits`, and at least one. `more`: others wait behind them.
   */
  unbatched(limits: { count: number; bytes: number }): Promise<{ chunks: Chunk[]; more: boolean }>;
  /**
   * Adds the batch and takes its chunks away.
   * @param version of the head that the batch continues
   * @returns false, with nothing written, when the ledger went on since
   */
  close(closed: ClosedBatch, version: string | null): Promise<boolean>;
  /** In the order asked; unknown ones are left out. */
  batches(batchIds: readonly number[]): Promise<readonly Batch[]>;
  /** Ids and leaves of a batch, in its order; empty for an unknown one. */
  entries(batchId: number): Promise<readonly Entry[]>;
  /** The records of a batch, in its order. */
  records(batchId: number): Promise<readonly StoredUsage[]>;
  /** Hashes of full subtrees, in the order asked. */
  nodes(subtrees: readonly FullSubtree[]): Promise<readonly string[]>;
}
