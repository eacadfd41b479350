// Slow: 50 histories of calls, each sent to a chain and to a model.
import fc from 'fast-check';
import { keccak256, numberToHex, type Address, type Hex } from 'viem';
import { startAnvil, type TestChain } from './support/anvil';
import {
  ANCHORER,
  NOBODY,
  NOMINEE,
  OWNER,
  STRANGER,
  ZERO_ROOT,
  deployLedgerAnchor,
  type LedgerOnChain,
  type Write,
} from './support/ledger-anchor';
import { LedgerModel, type Step } from './support/ledger-anchor-model';

/** Whatever is sent, by whomever, in whatever order: contract and model take the same, and refuse the rest alike. */

const rightOr = <const T extends string>(...wrong: T[]) =>
  fc.oneof({ weight: 12, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.constantFrom(...wrong) });
const role = fc.constantFrom('Owner' as const, 'Anchorer' as const);

/** Told by what is wrong with it, since what is right depends on what went before. */
const intent = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('anchor' as const),
      by: rightOr('owner', 'stranger', 'the anchorer before'),
      batchId: rightOr('known', 'ahead', 'beyond 32 bits', 'zero'),
      firstSequence: rightOr('overlapping', 'with a gap', 'zero'),
      previousRoot: rightOr('zero', 'foreign', 'the one before'),
      root: rightOr('zero', 'the same again'),
      count: fc.oneof(
        { weight: 12, arbitrary: fc.integer({ min: 1, max: 2 ** 32 - 1 }) },
        { weight: 1, arbitrary: fc.constant(0) },
      ),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('nominate' as const),
      by: rightOr('anchorer', 'stranger'),
      role,
      nominee: rightOr('owner', 'anchorer', 'stranger', 'nobody'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('withdraw' as const), by: rightOr('anchorer', 'nominee'), role }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('accept' as const),
      by: rightOr('owner', 'anchorer', 'nominee', 'stranger'),
      role,
    }),
  },
);
type Intent = typeof intent extends fc.Arbitrary<infer A> ? A : never;

const rootOf = (n: bigint): Hex => keccak256(numberToHex(n));
const people: Record<string, Address> = {
  owner: OWNER,
  anchorer: ANCHORER,
  nominee: NOMINEE,
  stranger: STRANGER,
  nobody: NOBODY,
};

function chosen<K extends string, T>(wrong: K | undefined, right: T, choices: Record<K, T>): T {
  return wrong === undefined ? right : choices[wrong];
}

function made(model: LedgerModel, wish: Intent): { caller: Address; step: Step } {
  const callerOr = (right: Address) => (wish.by === undefined ? right : (people[wish.by] ?? ANCHORER));
  if (wish.do === 'nominate') {
    const nominee = people[wish.nominee ?? 'nominee']!;
    return { caller: callerOr(model.holder.Owner), step: { do: 'nominate', role: wish.role, nominee } };
  }
  if (wish.do === 'withdraw')
    return { caller: callerOr(model.holder.Owner), step: { do: 'withdraw', role: wish.role } };
  if (wish.do === 'accept') {
    return { caller: callerOr(model.nominee[wish.role] ?? STRANGER), step: { do: 'accept', role: wish.role } };
  }
  const { next } = model;
  const { batchId, firstSequence, previousRoot } = next;
  const batch = {
    batchId: chosen(wish.batchId, batchId, {
      known: batchId - 1n,
      ahead: batchId + 1n,
      'beyond 32 bits': batchId + 2n ** 32n,
      zero: 0n,
    }),
    root: chosen(wish.root, rootOf(batchId), { zero: ZERO_ROOT, 'the same again': previousRoot }),
    firstSequence: chosen(wish.firstSequence, firstSequence, {
      overlapping: firstSequence - 1n,
      'with a gap': firstSequence + 1n,
      zero: 0n,
    }),
    count: wish.count,
    previousRoot: chosen(wish.previousRoot, previousRoot, {
      zero: ZERO_ROOT,
      foreign: rootOf(999n),
      'the one before': model.batches.at(-2)?.root ?? ZERO_ROOT,
    }),
  };
  return { caller: callerOr(model.holder.Anchorer), step: { do: 'anchor', batch } };
}

function callOf(step: Step): { name: Write; args: readonly unknown[] } {
  if (step.do === 'nominate') return { name: `nominate${step.role}`, args: [step.nominee] };
  if (step.do === 'withdraw') return { name: `withdraw${step.role}Nomination`, args: [] };
  if (step.do === 'accept') return { name: `accept${step.role}Nomination`, args: [] };
  const { batchId, root, firstSequence, count, previousRoot } = step.batch;
  return { name: 'anchor', args: [batchId, root, firstSequence, count, previousRoot] };
}

async function expectSameState(ledger: LedgerOnChain, model: LedgerModel): Promise<void> {
  const last = model.batches.at(-1);
  const roles = ['owner', 'anchorer', 'ownerNominee', 'anchorerNominee'] as const;
  const [[batchId, anchor], ...held] = await Promise.all([ledger.latest(), ...roles.map(ledger.role)]);
  expect(batchId).toBe(BigInt(model.batches.length));
  expect(anchor).toMatchObject(
    last
      ? { root: last.root, firstSequence: last.firstSequence, count: last.count }
      : { root: ZERO_ROOT, firstSequence: 0n, count: 0, blockNumber: 0n, time: 0n },
  );
  const { holder, nominee } = model;
  expect(held).toEqual([holder.Owner, holder.Anchorer, nominee.Owner ?? NOBODY, nominee.Anchorer ?? NOBODY]);
}

describe('LedgerAnchor beside its model', () => {
  let chain: TestChain;
  beforeAll(async () => {
    chain = await startAnvil();
  }, 30_000);
  afterAll(() => chain.stop());

  it('when 50 random runs of valid and invalid calls are sent, then both decide alike each time', async () => {
    const decided = new Map<string, number>();
    await fc.assert(
      fc.asyncProperty(fc.array(intent, { minLength: 5, maxLength: 16 }), async (wishes) => {
        const ledger = await deployLedgerAnchor(chain);
        const model = new LedgerModel();
        for (const wish of wishes) {
          const { caller, step } = made(model, wish);
          const { name, args } = callOf(step);
          const verdict = model.take(caller, step);
          if ('refused' in verdict) {
            expect(await ledger.refusal(caller, name, args)).toEqual(verdict.refused);
          } else {
            const { status, events } = await ledger.send(caller, name, args as never);
            expect({ status, events }).toEqual({ status: 'success', events: verdict.events });
            await expectSameState(ledger, model);
          }
          const outcome = 'refused' in verdict ? verdict.refused.name : name;
          decided.set(outcome, (decided.get(outcome) ?? 0) + 1);
        }
        for (const { batchId, root, firstSequence, count } of model.batches) {
          expect(await ledger.anchorOf(batchId)).toMatchObject({ root, firstSequence, count });
        }
      }),
      { numRuns: 50 },
    );
    const list = [...decided].sort(([a], [b]) => a.localeCompare(b)).map(([outcome, n]) => `${outcome} ${n}`);
    process.stdout.write(`LedgerAnchor beside its model: ${list.join(', ')}\n`);
  }, 180_000);
});
