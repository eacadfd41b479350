import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { BRIDGE_KINDS, bridgeName, type BridgeKind } from '../shared/contracts/task-bridges';

/** Where nobody but the host's neighbours live: private networks, and what clouds serve metadata from. */
const NEIGHBOURHOOD = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '169.254.0.0/16'];

/** What begins at a task is dropped, answers pass. The README of task-runner tells operators the same. */
function rulesOf(instance: string): [chain: string, ...rule: string[]][] {
  const drop = (chain: string, kind: BridgeKind, ...where: string[]): [string, ...string[]] => {
    return [chain, '-i', bridgeName(instance, kind), '-m', 'conntrack', '--ctstate', 'NEW', ...where, '-j', 'DROP'];
  };
  return [
    ...BRIDGE_KINDS.map((kind) => drop('INPUT', kind)),
    drop('DOCKER-USER', 'closed'),
    drop('DOCKER-USER', 'answers'),
    ...NEIGHBOURHOOD.map((net) => drop('DOCKER-USER', 'internet', '-d', net)),
  ];
}

/**
 * Closes the host and its neighbourhood off from the tasks of an instance, on this machine. Again: nothing changes.
 * @returns false where that is not ours to do (not Linux, not root, no iptables) or Docker is elsewhere
 */
export async function closeTasksOff(instance: string): Promise<boolean> {
  if (!mayCloseOff()) return false;
  for (const [chain, ...rule] of rulesOf(instance)) {
    if (await succeeds('-C', chain, ...rule)) continue;
    if (!(await succeeds('-I', chain, '1', ...rule))) return false;
  }
  return true;
}

/** Takes the rules away again, where they are. */
export async function openTasks(instance: string): Promise<void> {
  if (!mayCloseOff()) return;
  for (const [chain, ...rule] of rulesOf(instance)) {
    while (await succeeds('-D', chain, ...rule));
  }
}

/** Whether this host's firewall is ours to set, and tasks run on this host. */
export function mayCloseOff(): boolean {
  return process.platform === 'linux' && process.getuid?.() === 0 && !process.env.DOCKER_HOST;
}

/** False also where there is no iptables. */
function succeeds(...args: string[]): Promise<boolean> {
  return promisify(execFile)('iptables', ['-w', '5', ...args]).then(
    () => true,
    () => false,
  );
}
