// Slow: 300 storms of two replicas, and for each planted fault as many as find it.
import { runSeeds, seedsOr, trusted } from '../../../../shared/testing/simulation/seeds';
import { NAMES } from './invariants';
import { PLANTED } from './planted-faults';
import { simulate } from './simulate';
import { OUTSIDE } from './world';

const SEEDS = seedsOr(300);
const MINUTE = 60_000;

/** What the storms must have led to, or the invariants would have held over nothing. */
const REACHED = [
  'a use',
  'no use',
  'told again',
  'other content under a known id',
  'crash',
  'stopped',
  'delivered again',
  'delivered again for no reason',
  'delivered after a refusal',
  'delivered from the dead letters',
  'batch',
  'refused: usage',
  'refused: ledger-head',
  'refused: sink',
  'lease given up',
  'lease taken over',
  'trouble with a sink',
  'letter: event.invalid',
  'letter: usage.unusable',
  'letter: usage.content_mismatch',
  'letter: sink.refused',
  'archive: delivered',
  'http: delivered',
  'evm: submitted',
  'evm: mined',
  'evm: finalized',
  'taken back by the chain',
  'transaction replaced',
  'chain: reorganised',
  'chain: pool forgotten',
  'chain: nonce of somebody else',
  'chain: fee',
];

test(
  `the forwarder in ${SEEDS} storms: each use is one record in one batch, and each batch comes once to each sink`,
  async () => {
    const happened = await runSeeds(SEEDS, simulate);
    expect(SEEDS < 200 ? [] : REACHED.filter((what) => !happened.has(what))).toEqual([]);
  },
  10 * MINUTE,
);

trusted(simulate, PLANTED, [...NAMES, ...Object.values(OUTSIDE)], { seeds: 200, ms: 2 * MINUTE });
