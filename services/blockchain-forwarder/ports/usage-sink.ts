import type { SealedRecord } from '../domain/usage-record';

/** What a sink gave as proof that it has a record: plain JSON, kept and shown as it came. */
export type Receipt = Record<string, string | number | boolean | null | object>;

export type DeliveryOutcome =
  | { kind: 'delivered'; receipt: Receipt }
  /** Another attempt may succeed; not before `retryAfterMs` if the sink asked for that. */
  | { kind: 'retry'; error: string; retryAfterMs?: number }
  /** The sink refuses this very record; only somebody changing the sink or the record helps. */
  | { kind: 'rejected'; error: string };

/** A place outside that keeps usage records for good. */
export interface UsageSink {
  /** Unique among the configured sinks; part of state keys and of the API. */
  readonly name: string;
  /** The most records that one `deliver` should be given. */
  readonly batchSize: number;
  /**
   * Hands records over. Idempotent by usage hash: a record that the sink already has is `delivered` again, with its
   * receipt, and is in the sink once.
   * @returns one outcome a record, in their order. Never rejects: what goes wrong is a `retry`.
   */
  deliver(records: readonly SealedRecord[]): Promise<DeliveryOutcome[]>;
  /**
   * What the sink itself says about a hash now, not what was stored at delivery.
   * @returns null when this kind of sink cannot be asked
   * @throws SinkUnavailable when it cannot be reached
   */
  find(usageHash: string): Promise<Finding | null>;
}

export type Finding = { found: true; receipt: Receipt } | { found: false };

/** The sink did not answer, or not with an answer. `message` says why, without any secret. */
export class SinkUnavailable extends Error {
  override readonly name = 'SinkUnavailable';
}
