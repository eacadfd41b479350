import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { exportJWK, calculateJwkThumbprint } from 'jose';
import { recoverTransactionAddress, type Address, type TransactionSerializedEIP1559 } from 'viem';
import { KeyUnusable, parseKeyReference, type KeyReference } from '../adapters/keys/reference';
import type { SecretSources } from '../adapters/keys/secret-text';
import { loadRetiredKeys, loadSigningKey, receiptKeys } from '../adapters/keys/signing-key';
import { transactionSigner } from '../adapters/keys/transaction-signer';
import { AppError } from '../../../shared/errors';
import { ConfigError } from '../../../shared/process/config';
import { SidecarError } from '../../../shared/dapr/sidecar-error';
import { publicJwk } from '../domain/receipt-signature';
import { OWNER_KEY, RECORDER_KEY, accountOf, startAnvil, type TestChain } from './support/anvil';

const ANCHORER = accountOf(RECORDER_KEY);
const refuse = (status?: number) => () =>
  Promise.reject(new AppError('unavailable', 'x', 'x', { cause: new SidecarError('secret store', status, 'x') }));
const sources = (fields: Partial<SecretSources> = {}): SecretSources => ({
  variable: () => undefined,
  sidecar: { secret: refuse() },
  ...fields,
});
const reference = (text: string): KeyReference => parseKeyReference(text)!;
const unsigned = {
  chainId: 31337,
  nonce: 0,
  to: '0x90f79bf6eb2c4f870365e785982e1f101e93b906' as Address,
  data: '0x1234',
  gas: 100_000n,
  maxFeePerGas: 3_000_000_000n,
  maxPriorityFeePerGas: 1n,
} as const;
const signerFor = async (raw: string) =>
  recoverTransactionAddress({ serializedTransaction: raw as TransactionSerializedEIP1559 });

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'keys-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function fileWith(text: string, mode = 0o600): Promise<string> {
  const file = path.join(folder, `key-${Math.random()}`);
  await writeFile(file, text);
  await chmod(file, mode);
  return file;
}

describe('references', () => {
  it('when a text is a reference, then it is read; what is half of one is none', () => {
    expect(reference('env:EVM_SECRET')).toEqual({ kind: 'env', name: 'EVM_SECRET' });
    expect(reference('file:/run/secrets/key')).toEqual({ kind: 'file', path: '/run/secrets/key' });
    expect(reference('dapr:vault/anchorer.key')).toEqual({ kind: 'dapr', store: 'vault', name: 'anchorer.key' });
    const address = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';
    expect(reference(`rpc:http://signer:8550/x#${address}`)).toEqual({
      kind: 'rpc',
      url: 'http://signer:8550/x',
      address,
    });
    const none = ['', RECORDER_KEY, 'env:', 'env:A B', 'file:key', 'dapr:vault', 'dapr:a/b/../c', 'rpc:http://signer'];
    for (const text of [...none, `rpc:ftp://signer#${address}`, 'http:x'])
      expect(parseKeyReference(text)).toBeUndefined();
  });

  const places: [string, () => Promise<[string, SecretSources]>][] = [
    ['the environment', async () => ['env:KEY', sources({ variable: (name) => (name === 'KEY' ? RECORDER_KEY : '') })]],
    ['a file', async () => [`file:${await fileWith(`${RECORDER_KEY.slice(2)}\n`)}`, sources()]],
    [
      "Dapr's secret store",
      async () => ['dapr:vault/key', sources({ sidecar: { secret: async () => ({ key: RECORDER_KEY }) } })],
    ],
    [
      'a secret with one field of another name',
      async () => ['dapr:vault/key', sources({ sidecar: { secret: async () => ({ value: RECORDER_KEY }) } })],
    ],
  ];
  it.each(places)('when the key is in %s, then it signs for its account', async (_, given) => {
    const [text, from] = await given();
    const signer = transactionSigner(reference(text), from);
    expect(await signer.address()).toBe(ANCHORER);
    expect(await signerFor(await signer.sign(unsigned))).toBe(ANCHORER);
  });

  it('when the key is not to be had, then a sentence says where it was looked for and what helps', async () => {
    const open = await fileWith(RECORDER_KEY, 0o640);
    const cures: [string, SecretSources, string][] = [
      ['env:KEY', sources(), 'the environment variable KEY is empty or not there; put the key there'],
      ['file:/nowhere', sources(), 'the file /nowhere cannot be read (ENOENT); put the key there'],
      [`file:${folder}`, sources(), `the file ${folder} is open to others than its owner`],
      [`file:${open}`, sources(), `the file ${open} is open to others than its owner; chmod 600 it`],
      [`file:${await fileWith('x'.repeat(20_000))}`, sources(), 'is too long for a key'],
      ['dapr:vault/key', sources(), "the secret key of Dapr's secret store vault cannot be read now"],
      ['dapr:vault/key', sources({ sidecar: { secret: refuse(500) } }), 'cannot be read now: it is not there, or'],
      ['dapr:vault/key', sources({ sidecar: { secret: refuse(403) } }), 'is closed to this app, or there is no such'],
      ['env:KEY', sources({ variable: () => '0x1234' }), 'holds no key of an account: it is 64 hexadecimal digits'],
      ['env:KEY', sources({ variable: () => 'f'.repeat(64) }), 'holds no key of an account'],
    ];
    await chmod(folder, 0o755);
    for (const [text, from, cure] of cures)
      await expect(transactionSigner(reference(text), from).address()).rejects.toThrow(cure);
  });

  it('when it is one for development and this is production, then it is refused unshown, wherever it is', async () => {
    const refused = (): string => 'it is a published key of development chains';
    const there = sources({
      variable: () => OWNER_KEY,
      sidecar: { secret: async () => ({ key: OWNER_KEY }) },
      refused,
    });
    for (const text of ['env:KEY', `file:${await fileWith(OWNER_KEY)}`, 'dapr:vault/key']) {
      const error = await transactionSigner(reference(text), there)
        .address()
        .catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(KeyUnusable);
      expect(String(error)).toContain(
        'published key of development chains, which production refuses; put a random one',
      );
      expect(String(error)).not.toContain(OWNER_KEY.slice(2));
    }
  });

  it('when the key could not be read at first, then the next try has it', async () => {
    let there = false;
    const signer = transactionSigner(reference('env:KEY'), sources({ variable: () => (there ? OWNER_KEY : '') }));
    await expect(signer.address()).rejects.toThrow('not there');
    there = true;
    expect(await signer.address()).toBe(accountOf(OWNER_KEY));
  });
});

describe('an external signer', () => {
  let signer: TestChain;
  beforeAll(async () => {
    signer = await startAnvil();
  }, 30_000);
  afterAll(() => signer.stop());

  it('when it keeps the key, then it signs what it is given', async () => {
    const external = transactionSigner(reference(`rpc:${signer.rpcUrl}#${ANCHORER}`), sources());
    expect(await external.address()).toBe(ANCHORER);
    expect(await signerFor(await external.sign({ ...unsigned, nonce: 7 }))).toBe(ANCHORER);
  });

  it('when it is away, does not have the account or refuses, then a sentence says so, without its URL', async () => {
    const at = (url: string, address: string) => transactionSigner(reference(`rpc:${url}#${address}`), sources());
    const nobody = '0x00000000000000000000000000000000000000aa';
    await expect(at('http://user:secret@127.0.0.1:1', ANCHORER).address()).rejects.toThrow(
      new Error(`the signer of ${ANCHORER} does not answer; start it or name another`),
    );
    await expect(at(signer.rpcUrl, nobody).address()).rejects.toThrow('does not offer this account');
    await expect(at(signer.rpcUrl, nobody).sign(unsigned)).rejects.toThrow('refuses eth_signTransaction');
  });
});

describe('an external signer that is not what it should be', () => {
  let server: Server;
  let answer: unknown;
  let url: string;
  beforeAll(async () => {
    server = createServer((request, response) => {
      request.resume().on('end', () => response.end(JSON.stringify({ jsonrpc: '2.0', id: 0, result: answer })));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => server.close());

  it('when it signs for another account, or something else than was asked, then that is not taken; geth wraps it', async () => {
    const of = (key: string) => transactionSigner(reference('env:KEY'), sources({ variable: () => key }));
    const external = transactionSigner(reference(`rpc:${url}#${ANCHORER}`), sources());
    answer = { raw: await of(RECORDER_KEY).sign(unsigned), tx: {} };
    expect(await signerFor(await external.sign(unsigned))).toBe(ANCHORER);
    for (const wrong of [
      await of(OWNER_KEY).sign(unsigned),
      await of(RECORDER_KEY).sign({ ...unsigned, nonce: 1 }),
      await of(RECORDER_KEY).sign({ ...unsigned, to: '0x00000000000000000000000000000000000000aa' }),
      await of(RECORDER_KEY).sign({ ...unsigned, maxFeePerGas: 4_000_000_000n }),
      '0x1234',
      null,
    ]) {
      answer = wrong;
      await expect(external.sign(unsigned)).rejects.toThrow('signed something else than it was given');
    }
  });
});

describe('the key of the receipts', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const jwk = privateKey.export({ format: 'jwk' });
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  const seed = Buffer.from(jwk.d!, 'base64url').toString('hex');

  it.each([
    ['PEM', pem],
    ['a JWK', JSON.stringify(jwk)],
    ['a seed', seed],
    ['a seed with 0x', `0x${seed}`],
  ])('when it is given as %s, then it signs, and its name is its thumbprint', async (_, text) => {
    const key = await loadSigningKey(reference('env:KEY'), sources({ variable: () => text }));
    expect(verify(null, Buffer.from('x'), publicKey, sign(null, Buffer.from('x'), key.privateKey))).toBe(true);
    expect(key.kid).toBe(await calculateJwkThumbprint(await exportJWK(publicKey)));
  });

  it('when it is no private Ed25519 key, or a signer is named for it, then the cure is said', async () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'pem', type: 'pkcs8' });
    const open = publicKey.export({ format: 'pem', type: 'spki' });
    for (const text of [rsa, open, 'hunter2', '{"kty":', JSON.stringify(publicKey.export({ format: 'jwk' }))]) {
      const load = loadSigningKey(reference('env:KEY'), sources({ variable: () => text.toString() }));
      await expect(load).rejects.toThrow(
        'the environment variable KEY holds no private Ed25519 key: it is a PEM (PKCS #8), a JWK, or 64 hexadecimal digits',
      );
    }
    const external = loadSigningKey(reference(`rpc:http://signer#${ANCHORER}`), sources());
    await expect(external).rejects.toThrow('receipts are not signed by an external signer; name a key by');
  });

  it('when older keys are in a JWK set, then their public halves are read; a private one there is refused', async () => {
    const old = publicJwk({ kid: 'old', privateKey });
    const file = await fileWith(JSON.stringify({ keys: [old, { kty: 'RSA', n: 'AQ', e: 'AQAB' }] }), 0o644);
    expect(await loadRetiredKeys(file)).toEqual([{ kty: 'OKP', crv: 'Ed25519', x: old.x, kid: 'old' }]);
    const leak = await fileWith(JSON.stringify({ keys: [{ ...jwk, kid: 'old' }] }));
    await expect(loadRetiredKeys(leak)).rejects.toThrow(`${leak} holds a private key`);
    await expect(loadRetiredKeys(await fileWith('[]'))).rejects.toThrow('is no JWK set; set LEDGER_RETIRED_KEYS');
    await expect(loadRetiredKeys('/nowhere')).rejects.toThrow('/nowhere cannot be read (ENOENT)');
  });
});

describe('the keys of receipts', () => {
  it('when the key is in a secret store that is away, then receipts and keys are 503 `ledger.key_unavailable`, and come back', async () => {
    let away = true;
    const secret = async () => {
      if (away) return refuse(500)();
      return { signing: '11'.repeat(32) };
    };
    const config = { LEDGER_SIGNING_KEY: reference('dapr:vault/signing') };
    const keys = await receiptKeys(config, sources({ sidecar: { secret } }));
    await expect(keys.signing()).rejects.toMatchObject({ code: 'ledger.key_unavailable', kind: 'unavailable' });
    await expect(keys.published()).rejects.toMatchObject({ code: 'ledger.key_unavailable' });
    away = false;
    const key = await keys.signing();
    expect(await keys.published()).toMatchObject([{ kid: key!.kid, kty: 'OKP' }]);
  });

  it('when the key is not to be had, then the service refuses to start, with the cure', async () => {
    const config = { LEDGER_SIGNING_KEY: reference('env:NOT_THERE') };
    const refused = receiptKeys(config, sources());
    await expect(refused).rejects.toThrow(ConfigError);
    await expect(refused).rejects.toThrow('NOT_THERE is empty or not there; put the key there');
  });
});
