import { drawWeather, FAIR, Network } from '../../../../shared/testing/simulation/network';
import { isolated } from '../../../../shared/testing/simulation/isolation';
import { Scheduler } from '../../../../shared/testing/simulation/scheduler';
import { type Run, storm } from '../../../../shared/testing/simulation/storm';
import type { Plant } from './replica';
import { World } from './world';

const TIMES = { storm: [1_000, 3_000] as [number, number], settling: 30_000 };

/** One run, in which publishers tell of uses. */
export function simulate(seed: number, plant: Plant = {}): Promise<Run> {
  const scheduler = new Scheduler(seed);
  const randomBytes = (length: number) => Buffer.from(Array.from({ length }, () => scheduler.whole(0, 255)));
  const setTimeout = (work: () => void, ms = 0) => scheduler.after(ms, 'a timer of a sink', work);
  const clearTimeout = (callOff: unknown) => (callOff as () => void)();
  const network = new Network(scheduler, scheduler.chance(0.15) ? FAIR : drawWeather(scheduler));
  const world = new World(scheduler, network, plant);
  const { fetch } = world.outside.web;
  const given = { randomBytes, setTimeout, clearTimeout, fetch: fetch as typeof globalThis.fetch };
  return isolated(() => storm({ scheduler, network, tally: world.uses.tally }, TIMES, world), given);
}
