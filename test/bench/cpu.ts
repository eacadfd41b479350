import fs from 'node:fs';

/** CPU so far, in microseconds: a process's own, and that of its children that have ended. /proc counts in hundredths of a second. */
function stat(pid: string): { parent: string; cpu: number; ended: number } | undefined {
  let text: string;
  try {
    text = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined; // it has ended
  }
  // the name, in brackets, may hold spaces
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const sum = (at: number): number => (Number(fields[at]) + Number(fields[at + 1])) * 10_000;
  return { parent: fields[1] ?? '', cpu: sum(11), ended: sum(13) };
}

/** CPU in microseconds by process; what a process has for children counts with it (the backends of PostgreSQL). */
export function cpuOf(pids: Record<string, number>): Record<string, number> {
  const all = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const stats = new Map(all.flatMap((pid) => [[pid, stat(pid)] as const]));
  return Object.fromEntries(
    Object.entries(pids).map(([name, pid]) => {
      const family = [...stats].filter(([of, entry]) => of === String(pid) || entry?.parent === String(pid));
      return [name, family.reduce((sum, [, entry]) => sum + (entry?.cpu ?? 0) + (entry?.ended ?? 0), 0)];
    }),
  );
}

export function cpuBetween(before: Record<string, number>, after: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(after).map(([name, cpu]) => [name, cpu - (before[name] ?? 0)]));
}

/** Memory that a process holds, in megabytes. */
export function residentMb(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) / 1024;
}

/** The most that it ever held. */
export function peakMb(pid: number): number {
  const [, kilobytes] = /^VmHWM:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) / 1024;
}
