/** How far the handing over of one record to one sink has come. */
export interface Delivery {
  usageId: string;
  sink: string;
  /**
   * `pending`: goes on until the sink has it. `rejected`: the sink refuses this record; tried again once in a long
   * while, for when the sink was put right. `delivered`: the end.
   */
  state: 'pending' | 'delivered' | 'rejected';
  /** Attempts begun; one that was cut off by a crash counts too. */
  attempts: number;
  /** Not before this, RFC 3339. While an attempt is under way: when it counts as lost and the next may begin. */
  nextAttemptAt: string;
  /** Whose attempt is under way; a result that comes after somebody else took over is not kept. */
  claim: string | null;
  deliveredAt: string | null;
  receipt: object | null;
  lastError: string | null;
}

export interface BackOff {
  firstMs: number;
  capMs: number;
  /** Between attempts for a record that the sink refuses. */
  rejectedMs: number;
}

/** What came of an attempt: see `DeliveryOutcome` in ports/usage-sink.ts. */
type Outcome =
  | { kind: 'delivered'; receipt: object }
  | { kind: 'retry'; error: string; retryAfterMs?: number }
  | { kind: 'rejected'; error: string };

export function newDelivery(usageId: string, sink: string, now: Date): Delivery {
  return {
    usageId,
    sink,
    state: 'pending',
    attempts: 0,
    nextAttemptAt: now.toISOString(),
    claim: null,
    deliveredAt: null,
    receipt: null,
    lastError: null,
  };
}

/** An attempt begins; nobody else begins one within the lease. */
export function claimed(delivery: Delivery, claim: string, now: Date, leaseMs: number): Delivery {
  return { ...delivery, attempts: delivery.attempts + 1, claim, nextAttemptAt: after(now, leaseMs) };
}

/**
 * An attempt ends.
 * @param random in [0, 1), for the jitter
 */
export function settled(delivery: Delivery, outcome: Outcome, now: Date, backOff: BackOff, random: number): Delivery {
  const open = { ...delivery, claim: null };
  switch (outcome.kind) {
    case 'delivered':
      return {
        ...open,
        state: 'delivered',
        deliveredAt: now.toISOString(),
        receipt: outcome.receipt,
        lastError: null,
      };
    case 'retry': {
      const wait = Math.max(retryDelay(delivery.attempts, backOff, random), outcome.retryAfterMs ?? 0);
      return { ...open, state: 'pending', nextAttemptAt: after(now, wait), lastError: outcome.error };
    }
    case 'rejected':
      return { ...open, state: 'rejected', nextAttemptAt: after(now, backOff.rejectedMs), lastError: outcome.error };
  }
}

/**
 * Doubles with each attempt up to the cap; the jitter takes off up to half, so that what failed together does not come
 * back together.
 */
export function retryDelay(attempts: number, { firstMs, capMs }: BackOff, random: number): number {
  const full = Math.min(capMs, firstMs * 2 ** Math.min(30, Math.max(0, attempts - 1)));
  return Math.round(full * (1 - random / 2));
}

function after(now: Date, milliseconds: number): string {
  return new Date(now.getTime() + milliseconds).toISOString();
}
