import { type Run, simulate } from './simulate';

/** Runs of the simulation: so many, from this seed on. SIM_SEED=<seed> replays that one alone. */
const REPLAYED = process.env['SIM_SEED'];
const FIRST = Number(REPLAYED ?? process.env['SIM_FIRST'] ?? 1);
const SEEDS = REPLAYED === undefined ? Number(process.env['SIM_SEEDS'] ?? 300) : 1;
const MINUTE = 60_000;

/** What the storms must have led to, or the invariants would have held over nothing. */
const REACHED: string[] = [];

test(
  `the forwarder in ${SEEDS} storms: each use is one record in one batch, and each batch comes once to each sink`,
  async () => {
    const begun = performance.now();
    const tally = new Map<string, number>();
    let steps = 0;
    for (let seed = FIRST; seed < FIRST + SEEDS; seed += 1) {
      const run: Run = await simulate(seed);
      if (run.failure) throw new Error(run.failure.report);
      steps += run.steps;
      for (const [what, times] of Object.entries(run.tally)) tally.set(what, (tally.get(what) ?? 0) + times);
    }
    const seconds = (performance.now() - begun) / 1_000;
    const rate = `${Math.round(SEEDS / seconds)} seeds and ${Math.round(steps / seconds)} steps a second`;
    process.stdout.write(`simulation: ${SEEDS} seeds, ${steps} steps in ${seconds.toFixed(1)} s: ${rate}\n`);
    process.stdout.write(JSON.stringify([...tally]));
    expect(SEEDS < 200 ? [] : REACHED.filter((what) => !tally.has(what))).toEqual([]);
  },
  10 * MINUTE,
);
