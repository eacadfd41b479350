// Slow: every value of a receipt changed at each of its bytes.
import { createHmac, randomUUID, sign } from 'node:crypto';
import { checkReceipt } from '../domain/check-receipt';
import {
  parseReceipt,
  parseReceiptBody,
  partsOf,
  signedBytes,
  UnreadableReceipt,
  type Receipt,
} from '../domain/receipt';
import { toBase64url } from '../domain/bytes';
import { ed25519Keys, type Ed25519Jwk } from '../domain/check-signature';
import { publicJwk, signReceipt } from '../domain/receipt-signature';
import { MAX_RECORD_BYTES, type UsageRecord } from '../domain/usage-record';
import { mutationsOf, valuesIn } from './support/mutations';
import { KEY, receiptBody, signedReceipt, signingKey } from './support/receipts';
import { usageRecord } from './support/samples';

const keys = ed25519Keys({ keys: [publicJwk(KEY)] });
const resultsOf = async (receipt: Receipt, known: Ed25519Jwk[] | null = keys) =>
  (await checkReceipt(receipt, known)).map(({ result }) => result);

let receipt: Receipt;
beforeEach(async () => {
  receipt = await signedReceipt(5, 2);
});

describe('a receipt', () => {
  it('when it was signed and written down, then it is read again and all of it holds', async () => {
    expect(parseReceipt(JSON.stringify(receipt))).toEqual(receipt);
    expect(await resultsOf(receipt)).toEqual(['holds', 'holds']);
  });

  it.each([1, 2, 3, 7, 1_000])('when its batch has %i records, then the first and the last one hold', async (size) => {
    expect(await resultsOf(await signedReceipt(size, 0))).toEqual(['holds', 'holds']);
    expect(await resultsOf(await signedReceipt(size, size - 1))).toEqual(['holds', 'holds']);
  });

  it('when a store or a person has written it anew, then it still holds', async () => {
    const reordered = Object.fromEntries(Object.entries(receipt).reverse());
    expect(await resultsOf(parseReceipt(JSON.stringify(reordered, null, 4)))).toEqual(['holds', 'holds']);
  });

  it('when a batch has 1,000 records, then an ordinary receipt has less than 1,500 bytes', async () => {
    const ordinary = await signedReceipt();
    const bytes = Buffer.byteLength(JSON.stringify(ordinary));
    process.stdout.write(`receipt of a batch of ${ordinary.treeSize}: ${bytes} bytes\n`);
    expect(bytes).toBeLessThan(1_500);
  });

  it('when a record is as large as any, then the receipt has less than 2,000 bytes', async () => {
    const record: UsageRecord = { ...usageRecord(), version: 2, corrects: randomUUID(), reason: '' };
    record.reason = 'é'.repeat((MAX_RECORD_BYTES - Buffer.byteLength(JSON.stringify(record))) / 2);
    const [sequence, chainId] = [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER];
    const body = await receiptBody(1_024, 1_023, { record, sequence, chainId });
    const largest = await signReceipt(body, signingKey('k'.repeat(64)));
    const bytes = Buffer.byteLength(JSON.stringify(largest));
    process.stdout.write(`largest receipt of a batch of 1024: ${bytes} bytes\n`);
    expect(bytes).toBeLessThan(2_000);
    expect(await resultsOf(largest, null)).toEqual(['could not be checked', 'holds']);
  });

  it('when its record is of an allocation, and its path as long as any, then it is read', () => {
    const other = {
      ...receipt,
      record: { ...receipt.record, kind: 'allocation' },
      path: 'A'.repeat(Math.ceil((32 * 32 * 4) / 3)),
    };
    expect(parseReceipt(JSON.stringify(other))).toEqual(other);
  });

  it('when it is taken apart, then transaction and block are written as explorers write them', async () => {
    const [transaction, block] = [`0x${'1f'.repeat(32)}`, `0x${'2e'.repeat(32)}`];
    expect(partsOf(await receiptBody(1, 0, { transaction, block }))).toMatchObject({ transaction, block });
  });

  it('when its record is a correction, then it is read and holds as well', async () => {
    const record: UsageRecord = { ...usageRecord(), version: 2, corrects: randomUUID() };
    const correction = await signedReceipt(3, 1, { record });
    expect(parseReceipt(JSON.stringify(correction)).record).toEqual(record);
    expect(await resultsOf(correction)).toEqual(['holds', 'holds']);
  });

  it('when it is checked without a chain, then that takes less than 5 ms', async () => {
    const json = JSON.stringify(await signedReceipt());
    const times: number[] = [];
    for (let run = 0; run < 200; run++) {
      const start = performance.now();
      await checkReceipt(parseReceipt(json), keys);
      times.push(performance.now() - start);
    }
    const [quarter, median, p95] = [0.25, 0.5, 0.95].map(
      (part) => times.sort((a, b) => a - b)[Math.floor(times.length * part)]!,
    );
    process.stdout.write(`offline check of a receipt: median ${median!.toFixed(2)} ms, p95 ${p95!.toFixed(2)} ms\n`);
    // not the middle: other processes share the machine
    expect(quarter).toBeLessThan(5);
  });
});

describe('what is no receipt', () => {
  it.each<[string, (json: Record<string, unknown>) => unknown]>([
    ['a field too many', (json) => ({ ...json, note: 'paid' })],
    ['a field too few', ({ sequence: _, ...json }) => json],
    ['a field too many in the record', (json) => ({ ...json, record: { ...(json.record as object), note: 'x' } })],
    ['another version', (json) => ({ ...json, version: 2 })],
    ['a correction that names no record', (json) => ({ ...json, record: { ...(json.record as object), version: 2 } })],
    ['a first record that corrects', (json) => ({ ...json, record: { ...(json.record as object), corrects: 'x' } })],
    ['capital digits', (json) => ({ ...json, contract: `0x${'AB'.repeat(20)}` })],
    ['half a hash in the path', (json) => ({ ...json, path: 'A'.repeat(64) })],
    ['a path above any tree', (json) => ({ ...json, path: 'A'.repeat((33 * 32 * 4) / 3) })],
    ['a root of 31 bytes', (json) => ({ ...json, root: 'A'.repeat(42) })],
    ['a salt of 15 bytes', (json) => ({ ...json, salt: 'A'.repeat(20) })],
    ['something before the contract', (json) => ({ ...json, contract: `to ${json.contract as string}` })],
    ['something behind the contract', (json) => ({ ...json, contract: `${json.contract as string}0` })],
    ['something before the signature', (json) => ({ ...json, signature: `e.${json.signature as string}` })],
    ['something behind the signature', (json) => ({ ...json, signature: `${json.signature as string}A` })],
    ['a padded salt', (json) => ({ ...json, salt: `${json.salt as string}==` })],
    ['a salt of another spelling', (json) => ({ ...json, salt: `${'A'.repeat(21)}B` })],
    ['a number as text', (json) => ({ ...json, leafIndex: '412' })],
    ['a number beyond 2^53', (json) => ({ ...json, sequence: 2 ** 53 })],
    ['half a surrogate pair', (json) => ({ ...json, record: { ...(json.record as object), reason: '\ud83d' } })],
    ['a signature that holds its own payload', (json) => ({ ...json, signature: `e30.e30.${'A'.repeat(86)}` })],
    ['a list', (json) => [json]],
    ['nothing', () => null],
  ])('when there is %s, then it is refused', (_, change) => {
    const json = JSON.stringify(change(JSON.parse(JSON.stringify(receipt)) as Record<string, unknown>));
    expect(() => parseReceipt(json)).toThrow(UnreadableReceipt);
  });

  it('when a key of JavaScript’s own is put in, then it is refused too', () => {
    const json = JSON.stringify(receipt).replace('{', '{"__proto__":{"note":"paid"},');
    expect(() => parseReceipt(json)).toThrow(UnreadableReceipt);
  });

  it.each(['"leafIndex":7,', '"leafInde\\u0078" : 7,'])(
    'when a field is there twice (%s), then it is refused',
    (twice) => {
      expect(() => parseReceipt(JSON.stringify(receipt).replace('"leafIndex"', `${twice}"leafIndex"`))).toThrow(
        'twice',
      );
    },
  );

  it('when a text looks like fields, then it is a text', async () => {
    const body = await receiptBody(1, 0);
    const odd = await signReceipt({ ...body, record: { ...body.record, reason: '\\","leafIndex":7,"a\\":"' } }, KEY);
    expect(parseReceipt(JSON.stringify(odd))).toEqual(odd);
  });

  it('when several things are wrong, then all are named', () => {
    const json = JSON.stringify({ ...receipt, salt: 'x', record: { ...receipt.record, capacity: 0 } });
    expect(() => parseReceipt(json)).toThrow(/record\.capacity: .*; salt: it has to be 16 bytes as base64url/);
    expect(() => parseReceipt('[]')).toThrow('the document: ');
  });

  it('when it is a hundred times too long, then it is not even read', () => {
    expect(() => parseReceipt(JSON.stringify(receipt).padEnd(200_000))).toThrow('it is far too long');
  });

  it('when the text is no JSON, then it is said', () => {
    expect(() => parseReceipt('{')).toThrow('it is no JSON');
  });

  it('when a body that nobody could parse is to be signed, then it is not', async () => {
    const body = await receiptBody(3, 1, {});
    await expect(signReceipt({ ...body, contract: '0xABC' }, KEY)).rejects.toThrow('contract: ');
    expect(() => parseReceiptBody(receipt)).toThrow('signature');
  });
});

describe('the signature', () => {
  it('when no keys are known, then it could not be checked, and the rest is', async () => {
    expect(await resultsOf(receipt, null)).toEqual(['could not be checked', 'holds']);
  });

  it('when the issuer has several keys, also for other things, then the named one counts', async () => {
    const rsa = { kty: 'RSA', kid: KEY.kid, n: 'AQAB', e: 'AQAB' };
    const known = ed25519Keys({ keys: [rsa, publicJwk(signingKey('ledger-2025')), publicJwk(KEY)] });
    expect(await resultsOf(receipt, known)).toEqual(['holds', 'holds']);
  });

  it.each([
    ['another key has the name', [publicJwk(signingKey(KEY.kid))], 'was not made over this receipt by the key'],
    ['no key has the name', [publicJwk(signingKey('other'))], 'none of the given keys is named "ledger-2026"'],
    ['the key is none', [{ ...publicJwk(KEY), x: 'AA' }], 'was not made over this receipt by the key'],
    ['there are no keys', [], 'none of the given keys'],
  ])('when %s, then it does not hold', async (_, jwks, reason) => {
    const [signature] = await checkReceipt(receipt, ed25519Keys({ keys: jwks }));
    expect(signature).toMatchObject({ result: 'does not hold', reason: expect.stringContaining(reason) });
  });

  it.each([
    ['no algorithm', { alg: 'none', kid: KEY.kid }],
    ['a secret that is the public key', { alg: 'HS256', kid: KEY.kid }],
    ['a condition that we do not know', { alg: 'EdDSA', kid: KEY.kid, b64: false, crit: ['b64'] }],
    ['a key of its own', { alg: 'EdDSA', kid: KEY.kid, jwk: publicJwk(KEY) }],
    ['no name of a key', { alg: 'EdDSA' }],
  ])('when its header names %s, then it does not hold, whatever it was made with', async (_, header) => {
    const head = Buffer.from(JSON.stringify(header)).toString('base64url');
    const input = Buffer.from(`${head}.${toBase64url(await signedBytes(receipt))}`);
    const hmac = createHmac('sha512', publicJwk(KEY).x!).update(input).digest();
    const made = header.alg === 'HS256' ? hmac : sign(null, input, KEY.privateKey);
    const forged = { ...receipt, signature: `${head}..${made.toString('base64url')}` };
    const [signature] = await checkReceipt(forged, keys);
    expect(signature).toMatchObject({ result: 'does not hold', reason: expect.stringContaining('its header') });
  });

  it('when it is taken from another receipt, then it does not hold', async () => {
    const { signature } = await signedReceipt(3, 1);
    expect(await resultsOf({ ...receipt, signature })).toEqual(['does not hold', 'holds']);
  });

  it('when a library for JWS that is not ours puts it together again, then it accepts it', async () => {
    const [head, , signature] = receipt.signature.split('.');
    const { flattenedVerify, importJWK } = await import('jose');
    const payload = toBase64url(await signedBytes(receipt));
    const key = await importJWK(publicJwk(KEY), 'EdDSA');
    const { protectedHeader } = await flattenedVerify({ protected: head!, payload, signature: signature! }, key);
    expect(protectedHeader).toEqual({ alg: 'EdDSA', kid: KEY.kid });
  });

  it('when something is no JWK set, then there are no keys in it', () => {
    expect(() => ed25519Keys({ keys: 'none' })).toThrow();
    expect(() => ed25519Keys([])).toThrow();
  });
});

describe('a receipt of which one byte is another', () => {
  it('when any value is changed at any of its bytes, then it is refused or does not hold', async () => {
    const json = JSON.stringify(await signedReceipt(5, 2));
    const mutations = mutationsOf(json);
    const survivors: string[] = [];
    for (const { name, json: mutated } of mutations) {
      if (await holds(mutated)) survivors.push(name);
    }
    process.stdout.write(
      `${mutations.length} mutations of ${valuesIn(json).length} values: ${survivors.length} survive\n`,
    );
    expect(survivors).toEqual([]);
    expect(new Set(valuesIn(json).map(({ name }) => name.split('.')[1]))).toEqual(
      new Set(Object.keys(JSON.parse(json))),
    );
  }, 120_000);

  it('when the signature cannot be checked, then the path alone still guards record, salt, place and root', async () => {
    const json = JSON.stringify(await signedReceipt(5, 2));
    const guarded = /^\.(record|salt|leafIndex|path|root)\b/;
    const survivors: string[] = [];
    for (const { name, json: mutated } of mutationsOf(json).filter(({ name }) => guarded.test(name))) {
      if (await isIncluded(mutated)) survivors.push(name);
    }
    expect(survivors).toEqual([]);
  }, 60_000);

  async function holds(json: string): Promise<boolean> {
    return (await checksOf(json, keys)).every((result) => result === 'holds');
  }

  async function isIncluded(json: string): Promise<boolean> {
    return (await checksOf(json, null))[1] === 'holds';
  }

  async function checksOf(json: string, known: Ed25519Jwk[] | null): Promise<string[]> {
    try {
      return await resultsOf(parseReceipt(json), known);
    } catch (error) {
      expect(error).toBeInstanceOf(UnreadableReceipt);
      return ['refused', 'refused'];
    }
  }
});
