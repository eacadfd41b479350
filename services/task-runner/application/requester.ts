import type { Task } from '../domain/task';

/** Who asks. An admin may do to anybody's tasks what others may do to their own. */
export interface Requester {
  sub: string;
  admin: boolean;
}

export function maySee(requester: Requester, task: Task): boolean {
  return requester.admin || task.userId === requester.sub;
}
