import { dropped, nothingYet, type AnchorProgress } from '../domain/anchor-progress';
import { planAnchoring, type AnchoringRules, type OpenAnchor, type Sight } from '../domain/anchoring';
import { ZERO_ROOT, type Batch } from '../domain/batch';

const RULES: AnchoringRules = { stuckMs: 5_000, maxFeePerGas: 10_000n, inFlight: 4 };
const rootOf = (batchId: number) => (batchId === 0 ? ZERO_ROOT : `0x${batchId.toString(16).padStart(64, '0')}`);

function batch(batchId: number): Batch {
  const [root, previousRoot] = [rootOf(batchId), rootOf(batchId - 1)];
  return {
    batchId,
    root,
    firstSequence: batchId * 10 - 9,
    count: 10,
    previousRoot,
    closedAt: '2026-01-01T00:00:00.000Z',
  };
}

describe('the rules of anchoring, one by one', () => {
  const now = new Date('2026-01-01T00:10:00Z');
  const [first, second] = [batch(1), batch(2)];
  const attempt = (fields: object = {}) => ({
    nonce: 7,
    hash: '0xaa',
    raw: '0x02aa',
    maxFeePerGas: '100',
    maxPriorityFeePerGas: '2',
    sentAt: '2026-01-01T00:09:58.000Z',
    ...fields,
  });
  const open = (of: Batch, progress: Partial<AnchorProgress> = {}, stage = 'submitted'): OpenAnchor => ({
    batch: of,
    stage,
    progress: { ...nothingYet(of.batchId), ...progress },
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

  it('when it waits just as long as it may, then it is not stuck yet; when it is not written down as sent, then it is sent', () => {
    const waits = (sentAt: string | null) => [open(first, { attempts: [attempt({ sentAt })] })];
    expect(planAnchoring(waits('2026-01-01T00:09:55.000Z'), sight(), RULES).moves).toEqual([]);
    expect(planAnchoring(waits('2026-01-01T00:09:54.999Z'), sight(), RULES).moves).toMatchObject([{ do: 'sign' }]);
    expect(planAnchoring(waits(null), sight(), RULES).moves).toMatchObject([{ do: 'send' }]);
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

  it('when all is there, then it is no trouble that the contract would refuse more', () => {
    const receipts = new Map([['0xaa', { ...at('0xaa'), succeeded: true }]]);
    const look = sight({ nonce: 8, latest: first, receipts, refusal: 'not the anchorer' });
    expect(planAnchoring([open(first, { attempts: [attempt()] })], look, RULES).trouble).toBeNull();
  });

  it('when the contract has a batch whose transaction is not seen, then the next look decides', () => {
    const plan = planAnchoring([open(first, { attempts: [attempt()] })], sight({ nonce: 8, latest: first }), RULES);
    expect(plan).toEqual({ moves: [], trouble: null });
  });

  it('when the contract is of another ledger, or has less than was final, then nothing is sent and the cure is said', () => {
    const cure = /deploy a new LedgerAnchor and set EVM_CONTRACT$/;
    const other = { batchId: 1, root: rootOf(99) };
    const anchors = new Map([[1, { ...at('0xcc'), root: rootOf(99) }]]);
    for (const [expected, look] of [
      [first, sight({ latest: other })],
      [second, sight({ latest: other })],
      [first, sight({ latest: { batchId: 5, root: rootOf(98) }, anchors })],
      [second, sight({ latest: { batchId: 0, root: ZERO_ROOT } })],
    ] as const) {
      const plan = planAnchoring([open(expected)], look, RULES);
      expect(plan).toEqual({ moves: [], trouble: expect.stringMatching(cure) as string });
    }
  });

  it('when nothing is open, then nothing is done, whatever the contract holds', () => {
    const plan = planAnchoring([], sight({ latest: { batchId: 9, root: rootOf(99) } }), RULES);
    expect(plan).toEqual({ moves: [], trouble: null });
  });

  it('when many wait, then as many as may be under way at once are signed, at the next nonces', () => {
    const many = [1, 2, 3, 4, 5, 6].map((batchId) => open(batch(batchId)));
    const signs = planAnchoring(many, sight(), RULES).moves.map((move) => (move.do === 'sign' ? move.nonce : move.do));
    expect(signs).toEqual([7, 8, 9, 10]);
  });

  it('when some are mined, then that is told, and those behind go on', () => {
    const receipts = new Map([['0xaa', { ...at('0xaa'), succeeded: true }]]);
    const both = [open(first, { attempts: [attempt()] }), open(second)];
    expect(planAnchoring(both, sight({ nonce: 8, latest: first, receipts }), RULES).moves).toMatchObject([
      { batchId: 1, do: 'mined' },
      { batchId: 2, do: 'sign', nonce: 8 },
    ]);
    // of two that are missing the contract has one already: the next look decides
    expect(planAnchoring(both, sight({ nonce: 8, latest: first }), RULES)).toEqual({ moves: [], trouble: null });
  });

  it('when one of several was dropped, then that is written down before anything is sent', () => {
    const both = [open(first, { attempts: [attempt()], mined: at('0xaa') }, 'mined'), open(second)];
    expect(planAnchoring(both, sight(), RULES).moves).toEqual([{ batchId: 1, do: 'dropped' }]);
  });

  it('when a stranger’s transaction had anchored it, then that one counts as long as it is in a block', () => {
    const known = open(first, { mined: at('0xcc') }, 'mined');
    const receipts = new Map([['0xcc', { ...at('0xcc'), succeeded: true }]]);
    expect(planAnchoring([known], sight({ latest: first, receipts }), RULES).moves).toEqual([]);
  });

  it('when the contract ends with the batch before, then the next goes on behind it', () => {
    expect(planAnchoring([open(second)], sight({ latest: first }), RULES).moves).toMatchObject([
      { batchId: 2, do: 'sign', nonce: 7 },
    ]);
  });

  it('when one of several is another in the contract, then nothing is sent', () => {
    const both = [open(first), open(second)];
    const anchors = new Map([[1, { ...at('0xcc'), root: rootOf(99) }]]);
    for (const look of [{ latest: { batchId: 2, root: rootOf(99) } }, { latest: second, anchors }]) {
      expect(planAnchoring(both, sight(look), RULES)).toEqual({
        ...{ moves: [], trouble: expect.stringContaining('another ledger') as string },
      });
    }
  });

  it('when one behind the first is old, then it is stuck only when it offers less than the chain asks', () => {
    const old = attempt({ nonce: 8, hash: '0xbb', sentAt: '2026-01-01T00:09:00Z' });
    const both = [open(first, { attempts: [attempt()] }), open(second, { attempts: [old] })];
    const moves = (baseFee: bigint) =>
      planAnchoring(both, sight({ known: new Set(['0xaa', '0xbb']), market: { baseFee, tip: 2n } }), RULES).moves;
    expect(moves(49n)).toEqual([]);
    expect(moves(50n)).toMatchObject([{ batchId: 2, do: 'sign', nonce: 8 }]);
  });
});
