import fc from 'fast-check';
import { keccak256, toHex, type Address, type Hex } from 'viem';
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

/** Whatever is sent, by whomever, in whatever order: contract and model refuse the same, for the same reason. */

const rightOr = <T>(...wrong: T[]) =>
  fc.oneof({ weight: 12, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.constantFrom(...wrong) });
const person = fc.constantFrom('owner', 'anchorer', 'nominee', 'stranger');
const role = fc.constantFrom('Owner' as const, 'Anchorer' as const);

/** Told by what is wrong with it, since what is right depends on what went before. */
const intent = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('anchor' as const),
      by: rightOr('owner', 'stranger', 'the anchorer before'),
      batchId: rightOr(-1n, 1n, 2n ** 32n, 'zero' as const),
      firstSequence: rightOr(-1n, 1n, 1000n),
      previousRoot: rightOr('zero', 'foreign', 'the one before'),
      root: rightOr('zero', 'the same again'),
      count: fc.oneof(
        { weight: 12, arbitrary: fc.integer({ min: 1, max: 2 ** 32 - 1 }) },
        { weight: 1, arbitrary: fc.constant(0) },
      ),
    }),
  },
  {
    weight: 2,
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
    arbitrary: fc.record({ do: fc.constant('accept' as const), by: fc.option(person, { nil: undefined }), role }),
  },
);
type Intent = typeof intent extends fc.Arbitrary<infer A> ? A : never;

const rootOf = (n: bigint): Hex => keccak256(toHex(n));
const people: Record<string, Address> = {
  owner: OWNER,
  anchorer: ANCHORER,
  nominee: NOMINEE,
  stranger: STRANGER,
  nobody: NOBODY,
};

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
  const given = next.batchId + (typeof wish.batchId === 'bigint' ? wish.batchId : 0n);
  const wrongPrevious = { zero: ZERO_ROOT, foreign: rootOf(999n), 'the one before': model.batches.at(-2)?.root };
  const roots = { zero: ZERO_ROOT, 'the same again': model.batches.at(-1)?.root };
  const shifted = next.firstSequence + (wish.firstSequence ?? 0n);
  const batch = {
    batchId: wish.batchId === 'zero' ? 0n : given,
    root: (wish.root && roots[wish.root as keyof typeof roots]) ?? rootOf(next.batchId),
    firstSequence: shifted,
    count: wish.count,
    previousRoot:
      (wish.previousRoot && wrongPrevious[wish.previousRoot as keyof typeof wrongPrevious]) ?? next.previousRoot,
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
  const [batchId, anchor] = await ledger.latest();
  expect(batchId).toBe(BigInt(model.batches.length));
  expect(anchor).toMatchObject(
    last
      ? { root: last.root, firstSequence: last.firstSequence, count: last.count }
      : { root: ZERO_ROOT, firstSequence: 0n, count: 0, blockNumber: 0n, time: 0n },
  );
  expect(await ledger.role('owner')).toBe(model.holder.Owner);
  expect(await ledger.role('anchorer')).toBe(model.holder.Anchorer);
  expect(await ledger.role('ownerNominee')).toBe(model.nominee.Owner ?? NOBODY);
  expect(await ledger.role('anchorerNominee')).toBe(model.nominee.Anchorer ?? NOBODY);
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
      fc.asyncProperty(fc.array(intent, { minLength: 5, maxLength: 20 }), async (wishes) => {
        const ledger = await deployLedgerAnchor(chain);
        const model = new LedgerModel();
        for (const wish of wishes) {
          const { caller, step } = made(model, wish);
          const { name, args } = callOf(step);
          const verdict = model.take(caller, step);
          const refusal = await ledger.refusal(caller, name, args);
          const sent = await ledger.send(caller, name, args as never);
          const wrong = 'refused' in verdict ? verdict.refused : undefined;
          expect(refusal).toEqual(wrong);
          expect(sent.status).toBe(wrong ? 'reverted' : 'success');
          expect(sent.events).toEqual('refused' in verdict ? [] : verdict.events);
          const outcome = wrong ? wrong.name : name;
          decided.set(outcome, (decided.get(outcome) ?? 0) + 1);
          await expectSameState(ledger, model);
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
