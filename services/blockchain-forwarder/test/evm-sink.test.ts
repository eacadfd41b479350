import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createPublicClient, http, type Address } from 'viem';
import { EvmSink } from '../adapters/evm-sink';
import { usageLedgerAbi } from '../adapters/usage-ledger-abi';
import { RECORDER_KEY, STRANGER_KEY, startAnvil, type TestChain } from './support/anvil';
import { sealedRecord, sealedRecords } from './support/samples';
import { describeUsageSink } from './usage-sink.contract';

let chain: TestChain;
let contract: Address;
/** Between sink and chain, so that the chain can be away without losing its state. */
let relay: Server;
let relayUrl: string;
let away = false;

beforeAll(async () => {
  chain = await startAnvil();
  contract = await chain.deployLedger();
  relay = createServer((incoming, outgoing) => {
    if (away) return void outgoing.destroy();
    const forward = httpRequest(chain.rpcUrl, { method: 'POST', headers: incoming.headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    forward.on('error', () => outgoing.destroy());
    incoming.pipe(forward);
  });
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
  relayUrl = `http://127.0.0.1:${(relay.address() as AddressInfo).port}`;
}, 30_000);

afterAll(async () => {
  relay.close();
  relay.closeAllConnections();
  await chain.stop();
});

function sink(options: Partial<ConstructorParameters<typeof EvmSink>[0]> = {}): EvmSink {
  return new EvmSink({ rpcUrl: relayUrl, chainId: chain.chainId, contract, privateKey: RECORDER_KEY, ...options });
}

async function recordedHashes(): Promise<string[]> {
  const reader = createPublicClient({ transport: http(chain.rpcUrl) });
  const logs = await reader.getContractEvents({
    address: contract,
    abi: usageLedgerAbi,
    eventName: 'UsageRecorded',
    fromBlock: 0n,
  });
  return logs.map((log) => String(log.args.usageHash));
}

describeUsageSink('the chain', () => ({
  sink: sink(),
  stored: recordedHashes,
  goAway: () => {
    away = true;
    return Promise.resolve();
  },
  comeBack: () => {
    away = false;
    return Promise.resolve();
  },
}));

describe('delivery to the chain', () => {
  it('when many records are delivered at once, then one transaction carries them all, and its receipt names it', async () => {
    const before = await chain.transactionCount(RECORDER_KEY);
    const outcomes = await sink().deliver(await sealedRecords(200));
    expect(await chain.transactionCount(RECORDER_KEY)).toBe(before + 1);
    const receipts = outcomes.map((outcome) => (outcome.kind === 'delivered' ? outcome.receipt : {}));
    expect(new Set(receipts.map((receipt) => receipt['transactionHash'])).size).toBe(1);
    expect(receipts[0]).toMatchObject({
      chainId: chain.chainId,
      contract,
      transactionHash: expect.stringMatching(/^0x[0-9a-f]{64}$/) as string,
      blockNumber: expect.any(Number) as number,
      sequence: expect.any(Number) as number,
    });
  });

  it('when all hashes are on the chain already, then no transaction is sent and the receipts are found', async () => {
    const records = await sealedRecords(3);
    const first = await sink().deliver(records);
    const before = await chain.transactionCount(RECORDER_KEY);
    expect(await sink().deliver(records)).toEqual(first);
    expect(await chain.transactionCount(RECORDER_KEY)).toBe(before);
  });

  it('when a transaction is not mined in time, then the next attempt finds it and the hash is there once', async () => {
    const sealed = await sealedRecord();
    await chain.automine(false);
    try {
      const [outcome] = await sink({ receiptTimeoutMs: 300 }).deliver([sealed]);
      expect(outcome).toMatchObject({ kind: 'retry' });
      await chain.mine();
    } finally {
      await chain.automine(true);
    }
    expect(await sink().deliver([sealed])).toMatchObject([{ kind: 'delivered' }]);
    expect((await recordedHashes()).filter((hash) => hash === sealed.usageHash)).toHaveLength(1);
  });

  it('when the account is not the recorder, then nothing is sent and the reason is said', async () => {
    const before = await chain.transactionCount(STRANGER_KEY);
    const [outcome] = await sink({ privateKey: STRANGER_KEY }).deliver([await sealedRecord()]);
    expect(outcome).toMatchObject({ kind: 'retry', error: expect.stringContaining('record') as string });
    expect(await chain.transactionCount(STRANGER_KEY)).toBe(before);
  });

  it('when the node is on another chain, or no contract is at the address, then nothing is sent and the cure is said', async () => {
    const sealed = await sealedRecord();
    expect(await sink({ chainId: 5 }).deliver([sealed])).toEqual([
      { kind: 'retry', error: `the node is on chain ${chain.chainId}; set EVM_CHAIN_ID or EVM_RPC_URL` },
    ]);
    const empty = '0x00000000000000000000000000000000000000AA';
    expect(await sink({ contract: empty }).deliver([sealed])).toEqual([
      { kind: 'retry', error: `no contract at ${empty}; deploy UsageLedger or set EVM_CONTRACT` },
    ]);
  });
});
