import type { DeadLetter } from '../domain/dead-letter';
import type { Delivery, SinkState } from '../domain/delivery';
import type { Batch } from '../domain/batch';
import type { Versioned } from './ledger-store';

export interface OpenDelivery {
  delivery: Delivery;
  batch: Batch;
  /** The sink's own; null before its first step. */
  progress: unknown;
}

/** A delivery as it is to be written. */
type DeliveryWrite = Pick<OpenDelivery, 'delivery' | 'progress'>;

/** What is written together with the state of a sink. */
export interface SinkWrite {
  deliveries?: readonly DeliveryWrite[];
  /** That come with it: see `arrived` of domain/dead-letter.ts */
  letters?: readonly DeadLetter[];
  /** Letters as an administrator's act leaves them. */
  handled?: readonly Versioned<DeadLetter>[];
}

/** How far the sinks are. Every method fails with an AppError of kind `unavailable` when the store cannot be reached. */
export interface SinkStore {
  state(sink: string): Promise<Versioned<SinkState | null>>;
  /** Deliveries to a sink at a place that are not at their end, oldest batch first. */
  open(sink: string, place: string, limit: number): Promise<OpenDelivery[]>;
  /** One delivery with what the sink wrote down last. */
  delivery(sink: string, batchId: number): Promise<{ delivery: Delivery; progress: unknown } | null>;
  /**
   * @returns false, with nothing written, when the state is not at that version: somebody else has the sink now; also when a
   * letter was changed meanwhile
   */
  write(state: SinkState, version: string | null, more?: SinkWrite): Promise<boolean>;
  /** Batches that are not at their end, by sink, as far as they were begun. */
  backlog(): Promise<Record<string, number>>;
}
