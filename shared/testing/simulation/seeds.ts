import type { Run } from './storm';

/** SIM_SEED=<seed> replays that one alone; SIM_SEEDS is how many are run, from SIM_FIRST on. */
const { SIM_SEED, SIM_SEEDS, SIM_FIRST } = process.env;
const FIRST = Number(SIM_SEED ?? SIM_FIRST ?? 1);

export const seedsOr = (usual: number): number => (SIM_SEED === undefined ? Number(SIM_SEEDS ?? usual) : 1);

type Simulate<Plant> = (seed: number, plant?: Plant) => Promise<Run>;

/** What is put in the place of a part, and the invariant by which it is found. */
export interface PlantedFault<Plant> {
  name: string;
  plant: () => Plant;
  breaks: string;
}

/** @returns what has happened in them. @throws when an invariant is broken */
export async function runSeeds(seeds: number, simulate: Simulate<never>): Promise<Set<string>> {
  const begun = performance.now();
  const happened = new Set<string>();
  let steps = 0;
  for (let seed = FIRST; seed < FIRST + seeds; seed += 1) {
    const run = await simulate(seed);
    if (run.failure) throw new Error(run.failure.report);
    steps += run.steps;
    for (const what of Object.keys(run.tally)) happened.add(what);
  }
  const seconds = (performance.now() - begun) / 1_000;
  const rate = `${Math.round(seeds / seconds)} seeds and ${Math.round(steps / seconds)} steps a second`;
  process.stdout.write(`simulation: ${seeds} seeds, ${steps} steps in ${seconds.toFixed(1)} s: ${rate}\n`);
  return happened;
}

/** Tests that the simulation itself can be trusted. */
export function trusted<Plant>(
  simulate: Simulate<Plant>,
  planted: readonly PlantedFault<Plant>[],
  invariants: readonly string[],
  limits: { seeds: number; ms: number },
): void {
  test('a seed replays exactly, and another one is another run', async () => {
    const [first, again, other] = [await simulate(FIRST), await simulate(FIRST), await simulate(FIRST + 1)];
    expect(again).toEqual(first);
    expect(other.hash).not.toBe(first.hash);
  });

  describe('what is wrong is found', () => {
    test.each(planted)(
      '$name: $breaks',
      async ({ plant, breaks }) => {
        let failure: Run['failure'];
        let seed = 0;
        do {
          seed += 1;
          ({ failure } = await simulate(seed, plant()));
        } while (failure?.invariant !== breaks && seed < limits.seeds);
        expect(failure?.invariant).toBe(breaks);
        expect(failure?.report).toContain(`SIM_SEED=${seed} `);
        // the same seed finds the same, step by step
        expect((await simulate(seed, plant())).failure).toEqual(failure);
      },
      limits.ms,
    );

    test('every invariant is one by which something is found', () => {
      const found = new Set(planted.map(({ breaks }) => breaks));
      expect(invariants.filter((name) => !found.has(name))).toEqual([]);
    });
  });
}
