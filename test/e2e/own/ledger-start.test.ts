import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { privateKeyToAddress } from 'viem/accounts';
import {
  accountOf,
  OWNER_KEY,
  RECORDER_KEY,
  startAnvil,
  STRANGER_KEY,
  type TestChain,
} from '../../../services/blockchain-forwarder/test/support/anvil';
import {
  ANCHORER,
  deployLedgerAnchor,
  type LedgerOnChain,
} from '../../../services/blockchain-forwarder/test/support/ledger-anchor';
import { startAlone } from '../support/lone-service';

/** Issue 6, point 11: a forwarder that could not anchor does not start, and says in a sentence why and what to do. */

jest.setTimeout(60_000);

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'keys-'));
let chain: TestChain;
let ledger: LedgerOnChain;
beforeAll(async () => {
  chain = await startAnvil();
  ledger = await deployLedgerAnchor(chain);
});
afterAll(async () => {
  await chain.stop();
  fs.rmSync(folder, { recursive: true });
});

function keyFile(name: string, content: string, mode: number): string {
  const at = path.join(folder, name);
  fs.writeFileSync(at, content, { mode });
  fs.chmodSync(at, mode);
  return `file:${at}`;
}

/** What the process says before it ends. */
async function refusal(env: Record<string, string>): Promise<string> {
  const whole = {
    JWT_SECRET: 'j'.repeat(40),
    APP_API_TOKEN: 'a'.repeat(40),
    EVM_RPC_URL: chain.rpcUrl,
    EVM_CHAIN_ID: String(chain.chainId),
    EVM_CONTRACT: ledger.address,
    EVM_KEY: 'env:ANCHORER_KEY',
    ANCHORER_KEY: RECORDER_KEY,
    LEDGER_SIGNING_KEY: 'env:SIGNING_SEED',
    SIGNING_SEED: '5'.repeat(64),
    ...env,
  };
  try {
    const service = await startAlone('blockchain-forwarder', whole);
    await service.stop();
    return 'it started';
  } catch (error) {
    return (error as Error).message;
  }
}

test('when everything is right, then it starts', async () => {
  expect(await refusal({})).toBe('it started');
  expect(await refusal({ EVM_KEY: keyFile('good', RECORDER_KEY, 0o600) })).toBe('it started');
});

test.each<[string, () => Record<string, string>, RegExp]>([
  [
    'the chain is another one',
    () => ({ EVM_CHAIN_ID: '1' }),
    /the node is on chain 31337, not 1; set EVM_CHAIN_ID or EVM_RPC_URL/,
  ],
  [
    'no contract is at the address',
    () => ({ EVM_CONTRACT: accountOf(OWNER_KEY) }),
    /no contract is at 0x\w+ on chain 31337; deploy LedgerAnchor there/,
  ],
  [
    'the key is that of somebody else',
    () => ({ ANCHORER_KEY: STRANGER_KEY }),
    new RegExp(`${privateKeyToAddress(STRANGER_KEY)} is not the anchorer of .*, which is ${ANCHORER}; set EVM_KEY`),
  ],
  [
    'the file with the key is not there',
    () => ({ EVM_KEY: `file:${folder}/none` }),
    /EVM_KEY: the file \S+none cannot be read \(ENOENT\); put the key there/,
  ],
  [
    'the file with the key is open to others',
    () => ({ EVM_KEY: keyFile('open', RECORDER_KEY, 0o644) }),
    /EVM_KEY: the file \S+open is open to others than its owner; chmod 600 it, and think of a new key/,
  ],
])('when %s, then it refuses to start, and says the cure in a sentence', async (_what, env, sentence) => {
  const said = await refusal(env());
  expect(said).toContain('ended with 78');
  expect(said).toMatch(sentence);
  expect(said).not.toContain(RECORDER_KEY.slice(2, 20));
});

test('when the contract is not LedgerAnchor, then it refuses to start, and says so', async () => {
  const other = '0x00000000000000000000000000000000000000aa';
  await ledger.tester.setCode({ address: other, bytecode: '0x6001' });
  expect(await refusal({ EVM_CONTRACT: other })).toMatch(
    /ended with 78[^]*the contract at 0x\w+ on chain 31337 is not LedgerAnchor; deploy LedgerAnchor there/,
  );
});

test('when the account cannot pay, then it refuses to start, and says which one', async () => {
  await ledger.tester.setBalance({ address: ANCHORER, value: 1n });
  expect(await refusal({})).toMatch(
    new RegExp(
      `ended with 78[^]*${ANCHORER} has 0\\.\\d+ of chain 31337's currency, and a transaction may cost .*; send it funds`,
    ),
  );
});
