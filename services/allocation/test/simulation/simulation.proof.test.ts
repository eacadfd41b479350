// Slow: 1,200 storms of two replicas, and for each planted fault as many as find it.
import { runSeeds, seedsOr, trusted } from '../../../../shared/testing/simulation/seeds';
import { NAMES } from './invariants';
import { PLANTED } from './planted-faults';
import { simulate } from './simulate';

const SEEDS = seedsOr(1_200);
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
    const happened = await runSeeds(SEEDS, simulate);
    expect(SEEDS < 500 ? [] : REACHED.filter((what) => !happened.has(what))).toEqual([]);
  },
  10 * MINUTE,
);

trusted(simulate, PLANTED, NAMES, { seeds: 2_000, ms: MINUTE });
