import type { Batch } from '../domain/batch';
import type { Stage } from '../domain/delivery';
import type { StoredUsage } from '../domain/usage-record';

/** A batch that a sink does not have for good yet. */
export interface OpenBatch<P> {
  batch: Batch;
  stage: Stage;
  /** What the sink wrote down last; null before its first step. */
  progress: P | null;
}

/** What a step came to for one batch. It is written down before the next step begins, so a step may be repeated. */
export interface Advance<P> {
  batchId: number;
  stage: Stage;
  progress: P;
}

/** Records that a sink refuses for good; only somebody changing sink or record helps. */
export interface Refusal {
  batchId: number;
  recordId: string;
  detail: string;
}

export interface StepResult<P> {
  /** Of the batches that something changed for. */
  advances: Advance<P>[];
  refusals: Refusal[];
  /** When the sink wants its next step: 0 at once (what it wrote down has to be acted upon), else milliseconds. */
  nextMs: number;
  /** The sink as a whole does not work now: the loop backs off, at least for `retryAfterMs`. */
  trouble?: { error: string; retryAfterMs?: number };
}

export interface StepParts {
  now: Date;
  /** The records of a batch, in its order. */
  records(batchId: number): Promise<readonly StoredUsage[]>;
}

/**
 * A place outside that keeps usage for good, batch by batch in the ledger's order. All that a sink knows from one step to
 * the next is in `progress`, so a process may die on any line: whoever goes on repeats the last step. One process at a
 * time steps (a lease in the state store); after a lapse two may, so a step that is repeated, also at the same time, must
 * not do a thing twice.
 */
export interface LedgerSink<P = unknown> {
  /** Unique among the configured sinks; part of state keys and of the API. */
  readonly name: string;
  /** What it writes to, without secrets. At another place the sink begins with batch 1 again. */
  readonly place: string;
  /** How many batches may be on their way at once: neither at their end nor `mined`. */
  readonly window: number;
  /**
   * Whether what is configured can be right; called at start and again until it resolves.
   * @throws SinkMisconfigured a sentence with the cure: the service refuses to start
   * @throws SinkUnavailable it cannot be told now
   */
  check(): Promise<void>;
  /** One step with all open batches, oldest first. Within 20 s. Never rejects. */
  step(open: readonly OpenBatch<P>[], parts: StepParts): Promise<StepResult<P>>;
  /** What the sink gave as proof that it has this record; null when there is none yet. */
  receiptOf(progress: P, recordId: string): Receipt | null;
  /** Of a sink that anchors batches on a chain: where this one is, once it is mined. */
  anchorOf?(progress: P): Anchor | null;
  /**
   * Asks whether the sink still has a batch that it had; null where it cannot be asked.
   * @throws SinkUnavailable
   */
  confirm(batch: Batch, progress: P): Promise<boolean | null>;
  /** `progress` with which the next steps try a refused record again. */
  reopened(progress: P, recordId: string): P;
}

/** Where a chain has a batch; spelled as in domain/receipt.ts. */
export interface Anchor {
  chainId: number;
  contract: string;
  transaction: string;
  blockNumber: number;
  blockHash: string;
}

/** A proof as a sink gave it: plain JSON, shown as it came. */
export type Receipt = Record<string, string | number | boolean | null | object>;

export class SinkMisconfigured extends Error {}

/** The sink could be asked, but does not answer now. */
export class SinkUnavailable extends Error {}
