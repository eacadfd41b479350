import { EvmAnchor } from '../adapters/sinks/evm/evm-anchor';
import { describeLedgerSink } from './ledger-sink.contract';
import { signerOf } from './support/anchor-run';
import { RECORDER_KEY, startAnvil, type TestChain } from './support/anvil';
import { deployLedgerAnchor, ledgerAnchorAbi } from './support/ledger-anchor';
import { startRelay, type Relay } from './support/relay';

/** The chain's sink keeps to what every sink does: a contract of its own for each test, on a real chain. */

jest.setTimeout(60_000);

let chain: TestChain;
let relay: Relay | undefined;
beforeAll(async () => {
  chain = await startAnvil();
});
afterEach(() => relay?.stop());
afterAll(() => chain.stop());

describeLedgerSink('evm', async () => {
  const ledger = await deployLedgerAnchor(chain);
  relay = await startRelay(chain.rpcUrl);
  const { url } = relay;
  const given = relay;
  return {
    newSink: () =>
      new EvmAnchor({
        rpcUrl: `${url}/?key=hunter2`,
        chainId: chain.chainId,
        contract: ledger.address,
        signer: signerOf(RECORDER_KEY),
        confirmations: 1,
        pollMs: 20,
      }),
    held: async () => {
      const { address, reader } = ledger;
      const logs = await reader.getContractEvents({
        abi: ledgerAnchorAbi,
        address,
        eventName: 'BatchAnchored',
        fromBlock: 0n,
      });
      return logs.map(({ args }) => String(args.root));
    },
    thingsOf: ({ batch }) => [batch.root],
    goAway: async () => void (given.away = true),
    comeBack: async () => void (given.away = false),
    secrets: ['hunter2', RECORDER_KEY.slice(2)],
  };
});
