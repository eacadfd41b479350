import { useAnchorWorld } from './support/anchor-run';

const world = useAnchorWorld();

describe('anchoring on the chain', () => {
  it('when batches come, then they are signed, sent, mined and final, one after the other, and the receipt tells where', async () => {
    const run = world.run(3);
    expect(await run.step()).toMatchObject({ nextMs: 0, refusals: [] });
    expect(run.stages).toEqual(['submitted', 'submitted', 'submitted']);
    // what is not written down yet does not leave
    expect(await world.pool()).toBe(0);
    await run.step();
    expect(await world.pool()).toBe(3);
    await world.mine();
    await run.step();
    expect(run.stages).toEqual(['mined', 'mined', 'mined']);
    await world.mine(7);
    expect((await run.step()).advances).toEqual([]);
    await world.mine();
    await run.step();
    await world.finish(run);
    expect(run.receipts[1]).toEqual({
      chainId: 31337,
      contract: world.ledger.address.toLowerCase(),
      transactionHash: run.attempts(2)[0]!.hash,
      blockNumber: expect.any(Number) as number,
      blockHash: expect.stringMatching(/^0x[0-9a-f]{64}$/) as string,
      blockTime: expect.stringMatching(/^20\d\d-.*Z$/) as string,
      batchId: 2,
      replaced: [],
    });
    expect(run.sink.place).toBe(`31337/${world.ledger.address.toLowerCase()}`);
  });

  it('when 40 batches wait, then 16 are in flight at once and three blocks hold them all, in order', async () => {
    const run = world.run(40);
    const blocks: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      await run.steps();
      blocks.push(await world.pool());
      await world.mine();
    }
    await run.steps();
    expect(blocks).toEqual([16, 16, 8]);
    expect(run.stages).toEqual(Array(40).fill('mined'));
    await world.finish(run);
  });

  it('when confirmations are counted, then an anchor is final with so many blocks, its own counted', async () => {
    const run = world.run(1, { confirmations: 3 });
    await run.steps();
    await world.mine(2);
    await run.steps();
    expect(run.stages).toEqual(['mined']);
    await world.mine();
    await run.steps();
    expect(run.stages).toEqual(['finalized']);
  });

  it('when the chain makes a block a second and the loop keeps to the times that steps want, then a batch is soon mined', async () => {
    const run = world.run(2, { confirmations: 2 });
    await world.rpc('evm_setIntervalMining', 1);
    try {
      const begun = Date.now();
      let minedAfter = Infinity;
      for (let n = 0; n < 30 && run.stages.some((stage) => stage !== 'finalized'); n += 1) {
        const { nextMs } = await run.step();
        if (run.stages.every((stage) => stage !== 'submitted')) minedAfter = Math.min(minedAfter, Date.now() - begun);
        await new Promise((resolve) => setTimeout(resolve, nextMs));
      }
      expect(minedAfter).toBeLessThan(3_000);
    } finally {
      await world.rpc('evm_setIntervalMining', 0);
    }
    await world.finish(run);
  }, 15_000);

  it('when the process dies after any step and repeats it, then each batch is anchored once', async () => {
    const run = world.run(5);
    for (let n = 0; n < 6; n += 1) {
      await run.unwritten();
      await run.step();
      await run.unwritten();
      await world.mine();
    }
    await world.finish(run);
    expect(run.receipts.map((receipt) => receipt?.['replaced'])).toEqual(Array(5).fill([]));
  });

  it('when the progress of all batches was lost, then they are found in the contract, also beyond those that it holds', async () => {
    const first = world.run(140, { confirmations: 1 });
    for (let round = 0; round < 12; round += 1) {
      await first.steps();
      await world.mine();
    }
    const again = world.run(140);
    await again.steps();
    expect(again.receipts).toEqual(first.receipts);
    expect(await world.pool()).toBe(0);
    expect(await again.sink.confirm(again.batches[0]!)).toBe(true);
    expect(await again.sink.confirm(again.batches[139]!)).toBe(true);
    expect(await again.sink.confirm({ ...again.batches[139]!, root: again.batches[0]!.root })).toBe(false);
    expect(await again.sink.confirm({ ...again.batches[139]!, batchId: 141 })).toBe(false);
  });

  it('when the chain is away, then each step says so, nothing is lost, and it goes on when the chain is back', async () => {
    const run = world.run(3);
    world.relay.away = true;
    for (let n = 0; n < 3; n += 1) expect(await run.step()).toMatchObject({ advances: [], trouble: {} });
    expect(run.troubles[0]).toBe('the node of chain 31337 cannot be asked: it does not answer');
    await expect(run.sink.confirm(run.batches[0]!)).rejects.toThrow('the node of chain 31337 cannot be asked');
    world.relay.away = false;
    await run.step();
    world.relay.away = true;
    await run.step();
    world.relay.away = false;
    await run.step();
    await world.mine();
    world.relay.away = true;
    await run.step();
    world.relay.away = false;
    await world.finish(run);
  });
});
