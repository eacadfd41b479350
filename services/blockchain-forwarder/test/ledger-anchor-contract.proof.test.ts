import { keccak256, numberToHex, parseAbiItem, toEventSelector, type Hex } from 'viem';
import { startAnvil, type TestChain } from './support/anvil';
import { artifactOf, canonicalShape } from './support/artifacts';
import {
  ANCHORER,
  OWNER,
  STRANGER,
  ZERO_ROOT,
  creationCode,
  deployLedgerAnchor,
  ledgerAnchorAbi,
  mined,
  type LedgerOnChain,
  type WriteArgs,
} from './support/ledger-anchor';

type Anchoring = WriteArgs<'anchor'>;

const root = (n: number): Hex => keccak256(numberToHex(n));
/** Batch n of a ledger of batches of 1,000. */
const batch = (n: number): Anchoring => [
  BigInt(n),
  root(n),
  BigInt((n - 1) * 1000 + 1),
  1000,
  n === 1 ? ZERO_ROOT : root(n - 1),
];

let chain: TestChain;
let ledger: LedgerOnChain;

beforeAll(async () => {
  chain = await startAnvil();
}, 30_000);
afterAll(() => chain.stop());
beforeEach(async () => {
  ledger = await deployLedgerAnchor(chain);
});

const anchor = (args: Anchoring) => ledger.send(ANCHORER, 'anchor', args);
const refusal = (args: Anchoring, from = ANCHORER) => ledger.refusal(from, 'anchor', args);
async function anchorUpTo(last: number): Promise<void> {
  for (let n = 1; n <= last; ++n) expect((await anchor(batch(n))).status).toBe('success');
}

describe('the interface of LedgerAnchor', () => {
  it('when it is compiled, then its ABI is the one that is written by hand, no more and no less', () => {
    const sorted = (abi: readonly unknown[]) => abi.map(canonicalShape).sort();
    expect(sorted(artifactOf('LedgerAnchor').abi)).toEqual(sorted(ledgerAnchorAbi));
  });

  it('when it is deployed, then the code on the chain is that of the repository, byte by byte', async () => {
    expect(await ledger.reader.getCode({ address: ledger.address })).toBe(artifactOf('LedgerAnchor').deployedBytecode);
  });

  it('when another than the owner deploys another ledger, then its code is the same', async () => {
    const { contractAddress } = await mined(ledger.reader, { from: STRANGER, data: creationCode(STRANGER) });
    const address = contractAddress!;
    expect(await ledger.reader.getCode({ address })).toBe(artifactOf('LedgerAnchor').deployedBytecode);
    const read = { abi: ledgerAnchorAbi, address } as const;
    expect(await ledger.reader.readContract({ ...read, functionName: 'owner' })).toBe(STRANGER);
    expect(await ledger.reader.readContract({ ...read, functionName: 'anchorer' })).toBe(STRANGER);
  });
});

describe('anchoring', () => {
  it('when nothing is anchored yet, then the latest is all zero', async () => {
    expect(await ledger.latest()).toEqual([
      0n,
      { root: ZERO_ROOT, firstSequence: 0n, count: 0, blockNumber: 0n, time: 0n },
    ]);
  });

  it('when a batch is anchored, then one event has all its fields, and the views answer with block and time', async () => {
    await anchorUpTo(1);
    const receipt = await anchor([2n, root(2), 1001n, 7, root(1)]);
    expect(receipt.events).toEqual([
      {
        name: 'BatchAnchored',
        args: { batchId: 2n, root: root(2), firstSequence: 1001n, count: 7, previousRoot: root(1) },
      },
    ]);
    const { blockNumber } = receipt;
    const { timestamp } = await ledger.reader.getBlock({ blockNumber });
    const second = { root: root(2), firstSequence: 1001n, count: 7, blockNumber, time: timestamp };
    expect(await ledger.anchorOf(2n)).toEqual(second);
    expect(await ledger.latest()).toEqual([2n, second]);
    expect(await ledger.anchorOf(1n)).toMatchObject({ root: root(1), firstSequence: 1n, count: 1000 });
  });

  it('when a stranger reads the logs of the one block, then the id is a topic and the rest is in the data', async () => {
    await anchorUpTo(1);
    const { blockNumber } = await anchor(batch(2));
    const event = parseAbiItem(
      'event BatchAnchored(uint256 indexed batchId, bytes32 root, uint64 firstSequence, uint32 count, bytes32 previousRoot)',
    );
    const found = { address: ledger.address, fromBlock: blockNumber, toBlock: blockNumber };
    const [log] = await ledger.reader.getLogs({ ...found, event, args: { batchId: 2n } });
    expect(log).toMatchObject({
      args: { batchId: 2n, root: root(2), firstSequence: 1001n, count: 1000, previousRoot: root(1) },
      topics: [toEventSelector('BatchAnchored(uint256,bytes32,uint64,uint32,bytes32)'), `0x${'2'.padStart(64, '0')}`],
    });
    expect(await ledger.reader.getLogs({ ...found, event, args: { batchId: 1n } })).toEqual([]);
  });

  it('when another than the anchorer anchors, the owner too, then it is refused', async () => {
    for (const caller of [OWNER, STRANGER])
      expect(await refusal(batch(1), caller)).toEqual({ name: 'NotAnchorer', args: [caller] });
    expect((await ledger.send(OWNER, 'anchor', batch(1))).status).toBe('reverted');
    expect((await ledger.latest())[0]).toBe(0n);
  });

  it('when the same batch comes again, or its id with another root, then it is refused and the first stays', async () => {
    await anchorUpTo(3);
    const before = await ledger.anchorOf(2n);
    expect(await refusal(batch(3))).toEqual({ name: 'BatchKnown', args: [3n, 3n] });
    expect(await refusal(batch(1))).toEqual({ name: 'BatchKnown', args: [1n, 3n] });
    const other: Anchoring = [2n, root(77), 1001n, 1000, root(1)];
    expect(await refusal(other)).toEqual({ name: 'BatchKnown', args: [2n, 3n] });
    expect(await anchor(other)).toMatchObject({ status: 'reverted', events: [] });
    expect(await ledger.anchorOf(2n)).toEqual(before);
  });

  it('when an id is left out, is zero, or is beyond 32 bits, then it is refused with the id expected', async () => {
    expect(await refusal(batch(2))).toEqual({ name: 'WrongBatchId', args: [2n, 1n] });
    await anchorUpTo(1);
    expect(await refusal(batch(3))).toEqual({ name: 'WrongBatchId', args: [3n, 2n] });
    for (const batchId of [0n, 2n ** 32n + 2n, 2n ** 256n - 1n]) {
      const wrong: Anchoring = [batchId, root(2), 1001n, 1000, root(1)];
      expect(await refusal(wrong)).toEqual({ name: 'WrongBatchId', args: [batchId, 2n] });
    }
  });

  it('when the previous root is not that of the batch before, then it is refused with the right one', async () => {
    const first: Anchoring = [1n, root(1), 1n, 1000, root(9)];
    expect(await refusal(first)).toEqual({ name: 'WrongPreviousRoot', args: [root(9), ZERO_ROOT] });
    await anchorUpTo(2);
    for (const wrong of [ZERO_ROOT, root(1), root(3)]) {
      const third: Anchoring = [3n, root(3), 2001n, 1000, wrong];
      expect(await refusal(third)).toEqual({ name: 'WrongPreviousRoot', args: [wrong, root(2)] });
    }
  });

  it('when the first sequence leaves a gap or overlaps, then it is refused with the right one', async () => {
    for (const wrong of [0n, 2n]) {
      const first: Anchoring = [1n, root(1), wrong, 1000, ZERO_ROOT];
      expect(await refusal(first)).toEqual({ name: 'WrongFirstSequence', args: [wrong, 1n] });
    }
    await anchorUpTo(1);
    for (const wrong of [1n, 1000n, 1002n, 2n ** 64n - 1n]) {
      const second: Anchoring = [2n, root(2), wrong, 1000, root(1)];
      expect(await refusal(second)).toEqual({ name: 'WrongFirstSequence', args: [wrong, 1001n] });
    }
  });

  it('when a batch is empty or has no root, then it is refused', async () => {
    expect(await refusal([1n, root(1), 1n, 0, ZERO_ROOT])).toEqual({ name: 'EmptyBatch', args: [1n] });
    expect(await refusal([1n, ZERO_ROOT, 1n, 1000, ZERO_ROOT])).toEqual({ name: 'ZeroRoot', args: [1n] });
  });

  it('when a batch has as many records as the count can say, then the next one follows it', async () => {
    await anchor([1n, root(1), 1n, 2 ** 32 - 1, ZERO_ROOT]);
    expect((await anchor([2n, root(2), 2n ** 32n, 1, root(1)])).status).toBe('success');
  });
});

describe('what is asked of it', () => {
  it('when a batch is not anchored, then it is refused, and not answered with zeros', async () => {
    expect(await ledger.refusal(STRANGER, 'anchorOf', [1n])).toEqual({ name: 'BatchUnknown', args: [1n, 0n] });
    await anchorUpTo(1);
    for (const batchId of [0n, 2n, 2n ** 255n])
      expect(await ledger.refusal(STRANGER, 'anchorOf', [batchId])).toEqual({
        name: 'BatchUnknown',
        args: [batchId, 1n],
      });
  });

  it('when more than 128 batches are anchored, then each cost less than 48 gas an event, and the old are in events', async () => {
    const batches = Array.from({ length: 260 }, (_, index) => batch(index + 1));
    const receipts = [...(await ledger.anchorInOneBlock(batches.slice(0, 130)))];
    receipts.push(...(await ledger.anchorInOneBlock(batches.slice(130))));
    expect(new Set(receipts.map((receipt) => receipt.status))).toEqual(new Set(['success']));
    const eachEvent = receipts.map(({ gasUsed }) => Number(gasUsed) / 1000);
    const [least, most] = [Math.min(...eachEvent), Math.max(...eachEvent)];
    const told = `${least} to ${most} gas an event at 1,000 a batch, over ${receipts.length} batches`;
    process.stdout.write(`LedgerAnchor: ${told}; deployment ${ledger.deployment.gasUsed} gas\n`);
    expect(most).toBeLessThan(48);

    for (const held of [133, 200, 260]) expect(await ledger.anchorOf(BigInt(held))).toMatchObject({ root: root(held) });
    for (const old of [1n, 132n])
      expect(await ledger.refusal(STRANGER, 'anchorOf', [old])).toEqual({
        name: 'BatchInEventsOnly',
        args: [old, 133n],
      });
    const logs = await ledger.reader.getContractEvents({
      address: ledger.address,
      abi: ledgerAnchorAbi,
      eventName: 'BatchAnchored',
      args: { batchId: 1n },
      fromBlock: 0n,
    });
    expect(logs.map((log) => log.args.root)).toEqual([root(1)]);
  }, 60_000);
});

describe('a reorganisation', () => {
  it.each([2, 5])(
    'when %i blocks with the last anchors are dropped, then the same anchors can be sent again',
    async (depth) => {
      await anchorUpTo(6);
      const dropped = 6 - depth;
      await ledger.tester.request({ method: 'anvil_reorg' as never, params: [depth, []] as never });
      expect((await ledger.latest())[0]).toBe(BigInt(dropped));
      expect(await ledger.refusal(STRANGER, 'anchorOf', [6n])).toMatchObject({ name: 'BatchUnknown' });
      expect(await refusal(batch(6))).toEqual({ name: 'WrongBatchId', args: [6n, BigInt(dropped + 1)] });

      for (let n = dropped + 1; n <= 6; ++n) expect((await anchor(batch(n))).status).toBe('success');
      expect(await ledger.latest()).toMatchObject([6n, { root: root(6), firstSequence: 5001n }]);
      expect(await refusal(batch(6))).toEqual({ name: 'BatchKnown', args: [6n, 6n] });
    },
  );
});
