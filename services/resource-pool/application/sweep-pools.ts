import { AppError, messageOf } from '../../../shared/errors';
import type { Logger } from '../../../shared/logging/logger';
import { abandoned } from '../domain/pool';
import { settlePool, type Rooms } from './settle-pool';

/** Younger pending changes belong to a request that is still under way. */
const LEFT_BEHIND_MS = 15_000;

/**
 * Carries on what a crash or an outage left pending. A creation whose request has died is given up: nobody was told of
 * the pool, and whoever repeats the request gets one.
 */
export async function sweepPools(rooms: Rooms, logger: Logger): Promise<void> {
  const { catalogue, now } = rooms;
  const before = new Date(Date.parse(now()) - LEFT_BEHIND_MS).toISOString();
  for (const id of await catalogue.unsettled(before)) {
    const stored = await catalogue.get(id);
    if (!stored?.pool.pending) continue;
    const fields = { activity: `pool.${stored.pool.pending.kind}`, who: 'system', resource: `resource_pools/${id}` };
    try {
      const next = abandoned(stored.pool, now());
      await settlePool(rooms, next === stored.pool ? stored : await catalogue.replace(stored, next));
      logger.info('a change of a pool that was left pending is done', { ...fields, result: 'ok' });
    } catch (error) {
      const result = error instanceof AppError ? error.code : 'conflict';
      logger.warn('a change of a pool is still pending, or was refused', {
        ...fields,
        result,
        error: messageOf(error),
      });
    }
  }
}
