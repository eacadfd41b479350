/** How often something was done in how many seconds, and how long each time took. */
export interface Measurement {
  count: number;
  seconds: number;
  /** Milliseconds, sorted. */
  latencies: number[];
}

/** Does `once` over and over with that many clients at a time, for that long; the first seconds do not count. */
export async function rate(
  clients: number,
  seconds: number,
  warmUpSeconds: number,
  once: (client: number) => Promise<void>,
): Promise<Measurement> {
  const began = performance.now() + warmUpSeconds * 1000;
  const end = began + seconds * 1000;
  const latencies: number[] = [];
  const work = async (client: number): Promise<void> => {
    while (performance.now() < end) {
      const started = performance.now();
      await once(client);
      if (started >= began) latencies.push(performance.now() - started);
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, client) => work(client)));
  // what was begun before the end counts with the time it took
  return {
    count: latencies.length,
    seconds: (performance.now() - began) / 1000,
    latencies: latencies.sort((a, b) => a - b),
  };
}

/** How long `once` takes, one after the other. */
export async function times(count: number, once: () => Promise<number>): Promise<Measurement> {
  const latencies: number[] = [];
  for (let done = 0; done < count; done += 1) latencies.push(await once());
  const total = latencies.reduce((sum, ms) => sum + ms, 0);
  return { count, seconds: total / 1000, latencies: latencies.sort((a, b) => a - b) };
}

export const perSecond = ({ count, seconds }: Measurement): number => count / seconds;

export function percentile({ latencies }: Measurement, fraction: number): number {
  return latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * fraction))] ?? Number.NaN;
}

export function shown(measurement: Measurement): string {
  const [median, late] = [percentile(measurement, 0.5), percentile(measurement, 0.99)];
  return `${perSecond(measurement).toFixed(1).padStart(8)}/s   median ${median.toFixed(1)} ms, 99 % ${late.toFixed(1)} ms (${measurement.count} in ${measurement.seconds.toFixed(1)} s)`;
}
