import { z } from 'zod';
import type { StatsSample } from '../ports/container-runtime';

/** Docker's sample, as far as we read it; of a container that does not run most of it is missing. */
const dockerStats = z.object({
  read: z.string(),
  cpu_stats: z.object({ cpu_usage: z.object({ total_usage: z.number() }) }),
  memory_stats: z.object({
    usage: z.number(),
    limit: z.number(),
    // cgroup v2, cgroup v1
    stats: z.object({ inactive_file: z.number().optional(), total_inactive_file: z.number().optional() }).default({}),
  }),
  pids_stats: z.object({ current: z.number().default(0) }).default({ current: 0 }),
  networks: z.record(z.string(), z.object({ rx_bytes: z.number(), tx_bytes: z.number() })).default({}),
});

export function sampleOf(raw: unknown): StatsSample | undefined {
  const { data } = dockerStats.safeParse(raw);
  if (!data) return undefined;
  const { stats, usage, limit } = data.memory_stats;
  const networks = Object.values(data.networks);
  return {
    at: new Date(data.read).toISOString(),
    cpuNanos: data.cpu_stats.cpu_usage.total_usage,
    memoryBytes: Math.max(0, usage - (stats.inactive_file ?? stats.total_inactive_file ?? 0)),
    memoryLimitBytes: limit,
    networkRxBytes: networks.reduce((sum, { rx_bytes: bytes }) => sum + bytes, 0),
    networkTxBytes: networks.reduce((sum, { tx_bytes: bytes }) => sum + bytes, 0),
    pids: data.pids_stats.current,
  };
}
