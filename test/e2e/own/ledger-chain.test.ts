import { randomUUID } from 'node:crypto';
import type { Hex } from 'viem';
import type { AnchorProgress } from '../../../services/blockchain-forwarder/domain/anchor-progress';
import type { Delivery, SinkState } from '../../../services/blockchain-forwarder/domain/delivery';
import { anchorsOn, askNode } from '../support/chain';
import { E2E_PORT_OFFSET } from '../support/e2e-instance';
import { isSettled, judgeLedger } from '../support/ledger-judge';
import { OwnSystem } from '../support/own-system';
import { eventually } from '../support/system';
import { publishAt, taskStopped } from '../support/usage';

/**
 * Issue 6: the running service with a real chain that misbehaves. Each rule by itself: evm-anchor-mishaps.proof.test.ts.
 * Slow: blocks, reorganisations and back-offs take their time, on a system of its own.
 */

jest.setTimeout(180_000);

const FORWARDER = 'blockchain-forwarder';
const STUCK_MS = 3_000;
const ENV = {
  RM_INSTANCE: 'ledger-chain',
  RM_PORT_OFFSET: String(E2E_PORT_OFFSET + 520),
  RM_APPS: FORWARDER,
  RM_REPLICAS: FORWARDER,
  DELIVERY_BACK_OFF_CAP_MS: '1000',
  LEDGER_BATCH_AGE_MS: '300',
  EVM_STUCK_MS: String(STUCK_MS),
  // deeper than any reorganisation here
  EVM_CONFIRMATIONS: '8',
};
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const gwei = (amount: number): Hex => `0x${(amount * 1e9).toString(16)}`;

let system: OwnSystem;
const ids: string[] = [];
beforeAll(async () => {
  system = await OwnSystem.start(ENV);
}, 150_000);
afterAll(() => (system as OwnSystem | undefined)?.stop());

const ask = <T>(method: string, ...params: unknown[]) => askNode<T>(system.info.evm!.rpcUrl, method, ...params);
const mine = (blocks = 1) => ask('anvil_mine', `0x${blocks.toString(16)}`);
const byBatch = <T extends { batchId: number }>(rows: T[]) => rows.sort((a, b) => a.batchId - b.batchId);
const deliveries = async () => byBatch(await system.rows<Delivery>(FORWARDER, 'delivery:evm:'));
const progress = async () => byBatch(await system.rows<AnchorProgress>(FORWARDER, 'progress:evm:'));
const sink = async () => (await system.rows<SinkState>(FORWARDER, 'sink:evm'))[0];

/** @returns the number of the batch that they are in */
async function useEnds(count = 1): Promise<number> {
  const before = await lastBatch();
  const events = Array.from({ length: count }, () => taskStopped(randomUUID()));
  ids.push(...events.map(({ id }) => id));
  await publishAt(system.info.natsUrl, 'usage.ended', events);
  await eventually('they are in a batch', async () => (await lastBatch()) > before);
  return before + 1;
}
async function lastBatch(): Promise<number> {
  return (await system.rows<{ batchId: number }>(FORWARDER, 'batch:')).length;
}
const comesTo = (stage: Delivery['stage'], batchId: number, timeoutMs = 20_000) =>
  eventually(`batch ${batchId} is ${stage}`, async () => (await deliveries())[batchId - 1]?.stage === stage, timeoutMs);
const signedFor = async (batchId: number) => (await progress()).find((each) => each.batchId === batchId)!.attempts;
const receiptOf = async (batchId: number) => {
  const [row] = await system.sql<{ id: string }>(
    `SELECT convert_from(value, 'UTF8')::json->0->>0 AS id FROM state WHERE key = '${FORWARDER}||leaves:${batchId}'`,
  );
  const { body } = await system.get(`${FORWARDER}/api/usage/${row!.id}/verify`, system.token(randomUUID(), 'admin'));
  return (body as { valid: boolean; sinks: { evm: { receipt: { transactionHash: Hex; replaced: Hex[] } } } }).sinks.evm
    .receipt;
};

/** Blocks come until everything is final; then each batch is anchored once, with its root, in order, and each use is in one. */
async function expectAllAnchored(): Promise<void> {
  await eventually(
    'everything is final',
    async () => {
      await mine();
      return isSettled(system);
    },
    60_000,
  );
  const judged = await judgeLedger(system);
  expect(judged.faults).toEqual([]);
  expect(judged.ids.sort()).toEqual([...ids].sort());
  const order = (await anchorsOn(system.info.evm!)).map(({ batchId }) => batchId);
  expect(order).toEqual(judged.batches.map(({ batchId }) => batchId));
}

test('when the chain is away for longer than every back-off, then all is anchored in order once it is back', async () => {
  await useEnds();
  await expectAllAnchored();
  // what anvil has not written yet would be forgotten
  await pause(1_500);
  const away = system.kill('chain', { hold: true });
  const before = await lastBatch();
  for (let n = 0; n < 6; n += 1) {
    await useEnds(5);
    await pause(1_000);
  }
  await eventually('it was tried in vain', async () => ((await sink())?.failures ?? 0) >= 5);
  expect((await sink())!.lastError).toMatch(/chain|node/);
  expect((await deliveries()).slice(before).every(({ stage }) => stage === 'pending')).toBe(true);
  away.release();
  await eventually('the chain is back', () =>
    mine().then(
      () => true,
      () => false,
    ),
  );
  await expectAllAnchored();
  expect(await lastBatch()).toBe(before + 6);
});

test.each([2, 5])('when the last %i blocks are dropped, then what was in them is anchored again', async (depth) => {
  let last = 0;
  for (let n = 0; n < 6; n += 1) {
    last = await useEnds();
    await comesTo('mined', last);
  }
  const before = await anchorsOn(system.info.evm!);
  await ask('anvil_reorg', depth, []);
  await eventually('they are anchored again', async () => {
    const now = await anchorsOn(system.info.evm!);
    return now.length === before.length && now.at(-1)!.blockHash !== before.at(-1)!.blockHash;
  });
  const after = await anchorsOn(system.info.evm!);
  const places = (anchors: typeof after) =>
    anchors.map(({ batchId, root, transactionHash }) => ({ batchId, root, transactionHash }));
  expect(places(after)).toEqual(places(before));
  const moved = after.filter(({ blockHash }, n) => blockHash !== before[n]!.blockHash);
  expect(moved.map(({ batchId }) => batchId)).toEqual(Array.from({ length: depth }, (_, n) => last - depth + 1 + n));
  await expectAllAnchored();
});

describe('a chain that mines when it is told', () => {
  beforeEach(() => ask('evm_setAutomine', false));
  afterEach(() => ask('evm_setAutomine', true));

  test('when a transaction offers too little for too long, then the same nonce offers more, and the old hash is told', async () => {
    const batchId = await useEnds();
    await comesTo('submitted', batchId);
    await eventually('it is sent', async () => (await signedFor(batchId))[0]!.sentAt !== null);
    await ask('anvil_setNextBlockBaseFeePerGas', gwei(30));
    await mine();
    expect((await deliveries())[batchId - 1]!.stage).toBe('submitted');
    await eventually('more is offered', async () => (await signedFor(batchId))[1]?.sentAt != null, STUCK_MS + 10_000);
    await mine();
    await comesTo('mined', batchId);
    const [first, second] = await signedFor(batchId);
    expect(second!.nonce).toBe(first!.nonce);
    expect(await receiptOf(batchId)).toMatchObject({ transactionHash: second!.hash, replaced: [first!.hash] });
    await expectAllAnchored();
  });

  test('when somebody with the same key uses the nonce, then the next one anchors, and the old hash is told', async () => {
    const batchId = await useEnds();
    await comesTo('submitted', batchId);
    await eventually('it is sent', async () => (await signedFor(batchId))[0]!.sentAt !== null);
    const [first] = await signedFor(batchId);
    const [from] = await ask<Hex[]>('eth_accounts');
    await ask('eth_sendTransaction', {
      from,
      to: from,
      value: '0x1',
      nonce: `0x${first!.nonce.toString(16)}`,
      gas: '0x5208',
      maxFeePerGas: gwei(200),
      maxPriorityFeePerGas: gwei(100),
    });
    await mine();
    await eventually(
      'another is sent',
      async () => (await signedFor(batchId)).at(-1)!.sentAt !== null && (await signedFor(batchId)).length > 1,
    );
    await mine();
    await comesTo('mined', batchId);
    const [, second] = await signedFor(batchId);
    expect(second!.nonce).toBe(first!.nonce + 1);
    expect(await receiptOf(batchId)).toMatchObject({ transactionHash: second!.hash, replaced: [first!.hash] });
    await expectAllAnchored();
  });
});

describe('two replicas', () => {
  const REPLICAS = [FORWARDER, `${FORWARDER}-2`] as const;
  /** Batches that a process took to a stage, by what it logged. */
  const stagesBy = (name: string) =>
    system
      .log(name)
      .split('\n')
      .flatMap((line) =>
        /"batch (mined|submitted|finalized) at evm"/.test(line) ? [JSON.parse(line) as { resource: string }] : [],
      )
      .map(({ resource }) => Number(resource));

  test('when the one that sends is killed for good, then the other goes on before its lease has ended by much', async () => {
    const batchId = await useEnds();
    await comesTo('mined', batchId);
    const senders = () => REPLICAS.filter((name) => stagesBy(name).length > 0);
    expect(senders()).toHaveLength(1);
    const sender = senders()[0]!;
    const other = REPLICAS.find((name) => name !== sender)!;

    await ask('evm_setAutomine', false);
    const next = await useEnds();
    await comesTo('submitted', next);
    const killed = system.kill(sender, { hold: true });
    const began = Date.now();
    const { lease } = (await sink())!;
    const leaseEndsInMs = Date.parse(lease!.until) - began;
    await mine();
    await ask('evm_setAutomine', true);
    try {
      await comesTo('mined', next, leaseEndsInMs + 5_000);
      console.log(
        `the other replica went on ${((Date.now() - began) / 1_000).toFixed(1)} s after kill -9 of the first`,
      );
      expect((await sink())!.lease!.holder).not.toBe(lease!.holder);
      expect(stagesBy(other)).toContain(next);
      expect(stagesBy(sender)).not.toContain(next + 1);
    } finally {
      killed.release();
    }
    await eventually('the killed one is back', () =>
      fetch(
        `${sender === FORWARDER ? system.info.services[FORWARDER]!.url : system.info.replicas[sender]!.url}/readyz`,
      ).then(
        ({ ok }) => ok,
        () => false,
      ),
    );
    const last = await useEnds();
    await comesTo('mined', last);
    expect(stagesBy(other)).toContain(last);
    expect(stagesBy(sender)).not.toContain(last);
    await expectAllAnchored();
  });
});
