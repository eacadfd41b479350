import type { Caller } from '../../../shared/http/route';
import type { Requester } from '../application/requester';

export function requesterOf(caller: Caller): Requester {
  return { sub: caller.sub, admin: caller.may('task:admin', 'api/tasks') };
}
