/** What is kept of how long a running task may stay; the rules are in lifetime.ts. */

export interface Stay {
  /**
   * It counts as active until then; null: until it began to run. Set a little ahead of what was seen, so that a
   * busy task is not written at every sample, and never ends early for it.
   */
  activeUntil: string | null;
  /** It ends no sooner, whatever its limits say: it was extended, or warned with less time left than is promised. */
  keptUntil: string | null;
  /** The end that was warned of. Another end is warned of anew. */
  warnedOf: string | null;
  extensions: readonly Extension[];
}

export interface Extension {
  seconds: number;
  /** Id and fingerprint of the Idempotency-Key that came with it; null without one. */
  key: { id: string; fingerprint: string } | null;
}

export const NEW_STAY: Stay = { activeUntil: null, keptUntil: null, warnedOf: null, extensions: [] };

export type EndReason = 'idle_timeout' | 'max_age';
