import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode, messageOf } from '../../../shared/errors';
import type { Logger } from '../../../shared/logging/logger';
import { capacityLost, usesCapacity } from '../domain/task';
import { LARGEST_RENEWAL, type Capacity } from '../ports/capacity';
import type { TaskLease, TaskStore } from '../ports/task-store';
import type { Settler } from './settle-task';

export interface RenewLeasesParts {
  store: TaskStore;
  capacity: Pick<Capacity, 'renew'>;
  settler: Pick<Settler, 'settle'>;
  now: () => string;
  newId: () => string;
  logger: Logger;
}

/** After a round that failed the next one comes sooner. */
const RETRY_MS = 2_000;

/**
 * Renews what every living task holds, once. A task that holds it no longer (nobody renewed it for longer than a lease) is
 * sent for other capacity, and ends when there is none. It goes by what is stored, so any process may do it at any time.
 * @throws the first failure, after all others were renewed
 */
export function createRenewLeases({ store, capacity, settler, now, newId, logger }: RenewLeasesParts) {
  return async (): Promise<void> => {
    const failures: unknown[] = [];
    let last: TaskLease | undefined;
    do {
      const page = await store.listLeases(LARGEST_RENEWAL, last);
      await renew(page).catch((error: unknown) => failures.push(error));
      last = page.length === LARGEST_RENEWAL ? page.at(-1) : undefined;
    } while (last);
    if (failures.length > 0) throw failures[0];
  };

  async function renew(leases: TaskLease[]): Promise<void> {
    const held = leases.filter(({ capacityState }) => capacityState === 'held');
    const lost = new Set(held.length === 0 ? [] : await capacity.renew(held));
    for (const lease of leases) {
      if (lease.capacityState === 'lost' || lost.has(lease.allocationId)) await replace(lease);
    }
  }

  async function replace(lease: TaskLease): Promise<void> {
    const found = await store.get(lease.id);
    // it is ending, or has got other capacity, since the page was read
    if (!found || !usesCapacity(found.task) || found.task.allocationId !== lease.allocationId) return;
    const { task, version } = found;
    const resource = `task ${task.id}`;
    if (task.capacityState === 'held') {
      try {
        await store.save(capacityLost(task, newId(), now()), version);
      } catch (error) {
        if (hasCode(error, 'task.version_conflict')) return replace(lease);
        throw error;
      }
      logger.warn(`the lease of ${resource} ran out; it asks for other capacity`, { activity: 'task.lease', resource });
    }
    // not waited for: the leases of others run on meanwhile
    settler.settle(task.id).catch((error: unknown) => {
      logger.warn(`${resource} could not get other capacity yet; it is tried again`, {
        activity: 'task.lease',
        resource,
        result: 'waiting',
        error: messageOf(error),
      });
    });
  }
}

/** Renews at once, and again and again until it is told to stop; every replica does, which harms nothing. */
export async function keepRenewing(
  renewLeases: () => Promise<void>,
  options: { everyMs: number; logger: Logger; stopping: AbortSignal },
): Promise<void> {
  const { everyMs, logger, stopping } = options;
  let failing = false;
  while (!stopping.aborted) {
    try {
      await renewLeases();
      if (failing) logger.info('leases are renewed again', { activity: 'task.lease', result: 'ok' });
      failing = false;
    } catch (error) {
      const detail = { activity: 'task.lease', result: 'waiting', error: messageOf(error) };
      if (!failing) logger.warn('the leases of tasks cannot be renewed at the moment; it is tried again', detail);
      failing = true;
    }
    // rejects when it is told to stop
    await sleep(failing ? Math.min(everyMs, RETRY_MS) : everyMs, undefined, { signal: stopping }).catch(
      () => undefined,
    );
  }
}
