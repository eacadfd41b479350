import type { Lifetime } from './service-type';

/** What a container has used since it began, at some moment. */
export interface Counters {
  at: string;
  cpuNanos: number;
  networkRxBytes: number;
  networkTxBytes: number;
}

/** What it used on average between two moments; undefined when the later is not later, or its counting began anew. */
export function rateBetween(before: Counters, after: Counters): { cpuCores: number; networkRate: number } | undefined {
  const ms = Date.parse(after.at) - Date.parse(before.at);
  const nanos = after.cpuNanos - before.cpuNanos;
  const bytes = after.networkRxBytes + after.networkTxBytes - before.networkRxBytes - before.networkTxBytes;
  if (ms <= 0 || nanos < 0 || bytes < 0) return undefined;
  return { cpuCores: nanos / (ms * 1e6), networkRate: (bytes * 1000) / ms };
}

/** More was done than what a program does that nobody uses: its own keep-alives, its housekeeping. */
export function isActivity(before: Counters, after: Counters, { activity }: Lifetime): boolean {
  const rate = rateBetween(before, after);
  return rate !== undefined && (rate.cpuCores > activity.cpuCores || rate.networkRate > activity.networkRate);
}
