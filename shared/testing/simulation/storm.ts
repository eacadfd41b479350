import { relative } from 'node:path';
import { FAIR, type Network } from './network';
import type { Scheduler } from './scheduler';

/** The invariant that is looked at last. */
export const IN_THE_END = 'in the end all has come right';

export interface Fault {
  invariant: string;
  detail: string;
}

export interface Run {
  steps: number;
  /** Of the whole trace: two runs with the same one did the same. */
  hash: string;
  /** What happened how often: a simulation in which a thing never happens proves nothing about it. */
  tally: Record<string, number>;
  failure?: Fault & { report: string };
}

/** What a storm goes over. */
export interface Stormed {
  /** What the last step made wrong. */
  fault(): Promise<Fault | undefined>;
  /** Ends a replica, which comes back by itself. */
  crash(): void;
  /** No more faults; what was broken works again. */
  calm(): void;
  /** What must yet come to its end, or should never have come about. */
  unsettled(): string | undefined | Promise<string | undefined>;
}

/**
 * One run: a storm, in which replicas die and messages are lost, and then fair weather, in which everything must come right.
 * Ends with the first invariant that does not hold.
 * @param times milliseconds: how long the storm lasts, and in which time after it all that was begun must have come to its end
 */
export async function storm(
  { scheduler, network, tally }: { scheduler: Scheduler; network: Network; tally: Record<string, number> },
  times: { storm: [least: number, most: number]; settling: number },
  world: Stormed,
): Promise<Run> {
  const over = scheduler.between(...times.storm);
  let failure: Fault | undefined;
  while (!failure && (await scheduler.step(over))) {
    failure = await world.fault();
    if (scheduler.chance(network.weather.crash)) world.crash();
  }
  network.weather = FAIR;
  world.calm();
  for (;;) {
    failure ??= await world.fault();
    const left = failure ? undefined : await world.unsettled();
    if (left === undefined) break;
    if (!(await scheduler.step(over + times.settling))) failure = { invariant: IN_THE_END, detail: left };
  }
  const done = { steps: scheduler.trace.length, hash: scheduler.hash(), tally };
  return failure ? { ...done, failure: { ...failure, report: report(scheduler, failure) } } : done;
}

function report({ seed, trace }: Scheduler, { invariant, detail }: Fault): string {
  return [
    `seed ${seed}, step ${trace.length}: broken: ${invariant}: ${detail}`,
    `replay: SIM_SEED=${seed} npx jest ${relative('', expect.getState().testPath ?? '')} --selectProjects proofs`,
    'the last steps (number, milliseconds, what happened; what followed from it):',
    ...trace.slice(-60),
  ].join('\n');
}
