// Slow: a chain of its own, which mines and reorganises block by block.
import { encodeFunctionData, numberToHex, parseTransaction, type Address, type Hex } from 'viem';
import { useAnchorWorld, type AnchorRun } from './support/anchor-run';
import {
  ANCHORER,
  NOMINEE,
  OWNER,
  STRANGER,
  ledgerAnchorAbi,
  ZERO_ROOT,
  type Write,
  type WriteArgs,
} from './support/ledger-anchor';

const world = useAnchorWorld();
const gwei = (amount: number): Hex => numberToHex(Math.round(amount * 1e9));

/** Of somebody else who has the anchorer's key. */
function intrude(nonce: number, tip = 1): Promise<Hex> {
  const fees = { maxFeePerGas: gwei(50 + tip), maxPriorityFeePerGas: gwei(tip) };
  const call = { from: ANCHORER, to: STRANGER, value: '0x1', nonce: numberToHex(nonce), gas: '0x5208', ...fees };
  return world.rpc('eth_sendTransaction', call);
}

async function post<N extends Write>(from: Address, functionName: N, args: WriteArgs<N>, tip = 10): Promise<void> {
  const data = encodeFunctionData({ abi: ledgerAnchorAbi, functionName, args } as never);
  const fees = { maxFeePerGas: gwei(50 + tip), maxPriorityFeePerGas: gwei(tip) };
  await world.rpc('eth_sendTransaction', { from, to: world.ledger.address, data, gas: numberToHex(150_000), ...fees });
}

const nonceOf = (run: AnchorRun, batchId: number): number => run.attempts(batchId).at(-1)!.nonce;
const replaced = (run: AnchorRun, batchId: number): unknown => run.receipts[batchId - 1]?.['replaced'];

describe('reorganisations', () => {
  it.each([2, 5])(
    'when the last %i blocks are dropped, then what was in them is anchored again, in order',
    async (depth) => {
      const run = world.run(6);
      for (run.closed = 1; run.closed <= 6; run.closed += 1) {
        await run.steps();
        await world.mine();
        await run.step();
      }
      const before = run.receipts;
      await world.rpc('anvil_reorg', depth, []);
      await run.step();
      expect(run.stages).toEqual([...Array(6 - depth).fill('mined'), ...Array(depth).fill('submitted')]);
      await run.step();
      expect(await world.pool()).toBe(depth);
      await world.finish(run);
      // the same transactions, in other blocks
      expect(run.receipts.map((each) => each?.['transactionHash'])).toEqual(
        before.map((each) => each?.['transactionHash']),
      );
      expect(run.receipts.at(-1)?.['blockHash']).not.toBe(before.at(-1)?.['blockHash']);
    },
  );

  it('when somebody else used the nonces meanwhile, then new transactions anchor what was dropped', async () => {
    const run = world.run(2);
    await run.steps();
    await world.mine();
    await run.steps();
    const nonce = nonceOf(run, 1);
    await world.rpc('anvil_reorg', 1, []);
    await intrude(nonce);
    await world.mine();
    await world.finish(run);
    expect(run.attempts(1).map((attempt) => attempt.nonce)).toEqual([nonce, nonce + 1]);
    expect(replaced(run, 1)).toEqual([run.attempts(1)[0]!.hash]);
  });
});

describe('transactions that do not come', () => {
  it('when the fee has become too low, then after a while the same nonce is offered more, and the old hash is told', async () => {
    const run = world.run(2, { stuckMs: 5_000 });
    await run.steps();
    await world.rpc('anvil_setNextBlockBaseFeePerGas', gwei(30));
    await world.mine();
    await run.steps();
    expect(run.attempts(1)).toHaveLength(1);
    run.later = 6;
    await run.steps();
    expect(run.attempts(1).map(({ nonce }) => nonce)).toEqual([nonceOf(run, 1), nonceOf(run, 1)]);
    expect(BigInt(run.attempts(1)[1]!.maxFeePerGas)).toBeGreaterThan(30_000_000_000n);
    await world.finish(run);
    expect(replaced(run, 1)).toEqual([run.attempts(1)[0]!.hash]);
    expect(run.receipts[0]).toMatchObject({ transactionHash: run.attempts(1)[1]!.hash });
  });

  it('when the first one is mined after all, then that one is the receipt, and the later one is told as replaced', async () => {
    const run = world.run(1, { stuckMs: 5_000 });
    await run.steps();
    run.later = 6;
    // signed, not sent: the first one is mined now
    await run.step();
    await world.mine();
    await world.finish(run);
    const [first, second] = run.attempts(1);
    expect(run.receipts[0]).toMatchObject({ transactionHash: first!.hash, replaced: [second!.hash] });
  });

  it('when the cap is reached, then it waits, says so, and is mined when the chain is cheaper', async () => {
    const run = world.run(1, { stuckMs: 5_000, maxFeeGwei: 4 });
    await run.steps();
    await world.rpc('anvil_setNextBlockBaseFeePerGas', gwei(30));
    await world.mine();
    run.later = 6;
    await run.steps();
    run.later = 12;
    const { trouble, advances } = await run.steps();
    expect(advances).toEqual([]);
    expect(trouble?.error).toMatch(
      /^the transaction 0x[0-9a-f]{64} of batch 1 waits at [\d.]+ gwei: more than EVM_MAX_FEE_GWEI \(4\) is not offered, and the chain's base fee is 30 gwei; wait or raise it$/,
    );
    expect(run.attempts(1).every(({ maxFeePerGas }) => BigInt(maxFeePerGas) <= 4_000_000_000n)).toBe(true);
    await world.rpc('anvil_setNextBlockBaseFeePerGas', gwei(1));
    await world.mine();
    await world.finish(run);
  });

  it('when the node forgets a transaction, then it is sent again, and those behind it follow', async () => {
    const run = world.run(3);
    await run.steps();
    await world.rpc('anvil_dropTransaction', run.attempts(1)[0]!.hash);
    await world.mine();
    await run.steps();
    expect(run.stages).toEqual(['submitted', 'submitted', 'submitted']);
    await world.finish(run);
    expect(run.attempts(1)).toHaveLength(1);
  });

  it('when the account cannot pay, then it is said which one on which chain, and it goes on when it has funds', async () => {
    const run = world.run(1);
    await run.step();
    await world.rpc('anvil_setBalance', ANCHORER, '0x1');
    const { trouble, advances } = await run.step();
    expect(advances).toEqual([]);
    expect(trouble?.error).toBe(`${ANCHORER} has not enough on chain 31337 to pay for a transaction; send it funds`);
    await world.rpc('anvil_setBalance', ANCHORER, '0x21e19e0c9bab2400000');
    await world.finish(run);
  });
});

describe('somebody else with the same account', () => {
  it('when a nonce is used before the transactions are sent, then new ones are signed behind it', async () => {
    const run = world.run(3);
    await run.step();
    const nonce = nonceOf(run, 1);
    await intrude(nonce);
    await world.mine();
    await world.finish(run);
    expect([1, 2, 3].map((batchId) => nonceOf(run, batchId))).toEqual([nonce + 1, nonce + 2, nonce + 3]);
    expect(replaced(run, 3)).toEqual([run.attempts(3)[0]!.hash]);
  });

  it('when the nonce of a waiting transaction is used, then those behind it, out of order now, are anchored all the same', async () => {
    const run = world.run(3);
    await run.steps();
    const nonce = nonceOf(run, 1);
    await intrude(nonce, 20);
    await world.mine();
    await world.finish(run);
    expect(nonceOf(run, 1)).toBeGreaterThan(nonce);
  });

  it('when somebody else waits at the nonce with a low fee for long, then it is outbid', async () => {
    const run = world.run(1, { stuckMs: 5_000 });
    await run.step();
    const nonce = nonceOf(run, 1);
    await intrude(nonce, 2);
    await world.rpc('anvil_setNextBlockBaseFeePerGas', gwei(90));
    await world.mine();
    await run.steps();
    run.later = 6;
    await run.steps();
    await world.finish(run);
    expect(run.receipts[0]).toMatchObject({ transactionHash: run.attempts(1)[1]!.hash });
  });

  it('when two processes send at once, also with other fees, then each batch is anchored once and either finds the receipt', async () => {
    const [one, other] = [world.run(5), world.run(5)];
    for (let n = 0; n < 4; n += 1) {
      await Promise.all([one.step(), other.step()]);
      await world.rpc('anvil_setNextBlockBaseFeePerGas', gwei(1 + n));
      await world.mine();
    }
    await world.finish(one);
    await world.finish(other);
    const places = (run: AnchorRun) => run.receipts.map((receipt) => ({ ...receipt, replaced: [] }));
    expect(places(other)).toEqual(places(one));
  });

  it('when what one process wrote down was overwritten, then its transaction, not known any more, is the receipt', async () => {
    const [lost, run] = [world.run(2), world.run(2)];
    await run.step();
    await world.rpc('anvil_setNextBlockBaseFeePerGas', gwei(3));
    await world.mine();
    await lost.steps();
    expect(lost.attempts(1)[0]!.hash).not.toBe(run.attempts(1)[0]!.hash);
    await run.steps();
    await world.mine();
    await world.finish(run);
    expect(run.receipts[0]).toMatchObject({
      transactionHash: lost.attempts(1)[0]!.hash,
      replaced: [run.attempts(1)[0]!.hash],
    });
  });
});

describe('a contract that refuses', () => {
  it('when a transaction is reverted, then nothing more is sent until the contract would take it, and a new one anchors', async () => {
    const run = world.run(2);
    await run.step();
    await post(OWNER, 'nominateAnchorer', [NOMINEE]);
    await world.mine();
    await run.step();
    await post(NOMINEE, 'acceptAnchorerNomination', [], 40);
    await world.mine();
    const { trouble } = await run.step();
    expect(trouble?.error).toBe(
      `${ANCHORER} is not the anchorer of ${world.ledger.address.toLowerCase()} on chain 31337; let its owner nominate it and accept, or set EVM_KEY`,
    );
    const receipt = await world.ledger.reader.getTransactionReceipt({ hash: run.attempts(1)[0]!.hash as Hex });
    expect(receipt.status).toBe('reverted');
    await run.steps();
    expect(await world.pool()).toBe(0);
    await post(OWNER, 'nominateAnchorer', [ANCHORER]);
    await world.mine();
    await post(ANCHORER, 'acceptAnchorerNomination', []);
    await world.mine();
    await world.finish(run);
    expect(replaced(run, 1)).toEqual([run.attempts(1)[0]!.hash]);
  });

  it('when it holds batches of another ledger, then nothing is sent and the cure is said', async () => {
    const other: Hex = `0x${'bb'.repeat(32)}`;
    await post(ANCHORER, 'anchor', [1n, other, 1n, 10, ZERO_ROOT]);
    await world.mine();
    const run = world.run(2);
    expect(await run.step()).toMatchObject({
      advances: [],
      trouble: { error: expect.stringContaining('another ledger') },
    });
    await post(ANCHORER, 'anchor', [2n, other, 11n, 10, other]);
    await world.mine();
    expect((await run.step()).trouble?.error).toBe(
      'the contract holds batches of another ledger; deploy a new LedgerAnchor and set EVM_CONTRACT',
    );
    expect(await world.pool()).toBe(0);
  });

  it('when it has less than was final in it, as after a reset of the chain, then nothing is sent and the cure is said', async () => {
    const run = world.run(2, { confirmations: 1 });
    run.closed = 1;
    await run.steps();
    await world.mine();
    await run.steps();
    run.closed = 2;
    await world.rpc('anvil_reorg', 1, []);
    expect((await run.step()).trouble?.error).toBe(
      'the contract has 0 batches, but batch 1 was final in it: the chain is another one or was reset; deploy a new LedgerAnchor and set EVM_CONTRACT',
    );
    expect(await world.pool()).toBe(0);
    expect(await run.sink.confirm(run.batches[0]!)).toBe(false);
  });
});

it('what is sent is for this chain and this contract, with a limit of gas, and no more', async () => {
  const run = world.run(1);
  await run.step();
  expect(parseTransaction(run.attempts(1)[0]!.raw as Hex)).toMatchObject({
    type: 'eip1559',
    chainId: 31337,
    to: world.ledger.address.toLowerCase(),
    gas: 100_000n,
  });
});
