import { createHash } from 'node:crypto';

/**
 * The bridges on which tasks run: `closed` leads nowhere, `answers` only carries answers to requests from elsewhere,
 * `internet` is open.
 */
export const BRIDGE_KINDS = ['closed', 'answers', 'internet'] as const;
export type BridgeKind = (typeof BRIDGE_KINDS)[number];

/**
 * Name of an instance's interface: `task-runner` gives it, firewall rules of the host go by it (`-i rm-+` is all of them,
 * `-i rm-c+`, `-i rm-a+`, `-i rm-i+` those of a kind). It fits into an interface's 15 characters.
 */
export function bridgeName(instance: string, kind: BridgeKind): string {
  return `rm-${kind.charAt(0)}${createHash('sha256').update(instance).digest('hex').slice(0, 8)}`;
}
