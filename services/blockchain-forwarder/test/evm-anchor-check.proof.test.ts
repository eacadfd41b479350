import { keccak256, type Hex } from 'viem';
import { LEDGER_ANCHOR_CODE_HASH, ledgerAnchorAbi } from '../adapters/sinks/evm/ledger-anchor-abi';
import { parseKeyReference } from '../adapters/keys/reference';
import { transactionSigner } from '../adapters/keys/transaction-signer';
import { SinkMisconfigured, SinkUnavailable } from '../ports/ledger-sink';
import { signerOf, useAnchorWorld } from './support/anchor-run';
import { STRANGER_KEY } from './support/anvil';
import { artifactOf, canonicalShape } from './support/artifacts';
import { ANCHORER, NOMINEE } from './support/ledger-anchor';

const world = useAnchorWorld();
const external = (url: string, address: string = ANCHORER) =>
  transactionSigner(parseKeyReference(`rpc:${url}#${address}`)!, {
    variable: () => undefined,
    sidecar: { secret: () => Promise.reject(new Error('there is none')) },
  });

describe('what is checked at start', () => {
  it('when all is as configured, then it resolves', async () => {
    await expect(world.sink().check()).resolves.toBeUndefined();
    await expect(world.sink({ signer: external(world.chain.rpcUrl) }).check()).resolves.toBeUndefined();
  });

  it('when something is wrong that waiting does not cure, then a sentence says what, where and the cure', async () => {
    const contract = world.ledger.address.toLowerCase();
    const empty = '0x00000000000000000000000000000000000000aa';
    const other = '0x00000000000000000000000000000000000000bb';
    await world.rpc('anvil_setCode', other, '0x600160015500');
    const cures = [
      [world.sink({ chainId: 5 }), 'the node is on chain 31337, not 5; set EVM_CHAIN_ID or EVM_RPC_URL'],
      [world.sink({ contract: empty }), `no contract is at ${empty} on chain 31337; deploy LedgerAnchor there`],
      [world.sink({ contract: other }), `the contract at ${other} on chain 31337 is not LedgerAnchor; deploy`],
      [
        world.sink({ signer: signerOf(STRANGER_KEY) }),
        `${NOMINEE} is not the anchorer of ${contract} on chain 31337, which is ${ANCHORER}; set EVM_KEY, or let`,
      ],
      [
        world.sink({ signer: external('http://127.0.0.1:1') }),
        `EVM_KEY: the signer of ${ANCHORER} does not answer; start it or name another`,
      ],
      [
        world.sink({ signer: external(world.chain.rpcUrl, empty) }),
        'does not offer this account; unlock or name another',
      ],
      [world.sink({ signer: signerOf('0x12') }), 'EVM_KEY: the environment variable KEY holds no key of an account'],
    ] as const;
    for (const [sink, cure] of cures) {
      const error: unknown = await sink.check().catch((each: unknown) => each);
      expect(error).toBeInstanceOf(SinkMisconfigured);
      expect((error as Error).message).toContain(cure);
    }
  });

  it('when the account cannot pay one transaction, then it is named with the chain and what it costs', async () => {
    await world.rpc('anvil_setBalance', ANCHORER, '0x9184e72a000');
    await expect(world.sink().check()).rejects.toThrow(
      new RegExp(
        `^${ANCHORER} has 0.00001 of chain 31337's currency, and a transaction may cost 0\\.\\d+ at the present fee; send it funds$`,
      ),
    );
    await expect(world.sink().check()).rejects.toBeInstanceOf(SinkMisconfigured);
  });

  it('when the chain is away, then it cannot be told', async () => {
    world.relay.away = true;
    await expect(world.sink().check()).rejects.toBeInstanceOf(SinkUnavailable);
  });
});

it('when a signer outside keeps the key, then it anchors as well, and what it cannot sign waits for it', async () => {
  const run = world.run(3, { signer: external(world.chain.rpcUrl) });
  await run.steps();
  await world.mine();
  await world.finish(run);
  const away = world.run(1, { signer: external('http://127.0.0.1:1') });
  expect(await away.step()).toMatchObject({
    advances: [],
    trouble: { error: `the signer of ${ANCHORER} does not answer; start it or name another` },
  });
});

it('what the sink takes for LedgerAnchor is the compiled contract', () => {
  const { abi, deployedBytecode } = artifactOf('LedgerAnchor');
  expect(keccak256(deployedBytecode as Hex)).toBe(LEDGER_ANCHOR_CODE_HASH);
  const compiled = abi.map(canonicalShape);
  for (const item of ledgerAnchorAbi) expect(compiled).toContain(canonicalShape(item));
});
