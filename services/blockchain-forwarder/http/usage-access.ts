import type { Caller } from '../../../shared/http/route';
import type { Reader } from '../application/read-usage';
import type { UsageFilter } from '../ports/usage-store';

const ADMIN = 'usage:admin';

export function readerOf(caller: Caller): Reader {
  return { sub: caller.sub, isAdmin: caller.may(ADMIN, 'api/usage') };
}

/**
 * The filter of what this reader may see of what it asks for; null when that is nothing, as another user's records are
 * none that it may know of. Records carry times with milliseconds, and are compared as text.
 */
export function visible(filter: UsageFilter, { sub, isAdmin }: Reader): UsageFilter | null {
  if (filter.userId !== undefined && filter.userId !== sub && !isAdmin) return null;
  const instant = (time: string | undefined) => (time === undefined ? undefined : new Date(time).toISOString());
  const asked = { ...filter, from: instant(filter.from), to: instant(filter.to) };
  return isAdmin ? asked : { ...asked, userId: sub };
}
