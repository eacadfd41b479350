import { canEverTake, refusalAtHead } from '../../domain/inventory';
import type { Change } from './chronicle';

/** Says what is wrong, or nothing. */
export type Invariant = (change: Change) => string | undefined;

/** What must hold of requests that wait, after every step. */
export const OF_WAITING: Record<string, Invariant> = {
  'who waits stands in line once, in order, and its request says so': ({ after }) => {
    const inLine = new Set<string>();
    return (
      first(after.inventories.values(), ({ poolId, waiting }) =>
        first(waiting, (one) => {
          const ahead = waiting[waiting.indexOf(one) - 1];
          if (inLine.has(one.id)) return `${one.id} stands in line twice`;
          inLine.add(one.id);
          const request = after.requests.get(one.id);
          if (request?.status !== 'waiting' || request.poolId !== poolId) return `${one.id} is ${request?.status}`;
          const inOrder = !ahead || ahead.priority > one.priority || ahead.createdAt <= one.createdAt;
          return inOrder && (!ahead || ahead.priority >= one.priority) ? undefined : `${one.id} is behind ${ahead.id}`;
        }),
      ) ??
      first(after.requests.values(), ({ id, status }) =>
        status === 'waiting' && !inLine.has(id) ? `${id} waits, and stands in no line` : undefined,
      )
    );
  },

  'a request ends once: granted in time, or its time is over, or it is taken back': ({ before, after, chronicle }) =>
    first(after.requests.values(), ({ id, poolId, status, endedAt, expiresAt }) => {
      const earlier = before.requests.get(id)?.status ?? 'waiting';
      if (earlier !== 'waiting' && earlier !== status) return `${id} was ${earlier} and is ${status}`;
      if ((status === 'granted') !== chronicle.made.has(id))
        return `${id} is ${status}, made: ${chronicle.made.has(id)}`;
      const inTime = endedAt !== null && endedAt < expiresAt;
      if (status === 'granted' && !inTime) return `${id} was granted at ${endedAt}, after its time`;
      if (status === 'expired' && inTime) return `${id} was dropped at ${endedAt}, before its time`;
      if (status !== 'cancelled' || chronicle.cancelAsked.has(id)) return undefined;
      return after.inventories.get(poolId)?.state === 'closed' ? undefined : `nobody took ${id} back`;
    }),

  'nobody waits for what is free': ({ after, now }) =>
    first(after.inventories.values(), (inventory) => {
      const { poolId, queuePolicy, waiting } = inventory;
      // whose time is over holds up the others until it is looked for
      if (waiting.some(({ expiresAt }) => expiresAt <= now)) return undefined;
      const next =
        queuePolicy === 'strict'
          ? waiting.filter(({ capacity }) => canEverTake(inventory, capacity)).slice(0, 1)
          : waiting;
      return first(next, ({ id, capacity }) =>
        refusalAtHead(inventory, capacity)
          ? undefined
          : `${id} waits for ${capacity} of pool ${poolId}, which are there`,
      );
    }),

  'nobody overtakes who waits in a strict pool': ({ before, after, newlyEnded, chronicle }) =>
    first([...after.live.values(), ...newlyEnded], ({ id, poolId, createdBy }) => {
      const [earlier, inventory] = [before.inventories.get(poolId), after.inventories.get(poolId)];
      if (before.live.has(id) || !earlier || earlier.revision !== inventory?.revision) return undefined;
      if (inventory.queuePolicy !== 'strict') return undefined;
      const priority = chronicle.wishes.get(createdBy)?.priority ?? 0;
      const place = earlier.waiting.findIndex((one) => one.id === id);
      const ahead =
        place >= 0 ? earlier.waiting.slice(0, place) : earlier.waiting.filter((one) => one.priority >= priority);
      const passed = ahead.find(
        (one) => canEverTake(earlier, one.capacity) && after.requests.get(one.id)?.status === 'waiting',
      );
      return passed ? `${id} (priority ${priority}) went before ${passed.id} (${passed.priority})` : undefined;
    }),
};

/** The first fault that is found in any of them. */
export function first<T>(all: Iterable<T>, fault: (one: T) => string | undefined): string | undefined {
  for (const one of all) {
    const found = fault(one);
    if (found !== undefined) return found;
  }
  return undefined;
}
