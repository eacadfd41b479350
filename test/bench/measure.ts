/** How often something was done in how many seconds, and how long each time took. */
export interface Measurement {
  count: number;
  seconds: number;
  /** Milliseconds, sorted. */
  latencies: number[];
}

/** How long `once` takes, one after the other. */
export async function times(count: number, once: () => Promise<number>): Promise<Measurement> {
  const latencies: number[] = [];
  for (let done = 0; done < count; done += 1) latencies.push(await once());
  const total = latencies.reduce((sum, ms) => sum + ms, 0);
  return { count, seconds: total / 1000, latencies: latencies.sort((a, b) => a - b) };
}

export function percentile({ latencies }: Pick<Measurement, 'latencies'>, fraction: number): number {
  return latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * fraction))] ?? Number.NaN;
}
