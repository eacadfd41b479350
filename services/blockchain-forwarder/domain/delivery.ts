/**
 * How far a batch is with a sink, as people see it: `submitted`, `mined` and `finalized` of a chain, `delivered` of a
 * sink that has a thing when it says so. The last two are the end.
 */
export const STAGES = ['pending', 'submitted', 'mined', 'finalized', 'delivered'] as const;
export type Stage = (typeof STAGES)[number];
export const FINAL_STAGES: readonly Stage[] = ['finalized', 'delivered'];
/** The sink does not have it yet. */
export const UNDERWAY: readonly Stage[] = ['pending', 'submitted'];

/** One batch at one sink. */
export interface Delivery {
  sink: string;
  /** What the sink wrote to: see `place` of ports/ledger-sink.ts. */
  place: string;
  batchId: number;
  stage: Stage;
  /** When it came to this stage, RFC 3339. */
  since: string;
}

/** One sink as a whole: who works for it, and from where on. */
export interface SinkState {
  sink: string;
  place: string;
  /** The last batch that has a delivery; the next ones wait. */
  begun: number;
  /** Only its holder makes steps, until then (RFC 3339). */
  lease: { holder: string; until: string } | null;
  /** Failures in a row. */
  failures: number;
  /** After a failure: not before this. */
  nextStepAt: string | null;
  lastError: string | null;
}

export interface BackOff {
  firstMs: number;
  capMs: number;
}

export function newSinkState(sink: string, place: string): SinkState {
  return { sink, place, begun: 0, lease: null, failures: 0, nextStepAt: null, lastError: null };
}

/**
 * Doubles with each failure up to the cap; the jitter takes off up to half, so that what failed together does not come
 * back together.
 * @param random in [0, 1)
 */
export function retryDelay(failures: number, { firstMs, capMs }: BackOff, random: number): number {
  const full = Math.min(capMs, firstMs * 2 ** Math.min(30, Math.max(0, failures - 1)));
  return Math.round(full * (1 - random / 2));
}
