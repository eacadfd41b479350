import fc from 'fast-check';
import { dropped, mined, nothingYet, sent, signed } from '../domain/anchor-progress';
import { planAnchoring, type AnchoringRules, type Move, type OpenAnchor } from '../domain/anchoring';
import { ZERO_ROOT, type Batch } from '../domain/batch';
import { ModelChain, type ModelTransaction } from './support/model-chain';

const RULES: AnchoringRules = { stuckMs: 5_000, maxFeePerGas: 10_000n, inFlight: 4 };
const MEMORY = 3;
const rootOf = (batchId: number) => (batchId === 0 ? ZERO_ROOT : `0x${batchId.toString(16).padStart(64, '0')}`);

function batches(count: number): Batch[] {
  return Array.from({ length: count }, (_, n) => ({
    batchId: n + 1,
    root: rootOf(n + 1),
    firstSequence: n * 10 + 1,
    count: 10,
    previousRoot: rootOf(n),
    closedAt: '2026-01-01T00:00:00.000Z',
  }));
}

/** What the database holds, and the sender that may be anywhere when its process ends. */
class Sender {
  readonly rows: OpenAnchor[];
  private readonly past: string[] = [];
  private readonly written = new Set<string>();
  private salt = 0;

  constructor(
    private readonly chain: ModelChain,
    count: number,
  ) {
    this.rows = batches(count).map((batch) => ({ batch, stage: 'pending', progress: nothingYet(batch.batchId) }));
  }

  /**
   * @param crash after so many of the step's deeds
   * @param stale how many writes ago another sender read what it steps from
   */
  step(now: Date, { crash = Infinity, stale = 0 }: { crash?: number; stale?: number }): void {
    const known = JSON.parse(this.past.at(-1 - stale) ?? JSON.stringify(this.rows)) as OpenAnchor[];
    const open = known.filter(({ stage }) => stage !== 'finalized').slice(0, 8);
    const sight = this.chain.sight(
      now,
      open.map(({ batch }) => batch.batchId),
    );
    const { moves, trouble } = planAnchoring(open, sight, RULES);
    expect(trouble ?? '').not.toMatch(/another ledger|reset/);
    const advances = moves.slice(0, crash).map((move) => {
      const row = open.find(({ batch }) => batch.batchId === move.batchId)!;
      return { batchId: move.batchId, ...this.after(row, move, now) };
    });
    if (moves.length > crash) return;
    for (const { batchId, stage, progress } of advances) {
      this.rows[batchId - 1] = { ...this.rows[batchId - 1]!, stage, progress };
      for (const { raw } of progress.attempts) this.written.add(raw);
    }
    this.past.push(JSON.stringify(this.rows));
    if (this.past.length > MEMORY) this.past.shift();
  }

  private after({ batch, stage, progress }: OpenAnchor, move: Move, now: Date): Omit<OpenAnchor, 'batch'> {
    if ('at' in move) return { stage: move.do, progress: mined(progress, move.at) };
    if (move.do === 'dropped') return { stage: 'submitted', progress: dropped(progress) };
    if (move.do === 'send') {
      // no transaction ever leaves that is not written down
      expect(this.written).toContain(move.attempt.raw);
      this.chain.send(this.read(move.attempt.raw));
      return { stage, progress: sent(progress, move.attempt.hash, now) };
    }
    const { maxFeePerGas, maxPriorityFeePerGas } = move.fees;
    expect(maxFeePerGas).toBeLessThanOrEqual(RULES.maxFeePerGas);
    const content = { ...batch, nonce: move.nonce, maxFee: `${maxFeePerGas}`, tip: `${maxPriorityFeePerGas}` };
    const raw = JSON.stringify({ ...content, hash: `transaction ${(this.salt += 1)}` });
    const { hash } = this.read(raw);
    const fees = { maxFeePerGas: `${maxFeePerGas}`, maxPriorityFeePerGas: `${maxPriorityFeePerGas}` };
    return { stage: 'submitted', progress: signed(progress, { nonce: move.nonce, hash, raw, ...fees, sentAt: null }) };
  }

  private read(raw: string): ModelTransaction {
    const { hash, nonce, maxFee, tip, batchId, root, previousRoot } = JSON.parse(raw);
    return { hash, nonce, maxFee: BigInt(maxFee), tip: BigInt(tip), batch: { batchId, root, previousRoot } };
  }
}

type Deed = (world: { chain: ModelChain; sender: Sender; clock: { ms: number } }) => void;
const small = fc.nat(7);

const deed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 8, arbitrary: fc.constant<Deed>(({ sender, clock }) => sender.step(new Date(clock.ms), {})) },
  {
    weight: 2,
    arbitrary: small.map(
      (crash): Deed =>
        ({ sender, clock }) =>
          sender.step(new Date(clock.ms), { crash }),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.nat(MEMORY - 1).map(
      (stale): Deed =>
        ({ sender, clock }) =>
          sender.step(new Date(clock.ms), { stale }),
    ),
  },
  {
    weight: 5,
    arbitrary: fc.integer({ min: 1, max: 16 }).map(
      (limit): Deed =>
        ({ chain }) =>
          chain.mine(limit),
    ),
  },
  {
    weight: 2,
    arbitrary: small.map(
      (seconds): Deed =>
        ({ clock }) =>
          void (clock.ms += seconds * 1_000),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(small, fc.nat(255)).map(([depth, mask]): Deed => ({ chain }) => {
      chain.reorganise(depth, (index) => ((mask >> (index % 8)) & 1) === 1);
    }),
  },
  {
    weight: 2,
    arbitrary: small.map(
      (index): Deed =>
        ({ chain }) =>
          chain.lose(index),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(small, fc.constantFrom(5n, 40n, 400n)).map(([behind, fee]): Deed => ({ chain }) => {
      chain.intrude(behind, fee);
    }),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(1n, 10n, 60n, 300n).map(
      (fee): Deed =>
        ({ chain }) =>
          void (chain.baseFee = fee),
    ),
  },
);

describe('the plan of the anchors', () => {
  it('whatever chain, pool, strangers and crashes do: in the end each batch is anchored once, in order, and final', () => {
    fc.assert(
      fc.property(fc.array(deed, { maxLength: 120 }), fc.integer({ min: 1, max: 12 }), (deeds, count) => {
        const chain = new ModelChain();
        const world = { chain, sender: new Sender(chain, count), clock: { ms: Date.parse('2026-01-01') } };
        for (const each of deeds) each(world);
        for (let round = 0; round < 300 && world.sender.rows.some(({ stage }) => stage !== 'finalized'); round += 1) {
          world.sender.step(new Date((world.clock.ms += 1_000)), {});
          chain.mine();
        }
        expect(world.sender.rows.map(({ stage }) => stage)).toEqual(Array(count).fill('finalized'));
        expect(chain.anchored.map(({ root }) => root)).toEqual(batches(count).map(({ root }) => root));
        const told = world.sender.rows.map(({ progress }) => progress.mined);
        expect(told).toEqual(chain.anchored.map(({ batchId: _, root: _root, ...at }) => at));
      }),
      { numRuns: 500 },
    );
  });
});
