import { capacityOf } from '../../../../shared/contracts/inventory';
import type { Allocation } from '../../domain/inventory';
import { first, type Invariant, OF_WAITING } from './invariants-of-waiting';

/** What must hold of the stored rows after every step. Each says what is wrong, or nothing. */
const INVARIANTS: Record<string, Invariant> = {
  ...OF_WAITING,

  'an inventory has allocated what its allocations hold': ({ after }) => {
    const sums = new Map<string, number>();
    for (const { poolId, capacity } of after.live.values()) sums.set(poolId, (sums.get(poolId) ?? 0) + capacity);
    return first(after.inventories.values(), ({ poolId, allocated }) => {
      const sum = sums.get(poolId) ?? 0;
      return sum === allocated ? undefined : `pool ${poolId} says ${allocated}, its allocations ${sum}`;
    });
  },

  'a pool gives no more than it has, but after a change that was allowed to leave it so': ({
    before,
    after,
    chronicle,
  }) =>
    first(after.inventories.values(), (inventory) => {
      const { poolId, allocated, overAllowed, state, revision } = inventory;
      const capacity = capacityOf(inventory);
      const says = `pool ${poolId} (${state}) has ${capacity} and gives ${allocated}`;
      if (allocated > capacity && !overAllowed) return says;
      if (overAllowed && !chronicle.overAsked.has(poolId)) return `${says}, which nobody allowed`;
      const earlier = before.inventories.get(poolId);
      const gaveMore = earlier !== undefined && earlier.revision === revision && allocated > earlier.allocated;
      return gaveMore && (allocated > capacity || state !== 'open') ? `${says}, more than before` : undefined;
    }),

  'a closed pool holds nothing and stays closed': ({ before, after }) =>
    first(after.inventories.values(), ({ poolId, state, allocated }) =>
      (state === 'closed' && allocated > 0) ||
      (before.inventories.get(poolId)?.state === 'closed' && state !== 'closed')
        ? `pool ${poolId} is ${state} with ${allocated} allocated`
        : undefined,
    ),

  'an allocation is made once, and ends once': ({ before, after, chronicle }) => {
    const ended = new Set<string>();
    return (
      first(after.ended, ({ id }) => {
        if (ended.has(id)) return `${id} was released twice`;
        ended.add(id);
        return after.live.has(id) ? `${id} was made again` : undefined;
      }) ??
      first(before.live.keys(), (id) =>
        after.live.has(id) || chronicle.made.get(id)?.released ? undefined : `${id} vanished`,
      )
    );
  },

  'nothing is there that no client asked for': ({ before, after, newlyEnded, chronicle }) =>
    first([...after.live.values(), ...newlyEnded], (allocation) => {
      if (before.live.has(allocation.id)) return undefined;
      const wish = chronicle.wishes.get(allocation.createdBy);
      if (!wish?.grants?.(allocation)) return `nobody asked for ${JSON.stringify(allocation)}`;
      return wish.idsGiven || chronicle.drawnFor.has(allocation.id) ? undefined : `nobody drew the id ${allocation.id}`;
    }),

  'what was refused is not there': ({ after, newlyEnded, chronicle }) =>
    first([...after.live.values(), ...newlyEnded, ...after.requests.values()], ({ id }) => {
      const answer = chronicle.drawnFor.get(id)?.answer;
      return answer?.kind === 'refused' ? `${id} is there, and was refused with ${answer.code}` : undefined;
    }),

  'what is sent under a key is made once': ({ after, chronicle }) => {
    const ids = new Map<string, string>();
    const made = [...chronicle.made.values()].map(({ allocation }) => allocation);
    const asked = [...after.requests.values()].map((request) => ({ ...request, groupId: null }));
    return first([...made, ...asked], ({ createdBy, groupId, id }) => {
      if (!chronicle.wishes.get(createdBy)?.once) return undefined;
      const earlier = ids.get(createdBy);
      ids.set(createdBy, groupId ?? id);
      return earlier === undefined || earlier === (groupId ?? id)
        ? undefined
        : `${createdBy} made ${earlier} and ${id}`;
    });
  },

  'a group is made whole or not at all': ({ chronicle }) => {
    const members = new Map<string, Allocation[]>();
    for (const { allocation } of chronicle.made.values()) {
      const { groupId } = allocation;
      if (groupId !== null) members.set(groupId, [...(members.get(groupId) ?? []), allocation]);
    }
    return first(members, ([groupId, made]) => {
      const wanted = chronicle.wishes.get(made[0]!.createdBy)?.members;
      return made.length === wanted ? undefined : `group ${groupId} has ${made.length} of ${wanted} members`;
    });
  },

  'an end has a cause: a request for it, or a lease that was over and had not been renewed': ({
    before,
    newlyEnded,
    chronicle,
    now,
  }) =>
    first(newlyEnded, (released) => {
      const { id, reason, releasedAt, releasedBy } = released;
      const told = `${id} ended (${reason}) at ${releasedAt}`;
      if (releasedAt > now) return `${told}, in the future`;
      if (reason !== 'expired') {
        const wish = chronicle.wishes.get(releasedBy === 'system' ? `task:${id}` : releasedBy);
        return wish?.ends?.(released) ? undefined : `${told}, which nobody asked for`;
      }
      const lease = (before.live.get(id) ?? released).lease;
      if (!lease || lease.expiresAt > releasedAt) return `${told}, held until ${lease?.expiresAt ?? 'its release'}`;
      const promised = chronicle.promised.get(id);
      return promised !== undefined && promised > releasedAt ? `${told}, promised until ${promised}` : undefined;
    }),

  'one event tells of each start, one of each end, and none of anything else': ({ after, chronicle }) => {
    const ids = new Set<string>();
    const told = new Set<string>();
    for (const { id, type, data } of after.events) {
      ids.add(id);
      if ('allocation_id' in data) told.add(`${type} ${data.allocation_id}`);
    }
    let expected = 0;
    const untold = first(chronicle.made.values(), ({ allocation: { id }, released }) => {
      expected += released ? 2 : 1;
      if (!told.has(`allocation.created ${id}`)) return `no event tells of the start of ${id}`;
      return released && !told.has(`allocation.released ${id}`) ? `no event tells of the end of ${id}` : undefined;
    });
    if (untold !== undefined) return untold;
    return ids.size === expected && after.events.length === expected
      ? undefined
      : `${after.events.length} events with ${ids.size} ids, where ${expected} are to be`;
  },
};

const NAMED = Object.entries(INVARIANTS);
export const NAMES = Object.keys(INVARIANTS);

/** The first invariant that a change breaks, and how. */
export function broken(change: Parameters<Invariant>[0]): { invariant: string; detail: string } | undefined {
  for (const [invariant, check] of NAMED) {
    const detail = check(change);
    if (detail !== undefined) return { invariant, detail };
  }
  return undefined;
}
