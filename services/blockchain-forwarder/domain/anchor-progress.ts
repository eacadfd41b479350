/** Where a chain has the anchor of a batch. */
export interface Anchored {
  /** Of the transaction. */
  hash: string;
  blockNumber: number;
  blockHash: string;
  /** RFC 3339. */
  blockTime: string;
}

/** A signed transaction. It is written down before it leaves, so none is on its way that nobody knows of. */
export interface Attempt {
  nonce: number;
  hash: string;
  raw: string;
  /** Wei, decimal. */
  maxFeePerGas: string;
  maxPriorityFeePerGas: string;
  /** When it was handed to a node, RFC 3339; null until then. */
  sentAt: string | null;
}

/** All that is known of one batch's anchor from one step to the next. */
export interface AnchorProgress {
  batchId: number;
  /** In the order in which they were signed; none is ever taken away. */
  attempts: readonly Attempt[];
  mined: Anchored | null;
}

export function nothingYet(batchId: number): AnchorProgress {
  return { batchId, attempts: [], mined: null };
}

export function signed(progress: AnchorProgress, attempt: Attempt): AnchorProgress {
  return { ...progress, attempts: [...progress.attempts, attempt] };
}

/** The first time counts: one that no node keeps becomes stuck as well. */
export function sent(progress: AnchorProgress, hash: string, now: Date): AnchorProgress {
  const sentAt = now.toISOString();
  const attempts = progress.attempts.map((attempt) =>
    attempt.hash === hash && attempt.sentAt === null ? { ...attempt, sentAt } : attempt,
  );
  return { ...progress, attempts };
}

export function mined(progress: AnchorProgress, at: Anchored): AnchorProgress {
  return { ...progress, mined: at };
}

/** A reorganisation took the block away. What was signed is as if it had never been sent. */
export function dropped({ batchId, attempts }: AnchorProgress): AnchorProgress {
  return { batchId, attempts: attempts.map((attempt) => ({ ...attempt, sentAt: null })), mined: null };
}

/** Hashes that were signed, but that the chain did not take: other nonces, lower fees. */
export function replacedHashes({ attempts, mined: at }: AnchorProgress): string[] {
  return at === null ? [] : [...new Set(attempts.map(({ hash }) => hash).filter((hash) => hash !== at.hash))];
}
