import { createHash } from 'node:crypto';

/**
 * The interfaces on which an instance's tasks run begin so: `task-runner` names them, firewall rules of the host go by it
 * (`-i <prefix>+`; by `rm-+` for all instances). With one more letter it fits into an interface's 15 characters.
 */
export function bridgePrefix(instance: string): string {
  return `rm-${createHash('sha256').update(instance).digest('hex').slice(0, 8)}`;
}
