import { createPublicClient, createWalletClient, http, parseAbi, type Address, type Hex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { anvil } from 'viem/chains';
import { usageLedgerAbi } from '../adapters/usage-ledger-abi';
import { OWNER_KEY, RECORDER_KEY, STRANGER_KEY, accountOf, startAnvil, type TestChain } from './support/anvil';
import { artifactOf, canonicalShape } from './support/artifacts';

describe('the checked-in UsageLedger', () => {
  it('when the sink calls it, then it does so by the same ABI', () => {
    const compiled = artifactOf('UsageLedger').abi.map(canonicalShape);
    for (const item of usageLedgerAbi) expect(compiled).toContain(canonicalShape(item));
  });
});

describe('UsageLedger on a real EVM', () => {
  const abi = parseAbi([
    'struct Entry { uint64 blockNumber; uint64 time; uint64 sequence; }',
    'function record(bytes32[] usageHashes)',
    'function recordedAt(bytes32 usageHash) view returns (Entry)',
    'function setRecorder(address next)',
    'function count() view returns (uint64)',
    'function owner() view returns (address)',
    'function recorder() view returns (address)',
    'event UsageRecorded(bytes32 indexed usageHash, uint64 indexed sequence, address indexed recorder)',
    'error NotAllowed(address caller)',
  ]);
  const hash = (n: number): Hex => `0x${n.toString(16).padStart(64, '0')}`;
  let chain: TestChain;
  let address: Address;

  beforeAll(async () => {
    chain = await startAnvil();
  }, 30_000);
  afterAll(() => chain.stop());
  beforeEach(async () => {
    address = await chain.deployLedger();
  });

  const reader = () => createPublicClient({ chain: anvil, transport: http(chain.rpcUrl), pollingInterval: 20 });
  async function send(key: Hex, functionName: 'record' | 'setRecorder', args: [Hex[]] | [Address]) {
    const account = privateKeyToAccount(key);
    const wallet = createWalletClient({ account, chain: anvil, transport: http(chain.rpcUrl) });
    const { request } = await reader().simulateContract({ address, abi, functionName, args, account } as never);
    return reader().waitForTransactionReceipt({ hash: await wallet.writeContract(request as never) });
  }
  const entry = (n: number) => reader().readContract({ address, abi, functionName: 'recordedAt', args: [hash(n)] });
  const count = () => reader().readContract({ address, abi, functionName: 'count' });

  it('when hashes are recorded, then each has its block, its time and its place', async () => {
    const receipt = await send(RECORDER_KEY, 'record', [[hash(1), hash(2)]]);
    expect(await entry(1)).toMatchObject({ blockNumber: receipt.blockNumber, sequence: 1n });
    expect(await entry(2)).toMatchObject({ blockNumber: receipt.blockNumber, sequence: 2n });
    expect(await entry(3)).toEqual({ blockNumber: 0n, time: 0n, sequence: 0n });
    expect(receipt.logs).toHaveLength(2);
  });

  it('when a known hash comes again, also twice in one batch, then it keeps its first place and no event is told', async () => {
    await send(RECORDER_KEY, 'record', [[hash(1)]]);
    const before = await entry(1);
    const receipt = await send(OWNER_KEY, 'record', [[hash(1), hash(2), hash(2)]]);
    expect(await entry(1)).toEqual(before);
    expect(receipt.logs).toHaveLength(1);
    expect(await count()).toBe(2n);
  });

  it('when somebody else records or names a recorder, then it is refused', async () => {
    await expect(send(STRANGER_KEY, 'record', [[hash(1)]])).rejects.toThrow('NotAllowed');
    await expect(send(STRANGER_KEY, 'setRecorder', [accountOf(STRANGER_KEY)])).rejects.toThrow('NotAllowed');
    await expect(send(RECORDER_KEY, 'setRecorder', [accountOf(STRANGER_KEY)])).rejects.toThrow('NotAllowed');
    expect(await count()).toBe(0n);
  });

  it('when the owner replaces the recorder, then the new one may record and the old one may not', async () => {
    await send(OWNER_KEY, 'setRecorder', [accountOf(STRANGER_KEY)]);
    await send(STRANGER_KEY, 'record', [[hash(1)]]);
    await expect(send(RECORDER_KEY, 'record', [[hash(2)]])).rejects.toThrow('NotAllowed');
    expect(await count()).toBe(1n);
  });

  it('when 200 hashes are recorded in one batch, then a hash costs less than 30,000 gas', async () => {
    const hashes = Array.from({ length: 200 }, (_, n) => hash(n + 1));
    const receipt = await send(RECORDER_KEY, 'record', [hashes]);
    expect(Number(receipt.gasUsed) / hashes.length).toBeLessThan(30_000);
  });
});
