import { messageOf } from '../../../shared/errors';
import type { Logger } from '../../../shared/logging/logger';
import type { PoolStore } from '../ports/pool-store';
import type { PoolWriter } from './pool-writer';

const EVERY_MS = 500;
/** Released in one round at most; the next round follows at once while there are more. */
const PAGE = 500;

/**
 * Releases what nobody renewed, and drops who has waited long enough.
 * @returns how many were found; whether each still was so is decided in its transaction
 */
export async function expireLeases(
  store: Pick<PoolStore, 'expiredLeases' | 'overdueQueues'>,
  writer: Pick<PoolWriter, 'execute'>,
  now: string,
): Promise<number> {
  const [expired, overdue] = await Promise.all([store.expiredLeases(now, PAGE), store.overdueQueues(now, PAGE)]);
  // a pool that cannot be changed at the moment must not hold up the others; the next round comes back to it
  const results = await Promise.allSettled([
    ...expired.map(({ poolId, id }) => writer.execute(poolId, { kind: 'expire', allocationId: id })),
    ...overdue.map((poolId) => writer.execute(poolId, { kind: 'serve' })),
  ]);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
  return Math.max(expired.length, overdue.length);
}

/** Looks for expired leases and waits until it is told to stop, in every replica: the transaction lets only one release each. */
export async function keepExpiringLeases(
  store: Pick<PoolStore, 'expiredLeases' | 'overdueQueues'>,
  writer: Pick<PoolWriter, 'execute'>,
  options: { now: () => string; logger: Logger; stopping: AbortSignal; pause?: (ms: number) => Promise<void> },
): Promise<void> {
  const { now, logger, stopping } = options;
  const pause = options.pause ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms)));
  let failing = false;
  while (!stopping.aborted) {
    let found = 0;
    try {
      found = await expireLeases(store, writer, now());
      failing = false;
    } catch (error) {
      const detail = { activity: 'leases.expire', result: 'waiting', error: messageOf(error) };
      if (!failing) logger.warn('expired leases cannot be released at the moment', detail);
      failing = true;
    }
    if (found < PAGE) await pause(EVERY_MS);
  }
}
