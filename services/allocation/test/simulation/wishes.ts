import { REFUSED_GRANTS } from '../../../../shared/contracts/inventory';
import type { Allocation } from '../../domain/inventory';
import type { Client } from './client';
import type { Chronicle, Send, Wish } from './chronicle';

export const GRANTED: readonly string[] = [...REFUSED_GRANTS, 'allocation.busy'];

/** Right when the id that came back is of an allocation that this wish made, and the same each time. */
function sameGrant(
  { wish: { token, once }, ids }: Send,
  chronicle: Chronicle,
  value: string | undefined,
  waits = false,
) {
  if (waits && chronicle.content.requests.get(value!)?.createdBy !== token) return `${value} never waited`;
  const made = chronicle.madeBy(token).filter(({ allocation: { id, groupId } }) => (groupId ?? id) === value);
  if (made.length === 0 && !waits) return `the answer is ${value}, which was never made`;
  if (!once && ids[0] !== value) return `the answer is ${value}, which another request made`;
  return undefined;
}

/** A refusal of what was granted already, before it was asked for again. */
export function grantedBefore(send: Send, chronicle: Chronicle): string | undefined {
  const earlier = send.wish.once && chronicle.madeBy(send.wish.token).find(({ at }) => at < send.at);
  return earlier ? `refused, but ${earlier.allocation.id} was made for it` : undefined;
}

export function grants(fields: Partial<Wish> & Pick<Wish, 'token' | 'what'>): Wish {
  return {
    once: false,
    refusals: GRANTED,
    verify: (answer, send, chronicle) =>
      answer.kind === 'done' ? sameGrant(send, chronicle, answer.value, answer.waits) : grantedBefore(send, chronicle),
    ...fields,
  };
}

/** Something of what clients hold, or held. */
export function some<T>({ world: { scheduler } }: Client, of: readonly T[]): T | undefined {
  return of.length === 0 ? undefined : scheduler.pick(of);
}

export function remember<T>(list: T[], one: T): void {
  list.push(one);
  if (list.length > 12) list.shift();
}

export function forget<T>(list: T[], one: T): void {
  const index = list.indexOf(one);
  if (index >= 0) list.splice(index, 1);
}

/** An end of allocations: done, nothing that it concerns may be held since before it was asked for; refused, something was not there. */
export function ends(
  token: string,
  what: string,
  concerns: (allocation: Allocation) => boolean,
  missing: string,
): Wish {
  return {
    token,
    what,
    // twice is no harm, but the second finds nothing
    once: true,
    ends: concerns,
    refusals: ['allocation.busy', 'pool.not_found', missing],
    verify: (answer, send, chronicle) => {
      if (answer.kind === 'refused' && answer.code !== missing) return undefined;
      const left = chronicle.heldSince(send, concerns);
      if (left) return `${answer.kind}, but ${left.id} is held`;
      const own = [...chronicle.made.values()].some(({ released }) => released?.releasedBy === token);
      return answer.kind === 'refused' && own && chronicle.sent(send.wish) === 1
        ? 'refused what it has done'
        : undefined;
    },
  };
}
