import { percentile } from '../measure';
import type { Done, Side } from './load';

/** What one side did in all rounds of a cell. */
export interface Tally extends Done {
  /** Microseconds of CPU by process. */
  cpu: Record<string, number>;
  /** Seconds that this CPU was taken over: events that still had to be relayed included. */
  cpuSeconds: number;
}

export type Tallies = Record<Side, Tally>;

export const nothing = (): Tally => ({ count: 0, seconds: 0, latencies: [], unexpected: {}, cpu: {}, cpuSeconds: 0 });

export function add(tally: Tally, more: Tally): void {
  tally.count += more.count;
  tally.seconds += more.seconds;
  tally.latencies = [...tally.latencies, ...more.latencies].sort((a, b) => a - b);
  tally.cpuSeconds += more.cpuSeconds;
  for (const field of ['cpu', 'unexpected'] as const) {
    for (const [name, value] of Object.entries(more[field])) tally[field][name] = (tally[field][name] ?? 0) + value;
  }
}

export const perSecond = ({ count, seconds }: Pick<Done, 'count' | 'seconds'>): number => count / seconds;
export const ratio = ({ service, sql }: Tallies): number => perSecond(service) / perSecond(sql);

export function rateLine(name: string, done: Done): string {
  const ms = (fraction: number): string => percentile(done, fraction).toFixed(1).padStart(6);
  return `${name.padEnd(12)}${perSecond(done).toFixed(0).padStart(6)} pairs/s   p50${ms(0.5)} ms   p99${ms(0.99)} ms`;
}

/** CPU of each process for a pair, and how many cores it kept busy. */
export function cpuText({ cpu, count, cpuSeconds }: Tally): string {
  const parts = Object.entries(cpu).filter(([, spent]) => spent > 0);
  const total = parts.reduce((sum, [, spent]) => sum + spent, 0);
  const shown = [...parts, ['together', total] as const].map(
    ([part, spent]) => `${part} ${(spent / count).toFixed(0)} µs (${(spent / 1e6 / cpuSeconds).toFixed(2)})`,
  );
  return shown.join(', ');
}
