// Slow: 1,200 storms of two replicas, and for each planted fault as many as find it.
import { NAMES } from './invariants';
import { PLANTED } from './planted-faults';
import { type Run, simulate } from './simulate';

/** Runs of the simulation: so many, from this seed on. SIM_SEED=<seed> replays that one alone. */
const REPLAYED = process.env['SIM_SEED'];
const FIRST = Number(REPLAYED ?? process.env['SIM_FIRST'] ?? 1);
const SEEDS = REPLAYED === undefined ? Number(process.env['SIM_SEEDS'] ?? 1_200) : 1;
/** So many find each planted fault. */
const PLANTED_SEEDS = 2_000;
const MINUTE = 60_000;

/** What the storms must have led to, or the invariants would have held over nothing. */
const REACHED = [
  'crash',
  'allocate done',
  'allocate lost',
  'allocate allocation.insufficient_capacity',
  'allocate allocation.others_wait',
  'request waiting',
  'request granted',
  'request expired',
  'request cancelled',
  'cancel done',
  'watch done',
  'allocate pool.cordoned',
  'allocate pool.draining',
  'reuse-key request.idempotency_key_reused',
  'group done',
  'group allocation.insufficient_capacity',
  'task-allocate done',
  'task-allocate allocation.given_back',
  'task waits',
  'task hears of its grant',
  'task-release done',
  'renew done',
  'renew allocation.not_found',
  'release done',
  'release allocation.not_found',
  'release-all done',
  'release-group done',
  'resize done',
  'resize pool.capacity_below_allocated',
  'resize pool.change_superseded',
  'hung up before its turn',
  'close done',
  'close pool.in_use',
  'ended: released',
  'ended: expired',
];

test(
  `two replicas in ${SEEDS} storms: nothing oversold, lost, doubled or left over`,
  async () => {
    const begun = performance.now();
    const tally = new Map<string, number>();
    let steps = 0;
    for (let seed = FIRST; seed < FIRST + SEEDS; seed += 1) {
      const run = await simulate(seed);
      if (run.failure) throw new Error(run.failure.report);
      steps += run.steps;
      for (const [what, times] of Object.entries(run.tally)) tally.set(what, (tally.get(what) ?? 0) + times);
    }
    const seconds = (performance.now() - begun) / 1_000;
    const rate = `${Math.round(SEEDS / seconds)} seeds and ${Math.round(steps / seconds)} steps a second`;
    process.stdout.write(`simulation: ${SEEDS} seeds, ${steps} steps in ${seconds.toFixed(1)} s: ${rate}\n`);
    expect(SEEDS < 500 ? [] : REACHED.filter((what) => !tally.has(what))).toEqual([]);
  },
  10 * MINUTE,
);

test('a seed replays exactly, and another one is another run', async () => {
  const [first, again, other] = [await simulate(FIRST), await simulate(FIRST), await simulate(FIRST + 1)];
  expect(again).toEqual(first);
  expect(other.hash).not.toBe(first.hash);
});

describe('what is wrong is found', () => {
  test.each(PLANTED)(
    '$name: $breaks',
    async ({ plant, breaks }) => {
      let failure: Run['failure'];
      let seed = 0;
      do {
        seed += 1;
        ({ failure } = await simulate(seed, plant()));
      } while (failure?.invariant !== breaks && seed < PLANTED_SEEDS);
      expect(failure?.invariant).toBe(breaks);
      expect(failure?.report).toContain(`SIM_SEED=${seed} `);
      // the same seed finds the same, step by step
      expect((await simulate(seed, plant())).failure).toEqual(failure);
    },
    MINUTE,
  );

  test('every invariant is one by which something is found', () => {
    const found = new Set(PLANTED.map(({ breaks }) => breaks));
    expect(NAMES.filter((name) => !found.has(name))).toEqual([]);
  });
});
