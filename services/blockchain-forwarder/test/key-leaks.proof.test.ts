import { createPrivateKey } from 'node:crypto';
import { inspect } from 'node:util';
import { parseKeyReference } from '../adapters/keys/reference';
import { loadSigningKey } from '../adapters/keys/signing-key';
import { forwarderConfig } from '../config';
import { ENVIRONMENT } from './support/environment';
import { signerOf, useAnchorWorld } from './support/anchor-run';
import { RECORDER_KEY } from './support/anvil';

/** Everything that may print a key, searched for it in all the ways in which it may be written. */

const world = useAnchorWorld();
const KEY = RECORDER_KEY.slice(2);
const bytes = Buffer.from(KEY, 'hex');
const SPELLINGS = [
  KEY,
  KEY.toUpperCase(),
  bytes.toString('base64'),
  bytes.toString('base64url'),
  BigInt(RECORDER_KEY).toString(),
  [...bytes].join(', '),
  [...bytes].join(','),
  KEY.replaceAll(/(..)(?!$)/g, '$1 '),
];

function expectNoKey(value: unknown): void {
  const shown = [String(value), inspect(value, { depth: Infinity, showHidden: true, getters: false })];
  shown.push(JSON.stringify(value) ?? '');
  if (value instanceof Error) shown.push(value.message, value.stack ?? '', inspect(value.cause, { depth: Infinity }));
  for (const text of shown) for (const spelling of SPELLINGS) expect(text).not.toContain(spelling);
}

const failure = (work: Promise<unknown>): Promise<unknown> => work.catch((error: unknown) => error);
const chain = { EVM_RPC_URL: 'http://127.0.0.1:1', EVM_CHAIN_ID: '1', EVM_CONTRACT: `0x${'ab'.repeat(20)}` };
const signing = { LEDGER_SIGNING_KEY: 'env:KEY' };

it('the search finds a key that is there', () => {
  for (const leak of [RECORDER_KEY, bytes, { key: RECORDER_KEY }, new Error(KEY), { deep: { in: [KEY] } }])
    expect(() => expectNoKey(leak)).toThrow();
});

it('the configuration shows no key, wherever it was put', () => {
  expectNoKey(forwarderConfig({ ...ENVIRONMENT, ...chain, ...signing, EVM_PRIVATE_KEY: RECORDER_KEY }));
  expectNoKey(forwarderConfig({ ...ENVIRONMENT, ...chain, ...signing, EVM_KEY: 'env:KEY', KEY: RECORDER_KEY }));
  const mistakes: Record<string, string>[] = [
    { EVM_PRIVATE_KEY: `${RECORDER_KEY}0` },
    { EVM_KEY: RECORDER_KEY },
    { EVM_KEY: `env:${RECORDER_KEY} ` },
    { EVM_KEY: 'env:A', LEDGER_SIGNING_KEY: KEY },
    { EVM_KEY: 'env:A', EVM_PRIVATE_KEY: RECORDER_KEY },
  ];
  for (const mistake of mistakes) {
    let thrown: unknown;
    try {
      forwarderConfig({ ...ENVIRONMENT, ...chain, ...signing, ...mistake });
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(Error);
    expectNoKey(thrown);
  }
});

it('the sink shows no key: not when it is printed, not in progress and receipts, not in trouble', async () => {
  const own = signerOf(RECORDER_KEY);
  const run = world.run(2, { signer: own });
  for (const printed of [own, run.sink]) expectNoKey(printed);
  await run.sink.check();
  await run.steps();
  await world.mine();
  expectNoKey(await run.step());
  expectNoKey(run.all);
  expectNoKey(run.receipts);
  for (const printed of [own, run.sink]) expectNoKey(printed);
  world.relay.away = true;
  expectNoKey(await run.step());
  for (const work of [run.sink.check(), run.sink.confirm(run.batches[0]!)]) {
    const error = await failure(work);
    expect(error).toBeInstanceOf(Error);
    expectNoKey(error);
  }
  world.relay.away = false;
  for (const wrong of [{ chainId: 5 }, { contract: `0x${'00'.repeat(19)}aa` }])
    expectNoKey(await failure(world.sink({ signer: own, ...wrong }).check()));
});

it('when a key is spelled wrong, or out of the range of keys, then it is in no error', async () => {
  for (const wrong of [`${RECORDER_KEY}0`, `"${KEY}"`, `0x0x${KEY}`, `${KEY} ${KEY}`, 'f'.repeat(64)]) {
    for (const work of [signerOf(wrong).address(), signerOf(wrong).sign({} as never)]) {
      const error = await failure(work);
      expect(error).toBeInstanceOf(Error);
      expectNoKey(error);
      expect((error as Error).message).not.toContain('ffff');
    }
  }
  // a transaction that the library refuses to write
  expectNoKey(await failure(signerOf(RECORDER_KEY).sign({ chainId: 1, maxFeePerGas: 2n ** 300n } as never)));
});

it('the key of the receipts is shown as little', async () => {
  const load = (text: string) =>
    loadSigningKey(parseKeyReference('env:KEY')!, {
      variable: () => text,
      sidecar: { secret: () => Promise.reject(new Error('there is none')) },
    });
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), bytes]);
  const jwk = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ format: 'jwk' });
  expectNoKey(await load(KEY));
  expectNoKey(await load(JSON.stringify(jwk)));
  const pem = `-----BEGIN PRIVATE KEY-----\n${KEY}\n-----END PRIVATE KEY-----`;
  for (const wrong of [`${KEY}0`, JSON.stringify({ ...jwk, crv: 'x' }), `{"d":"${jwk.d}"`, pem]) {
    const error = await failure(load(wrong));
    expect(error).toBeInstanceOf(Error);
    expectNoKey(error);
  }
});

it("a provider's key in the URL of the chain is in no trouble, also where the node repeats it", async () => {
  const secret = 'v3-0123456789abcdef';
  const sink = world.sink({ rpcUrl: `http://someone:password-of-mine@127.0.0.1:1/${secret}?apikey=${secret}` });
  const said = [
    await sink.step([], { now: new Date(), records: () => Promise.resolve([]) }),
    await failure(sink.check()),
    sink,
  ];
  for (const each of said) {
    const text = inspect(each, { depth: Infinity, showHidden: true });
    expect(text).not.toContain(secret);
    expect(text).not.toContain('password-of-mine');
  }
});
