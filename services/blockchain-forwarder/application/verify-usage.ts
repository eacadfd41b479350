import { canonicalHash } from '../domain/canonical-hash';
import type { Delivery } from '../domain/delivery';
import { sinkUnavailable } from '../domain/errors';
import { SinkUnavailable, type Finding, type UsageSink } from '../ports/usage-sink';
import type { UsageStore } from '../ports/usage-store';
import { getUsage, type Reader } from './read-usage';

export interface Verification {
  /** The stored record still has its hash, and no sink that took it has lost it. */
  valid: boolean;
  storedHash: string;
  computedHash: string;
  sinks: Record<string, SinkVerification>;
}

export interface SinkVerification {
  /** Of the delivery; null when the sink was configured after the record came. */
  state: Delivery['state'] | null;
  /** What the sink itself says now; null when this kind of sink cannot be asked. */
  found: boolean | null;
  /** The sink's proof as it stands now. */
  receipt: object | null;
}

/**
 * Computes the hash anew from the stored record and asks every sink for it.
 * @throws AppError `usage.not_found`, or `usage.sink_unavailable` when a sink that could be asked does not answer: an
 * answer without it would prove nothing
 */
export async function verifyUsage(
  id: string,
  reader: Reader,
  parts: { store: UsageStore; sinks: readonly UsageSink[] },
): Promise<Verification> {
  const { usage, deliveries } = await getUsage(id, reader, parts.store);
  const computedHash = await canonicalHash(usage.record);
  const checks = await Promise.all(
    parts.sinks.map(async (sink) => {
      const finding = await ask(sink, computedHash);
      const state = deliveries.find((delivery) => delivery.sink === sink.name)?.state ?? null;
      return [sink.name, verificationOf(state, finding)] as const;
    }),
  );
  const lost = checks.some(([, { state, found }]) => state === 'delivered' && found === false);
  return {
    valid: computedHash === usage.usageHash && !lost,
    storedHash: usage.usageHash,
    computedHash,
    sinks: Object.fromEntries(checks),
  };
}

async function ask(sink: UsageSink, usageHash: string): Promise<Finding | null> {
  try {
    return await sink.find(usageHash);
  } catch (error) {
    if (error instanceof SinkUnavailable) throw sinkUnavailable(sink.name, error);
    throw error;
  }
}

function verificationOf(state: Delivery['state'] | null, finding: Finding | null): SinkVerification {
  return { state, found: finding?.found ?? null, receipt: finding?.found ? finding.receipt : null };
}
