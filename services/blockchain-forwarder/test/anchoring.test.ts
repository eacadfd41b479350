import fc from 'fast-check';
import { dropped, mined, nothingYet, sent, signed, type AnchorProgress } from '../domain/anchor-progress';
import { planAnchoring, type AnchoringRules, type Move, type OpenAnchor, type Sight } from '../domain/anchoring';
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

describe('the rules, one by one', () => {
  const now = new Date('2026-01-01T00:10:00Z');
  const [first, second] = batches(2) as [Batch, Batch];
  const attempt = (fields: object = {}) => ({
    nonce: 7,
    hash: '0xaa',
    raw: '0x02aa',
    maxFeePerGas: '100',
    maxPriorityFeePerGas: '2',
    sentAt: '2026-01-01T00:09:58.000Z',
    ...fields,
  });
  const open = (batch: Batch, progress: Partial<AnchorProgress> = {}, stage = 'submitted'): OpenAnchor => ({
    batch,
    stage,
    progress: { ...nothingYet(batch.batchId), ...progress },
  });
  const sight = (fields: Partial<Sight> = {}): Sight => ({
    now,
    finalized: 0,
    nonce: 7,
    latest: { batchId: 0, root: ZERO_ROOT },
    receipts: new Map(),
    known: new Set(['0xaa']),
    anchors: new Map(),
    market: { baseFee: 10n, tip: 2n },
    refusal: null,
    ...fields,
  });
  const at = (hash: string) => ({ hash, blockNumber: 9, blockHash: '0xb9', blockTime: '2026-01-01T00:09:59.000Z' });

  it('when a transaction waits and is not stuck, then nothing is done', () => {
    expect(planAnchoring([open(first, { attempts: [attempt()] })], sight(), RULES)).toEqual({
      moves: [],
      trouble: null,
    });
  });

  it('when it is stuck, then the same nonce is signed with an eighth more, or what the chain asks where that is more', () => {
    const stuck = [open(first, { attempts: [attempt({ sentAt: '2026-01-01T00:09:00Z' })] })];
    expect(planAnchoring(stuck, sight(), RULES).moves).toEqual([
      { batchId: 1, do: 'sign', nonce: 7, fees: { maxFeePerGas: 113n, maxPriorityFeePerGas: 3n } },
    ]);
    expect(planAnchoring(stuck, sight({ market: { baseFee: 90n, tip: 5n } }), RULES).moves).toEqual([
      { batchId: 1, do: 'sign', nonce: 7, fees: { maxFeePerGas: 185n, maxPriorityFeePerGas: 5n } },
    ]);
  });

  it('when the cap is reached, then it waits and says so, and a forgotten transaction is sent all the same', () => {
    const waiting = [open(first, { attempts: [attempt({ sentAt: '2026-01-01T00:09:00Z' })] })];
    const capped = { ...RULES, maxFeePerGas: 105n };
    expect(planAnchoring(waiting, sight(), capped)).toEqual({
      moves: [],
      trouble: expect.stringMatching(/0xaa of batch 1 waits .* EVM_MAX_FEE_GWEI/) as string,
    });
    expect(planAnchoring(waiting, sight({ known: new Set() }), capped)).toMatchObject({ moves: [{ do: 'send' }] });
    const dear = sight({ market: { baseFee: 106n, tip: 1n } });
    expect(planAnchoring([open(first)], dear, capped)).toMatchObject({
      moves: [],
      trouble: expect.anything() as string,
    });
  });

  it('when the node forgot a transaction, then it is sent again', () => {
    const plan = planAnchoring([open(first, { attempts: [attempt()] })], sight({ known: new Set() }), RULES);
    expect(plan.moves).toEqual([{ batchId: 1, do: 'send', attempt: attempt() }]);
  });

  it('when somebody else used the nonce, then it and those behind it move on, above what waits at their new nonces', () => {
    const behind = attempt({ nonce: 8, hash: '0xbb' });
    const waiting = [open(first, { attempts: [attempt()] }), open(second, { attempts: [behind] })];
    expect(planAnchoring(waiting, sight({ nonce: 8, known: new Set(['0xbb']) }), RULES).moves).toEqual([
      { batchId: 1, do: 'sign', nonce: 8, fees: { maxFeePerGas: 113n, maxPriorityFeePerGas: 3n } },
      { batchId: 2, do: 'sign', nonce: 9, fees: { maxFeePerGas: 22n, maxPriorityFeePerGas: 2n } },
    ]);
  });

  it('when a transaction was reverted and the batch is not there, then a new one is signed', () => {
    const receipts = new Map([['0xaa', { ...at('0xaa'), succeeded: false }]]);
    const plan = planAnchoring([open(first, { attempts: [attempt()] })], sight({ receipts }), RULES);
    expect(plan.moves).toMatchObject([{ batchId: 1, do: 'sign', nonce: 8 }]);
  });

  it('when it was reverted because another transaction had anchored the batch, then that one is the receipt', () => {
    const receipts = new Map([['0xaa', { ...at('0xaa'), succeeded: false }]]);
    const there = sight({ receipts, anchors: new Map([[1, { ...at('0xcc'), root: first.root }]]), latest: first });
    expect(planAnchoring([open(first, { attempts: [attempt()] })], there, RULES).moves).toEqual([
      { batchId: 1, do: 'mined', at: at('0xcc') },
    ]);
  });

  it('when a block was dropped, then that is written down, and the same transaction is sent again, however old it is', () => {
    const before = open(first, { attempts: [attempt({ sentAt: '2026-01-01T00:01:00Z' })], mined: at('0xaa') }, 'mined');
    expect(planAnchoring([before], sight(), RULES).moves).toEqual([{ batchId: 1, do: 'dropped' }]);
    const after = open(first, dropped(before.progress));
    expect(planAnchoring([after], sight({ known: new Set() }), RULES).moves).toEqual([
      { batchId: 1, do: 'send', attempt: attempt({ sentAt: null }) },
    ]);
  });

  it('when it is in another block now, then that is told; in the same one, nothing; in a final one, that it is final', () => {
    const before = open(first, { attempts: [attempt()], mined: at('0xaa') }, 'mined');
    const moved = { ...at('0xaa'), blockHash: '0xb9b9' };
    const plan = (place: typeof moved, fields: Partial<Sight> = {}) => {
      const receipts = new Map([['0xaa', { ...place, succeeded: true }]]);
      return planAnchoring([before], sight({ nonce: 8, latest: first, receipts, ...fields }), RULES).moves;
    };
    expect(plan(moved)).toEqual([{ batchId: 1, do: 'mined', at: moved }]);
    expect(plan(at('0xaa'))).toEqual([]);
    expect(plan(at('0xaa'), { finalized: 8 })).toEqual([]);
    expect(plan(at('0xaa'), { finalized: 9 })).toEqual([{ batchId: 1, do: 'finalized', at: at('0xaa') }]);
  });

  it('when the contract would refuse, then nothing is sent and its reason is told', () => {
    const plan = planAnchoring([open(first)], sight({ refusal: 'not the anchorer' }), RULES);
    expect(plan).toEqual({ moves: [], trouble: 'not the anchorer' });
  });

  it('when the contract has a batch whose transaction is not seen, then the next look decides', () => {
    const plan = planAnchoring([open(first, { attempts: [attempt()] })], sight({ nonce: 8, latest: first }), RULES);
    expect(plan).toEqual({ moves: [], trouble: null });
  });

  it('when the contract is of another ledger, or has less than was final, then nothing is sent and the cure is said', () => {
    const cure = /deploy a new LedgerAnchor and set EVM_CONTRACT$/;
    const other = { batchId: 1, root: rootOf(99) };
    const anchors = new Map([[1, { ...at('0xcc'), root: rootOf(99) }]]);
    for (const [batch, look] of [
      [first, sight({ latest: other })],
      [second, sight({ latest: other })],
      [first, sight({ latest: { batchId: 5, root: rootOf(98) }, anchors })],
      [second, sight({ latest: { batchId: 0, root: ZERO_ROOT } })],
    ] as const) {
      const plan = planAnchoring([open(batch)], look, RULES);
      expect(plan).toEqual({ moves: [], trouble: expect.stringMatching(cure) as string });
    }
  });
});
