import { drawWeather, FAIR, Network } from '../../../../shared/testing/simulation/network';
import { isolated } from '../../../../shared/testing/simulation/isolation';
import { Scheduler } from '../../../../shared/testing/simulation/scheduler';
import type { Plant } from './replica';
import { OUTSIDE, World } from './world';

/** Milliseconds after the storm in which all that was begun must have come to its end. */
const SETTLING = 30_000;

export interface Run {
  steps: number;
  /** Of the whole trace: two runs with the same one did the same. */
  hash: string;
  tally: Record<string, number>;
  failure?: { invariant: string; detail: string; report: string };
}

/**
 * One run: a storm, in which publishers tell of uses while replicas die and messages are lost, and then fair weather, in
 * which everything must come right. Ends with the first invariant that does not hold.
 */
export function simulate(seed: number, plant: Plant = {}): Promise<Run> {
  const scheduler = new Scheduler(seed);
  const randomBytes = (length: number) => Buffer.from(Array.from({ length }, () => scheduler.whole(0, 255)));
  const setTimeout = (work: () => void, ms = 0) => scheduler.after(ms, 'a timer of a sink', work);
  const clearTimeout = (callOff: unknown) => (callOff as () => void)();
  const network = new Network(scheduler, scheduler.chance(0.15) ? FAIR : drawWeather(scheduler));
  const world = new World(scheduler, network, plant);
  const { fetch } = world.outside.web;
  const given = { randomBytes, setTimeout, clearTimeout, fetch: fetch as typeof globalThis.fetch };
  return isolated(() => run(scheduler, network, world), given);
}

async function run(scheduler: Scheduler, network: Network, world: World): Promise<Run> {
  const storm = scheduler.between(1_000, 3_000);
  let failure: { invariant: string; detail: string } | undefined;
  while (!failure && (await scheduler.step(storm))) {
    failure = await world.fault();
    if (scheduler.chance(network.weather.crash)) world.cluster.endOne();
  }
  world.calm();
  while (!failure) {
    failure = await world.fault();
    const left = failure ? undefined : await world.unsettled();
    if (failure || left === undefined) break;
    if (!(await scheduler.step(storm + SETTLING))) failure = { invariant: OUTSIDE.end, detail: left };
  }
  const done = { steps: scheduler.trace.length, hash: scheduler.hash(), tally: world.uses.tally };
  return failure ? { ...done, failure: { ...failure, report: report(scheduler, failure) } } : done;
}

function report(scheduler: Scheduler, { invariant, detail }: { invariant: string; detail: string }): string {
  return [
    `seed ${scheduler.seed}, step ${scheduler.trace.length}: broken: ${invariant}: ${detail}`,
    `replay: SIM_SEED=${scheduler.seed} npx jest services/blockchain-forwarder/test/simulation --selectProjects proofs`,
    'the last steps (number, milliseconds, what happened; what followed from it):',
    ...scheduler.trace.slice(-60),
  ].join('\n');
}
