// Slow: a chain of its own, and every value of a receipt changed at each of its bytes.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { toEventSelector } from 'viem';
import { fromHex, toBase64url, toHex } from '../domain/bytes';
import { checkReceipt, type Check } from '../domain/check-receipt';
import { parseReceipt, partsOf, UnreadableReceipt, type Receipt, type ReceiptBody } from '../domain/receipt';
import { publicJwk, signReceipt } from '../domain/receipt-signature';
import { BATCH_ANCHORED } from '../verifier/anchor-event';
import { checkAnchor, PUBLISHED_CODE } from '../verifier/check-anchor';
import { chainAt, type AskChain } from '../verifier/json-rpc';
import { EXIT } from '../verifier/judge';
import { verify } from '../verifier/verify';
import { anchorsOn } from './support/anchoring';
import { startAnvil, type TestChain } from './support/anvil';
import { artifactOf } from './support/artifacts';
import { mutationsOf, oneAtEachByte } from './support/mutations';
import { KEY, receiptBody, signingKey } from './support/receipts';

let chain: TestChain;
let folder: string;
let ledger: Awaited<ReturnType<typeof anchorsOn>>;
let body: ReceiptBody;
let receipt: Receipt;

beforeAll(async () => {
  chain = await startAnvil();
  folder = mkdtempSync(path.join(tmpdir(), 'verifier-'));
  ledger = await anchorsOn(chain);
  await ledger.anchored(3, 0);
  body = await ledger.anchored(5, 2);
  receipt = await signReceipt(body, KEY);
  write('jwks.json', { keys: [publicJwk(KEY)] });
  await ledger.bury();
}, 60_000);
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await chain.stop();
});

function write(name: string, value: unknown): string {
  const file = path.join(folder, name);
  writeFileSync(file, typeof value === 'string' || value instanceof Uint8Array ? value : JSON.stringify(value));
  return file;
}

async function run(value: unknown, ...options: string[]): Promise<{ code: number; said: string }> {
  const lines: string[] = [];
  const code = await verify([write('receipt.json', value), ...options], (line) => lines.push(line));
  return { code, said: lines.join('\n') };
}

const jwks = (): string[] => ['--jwks', path.join(folder, 'jwks.json')];
const rpc = (): string[] => ['--rpc', chain.rpcUrl];
/** The receipt with other content, signed anew: what an issuer could do that cheats. */
const resigned = (changes: Partial<ReceiptBody>): Promise<Receipt> => signReceipt({ ...body, ...changes }, KEY);

describe('the command, with a real chain', () => {
  it('when keys and chain are given, then everything holds, and it says what', async () => {
    const { code, said } = await run(receipt, ...jwks(), ...rpc());
    expect(said.match(/^[A-Z ]+(?=:)/gm)).toEqual(Array(7).fill('HOLDS'));
    expect(said).toContain('record 6 of the ledger');
    expect(said).toContain(receipt.record.userId);
    expect(said).toMatch(/Everything holds\.$/);
    expect(code).toBe(EXIT.holds);
  });

  it('when the root is given instead of a chain, then it is compared', async () => {
    const root = `0x${toHex(partsOf(receipt).root)}`;
    expect(await run(receipt, ...jwks(), '--root', root)).toMatchObject({ code: EXIT.holds });
    const { code, said } = await run(receipt, ...jwks(), '--root', `0x${'1'.repeat(64)}`);
    expect(said).toContain('DOES NOT HOLD: the root is the anchored one');
    expect(code).toBe(EXIT.doesNotHold);
  });

  it('when keys or chain are missing, then not everything was checked, and it is no success', async () => {
    const neither = await run(receipt);
    expect(neither.said.match(/COULD NOT BE CHECKED/g)).toHaveLength(2);
    expect(neither.said).toContain('not everything could be checked');
    expect(neither.code).toBe(EXIT.notAllChecked);
    expect((await run(receipt, ...jwks())).code).toBe(EXIT.notAllChecked);
    expect((await run(receipt, ...rpc())).code).toBe(EXIT.notAllChecked);
  });

  it.each<[string, () => Promise<Partial<ReceiptBody>>, string]>([
    ['another chain', async () => ({ chainId: 1 }), 'it says that it is number 31337'],
    ['another contract', async () => ({ contract: `0x${'ab'.repeat(20)}` }), 'the contract tells of no batch'],
    ['a contract of nobody', async () => ({ contract: `0x${'ab'.repeat(20)}` }), 'there is no contract'],
    ['another place in the ledger', async () => ({ sequence: 1 }), 'tells of another root, size or place'],
    ['a block of nobody', async () => ({ block: body.root }), 'the chain has no such block'],
    ['an earlier block', async () => ({ block: await blockOf(1) }), 'is in the block 0x'],
    ['a transaction of nobody', async () => ({ transaction: body.root }), 'the chain knows no transaction'],
    ['a batch that was never anchored', () => receiptBody(5, 2), 'the chain knows no transaction'],
    ['a transaction that failed', () => ledger.anchor(body, 0), 'failed)'],
    ['the anchor of another batch', () => ledger.anchored(3, 0).then(anchorOf), 'tells of another root'],
  ])('when the issuer has signed %s, then the chain says otherwise', async (_, change, reason) => {
    const { code, said } = await run(await resigned(await change()), ...jwks(), ...rpc());
    expect(said).toContain(reason);
    expect(said).toContain('The receipt does NOT hold.');
    expect(code).toBe(EXIT.doesNotHold);
  });

  it('when another key signed it, then it does not hold although the chain has it', async () => {
    const { code, said } = await run(await signReceipt(body, signingKey(KEY.kid)), ...jwks(), ...rpc());
    expect(said).toContain('DOES NOT HOLD: the receipt is signed by its issuer');
    expect(code).toBe(EXIT.doesNotHold);
  });

  it('when the chain does not answer, then what asks it could not be checked, and the URL is told nobody', async () => {
    const { code, said } = await run(receipt, ...jwks(), '--rpc', 'http://127.0.0.1:1/secret-key');
    expect(said.match(/COULD NOT BE CHECKED/g)).toHaveLength(5);
    expect(said).toContain('the chain does not answer');
    expect(said).not.toContain('secret-key');
    expect(code).toBe(EXIT.notAllChecked);
  });

  it('when the block is not final yet, then that could not be checked, and it says how deep it lies', async () => {
    const fresh = await signReceipt(await ledger.anchored(2, 1), KEY);
    const { code, said } = await run(fresh, ...jwks(), ...rpc());
    expect(said).toContain('COULD NOT BE CHECKED: the block is final\n  (not yet: 0 blocks lie on top of it');
    expect(code).toBe(EXIT.notAllChecked);
    await ledger.bury();
    expect((await run(fresh, ...jwks(), ...rpc())).code).toBe(EXIT.holds);
  });

  it('when a reorganisation removes the block, then it does not hold any more', async () => {
    const snapshot = await ledger.tester.snapshot();
    const removed = await signReceipt(await ledger.anchored(2, 1), KEY);
    await ledger.tester.revert({ id: snapshot });
    const { code, said } = await run(removed, ...jwks(), ...rpc());
    expect(said).toMatch(/DOES NOT HOLD: the block 0x\w{64} is part of the chain/);
    expect(code).toBe(EXIT.doesNotHold);
  });

  it('when another contract tells the same, then it is not the published one', async () => {
    const code = await ledger.reader.getCode({ address: ledger.contract });
    await ledger.tester.setCode({ address: ledger.contract, bytecode: `${code!}00` });
    const { code: exit, said } = await run(receipt, ...jwks(), ...rpc());
    await ledger.tester.setCode({ address: ledger.contract, bytecode: code! });
    expect(said).toContain('DOES NOT HOLD: that contract is the published one');
    expect(said.match(/DOES NOT HOLD/g)).toHaveLength(1);
    expect(exit).toBe(EXIT.doesNotHold);
  });

  it('when text of the record steers terminals, then it is shown as escapes', async () => {
    const record = { ...body.record, reason: '\u001b[2J\u009b2J\u202egnp', serviceType: 'jüpyter 日本語' };
    const { said } = await run(await resigned({ record }));
    expect(said).toContain('\\u001b[2J\\u{9b}2J\\u{202e}gnp');
    expect(said).toContain('jüpyter 日本語');
  });

  it.each([
    ['is no JSON', 'hello', EXIT.doesNotHold, 'This is no receipt: it is no JSON'],
    ['is another document', { hello: 1 }, EXIT.doesNotHold, 'record: '],
    ['is no text', Buffer.of(0x22, 0xff, 0x22), EXIT.notUnderstood, 'cannot be read'],
  ])('when the file %s, then it is said', async (_, content, expected, reason) => {
    const { code, said } = await run(content, ...jwks(), ...rpc());
    expect(said).toContain(reason);
    expect(code).toBe(expected);
  });

  it.each([
    ['no receipt', 'give one receipt', []],
    ['two receipts', 'give one receipt', ['package.json', 'two.json']],
    ['an option that it does not have', '--force', ['package.json', '--force']],
    ['chain and root', 'only one of them', ['package.json', '--rpc', 'http://[::1]', '--root', `0x${'0'.repeat(64)}`]],
    ['chain and header', 'only one of them', ['package.json', '--rpc', 'http://[::1]', '--header', 'package.json']],
    ['receipts of no block', 'give the header', ['package.json', '--receipts', 'package.json']],
    ['a chain that is no URL', 'URL of http', ['package.json', '--rpc', 'chain']],
    ['a root that is none', '64 digits', ['package.json', '--root', '0x12']],
  ])('when %s is given, then it says why that is not understood, and how it is used', async (_, reason, args) => {
    const lines: string[] = [];
    expect(await verify(args, (line) => lines.push(line))).toBe(EXIT.notUnderstood);
    expect(lines.join('\n')).toContain(reason);
    expect(lines.join('\n')).toContain('usage: verify-receipt RECEIPT.json');
  });

  it('when a file is not there, or the keys are none, then it is said', async () => {
    const lines: string[] = [];
    expect(await verify([path.join(folder, 'none.json')], (line) => lines.push(line))).toBe(EXIT.notUnderstood);
    expect(lines.join('\n')).toContain('none.json cannot be read');
    expect(await run(receipt, '--jwks', write('bad.json', '{}'))).toMatchObject({ code: EXIT.notUnderstood });
  });
});

function anchorOf({ chainId, contract, transaction, block }: ReceiptBody): Partial<ReceiptBody> {
  return { chainId, contract, transaction, block };
}

async function blockOf(number: number): Promise<string> {
  const { hash } = await ledger.reader.getBlock({ blockNumber: BigInt(number) });
  return toBase64url(fromHex(hash.slice(2)));
}

describe('any byte of any field', () => {
  const isBad = (checks: Check[]): boolean => checks.some(({ result }) => result === 'does not hold');

  it('when it is another, then the chain and the path notice it without the signature', async () => {
    const ask = remembering(chainAt(chain.rpcUrl));
    expect(isBad([...(await checkReceipt(receipt, null)), ...(await checkAnchor(receipt, ask))])).toBe(false);
    const mutations = mutationsOf(JSON.stringify(receipt)).filter(({ name }) => !name.startsWith('.signature'));
    const survivors: string[] = [];
    for (const { name, json } of mutations) {
      const mutated = readOrNull(json);
      if (mutated && !isBad(await checkReceipt(mutated, null)) && !isBad(await checkAnchor(mutated, ask))) {
        survivors.push(name);
      }
    }
    process.stdout.write(`${mutations.length} mutations against a real chain, unsigned: ${survivors.length} survive\n`);
    expect(survivors).toEqual([]);
  }, 120_000);

  it('when one bit is at any byte of any value, then the command fails', async () => {
    const root = ['--root', `0x${toHex(partsOf(receipt).root)}`];
    expect((await run(JSON.stringify(receipt), ...jwks(), ...root)).code).toBe(EXIT.holds);
    const mutations = oneAtEachByte(JSON.stringify(receipt));
    const survivors: string[] = [];
    for (const { name, json } of mutations) {
      const { code } = await run(json, ...jwks(), ...root);
      if (code !== EXIT.doesNotHold) survivors.push(name);
    }
    process.stdout.write(`${mutations.length} mutations to the command: ${survivors.length} survive\n`);
    expect(survivors).toEqual([]);
  }, 60_000);

  function readOrNull(json: string): Receipt | null {
    try {
      return parseReceipt(json);
    } catch (error) {
      expect(error).toBeInstanceOf(UnreadableReceipt);
      return null;
    }
  }

  /** Asks a real chain each question once. */
  function remembering(ask: AskChain): AskChain {
    const answers = new Map<string, Promise<unknown>>();
    return (method, params) => {
      const question = JSON.stringify([method, params]);
      const answer = answers.get(question) ?? ask(method, params);
      answers.set(question, answer);
      return answer;
    };
  }
});

describe('what the verifier is made of', () => {
  it('when the event is hashed anew, then it is the one that is looked for', () => {
    expect(toEventSelector('BatchAnchored(uint256,bytes32,uint64,uint32,bytes32)')).toBe(BATCH_ANCHORED);
  });

  it('when the contract is compiled, then its code is the one that is looked for', () => {
    const code = Buffer.from(artifactOf('LedgerAnchor').deployedBytecode!.slice(2), 'hex');
    expect(createHash('sha256').update(code).digest('hex')).toBe(PUBLISHED_CODE);
  });

  it('when its imports are followed, then there is nothing of the service but pure rules, and three packages', () => {
    const files = new Set<string>();
    const packages = new Set<string>();
    const follow = (file: string): void => {
      if (files.has(file)) return;
      files.add(file);
      const code = readFileSync(file, 'utf8').replace(/^import type .*$/gm, '');
      for (const [, name] of code.matchAll(/(?:from |import\()'([^']+)'/g)) {
        if (name!.startsWith('.')) follow(`${path.join(path.dirname(file), name!)}.ts`);
        else packages.add(name!);
      }
    };
    const service = 'services/blockchain-forwarder';
    follow(`${service}/verifier/verify.ts`);
    expect([...files].filter((file) => !/\/(verifier|domain)\//.test(file))).toEqual([]);
    expect([...files].map((file) => path.relative(service, file)).sort()).toEqual([
      'domain/bytes.ts',
      'domain/canonical-json.ts',
      'domain/check-receipt.ts',
      'domain/check-signature.ts',
      'domain/leaf.ts',
      'domain/merkle-proof.ts',
      'domain/primitives.ts',
      'domain/receipt.ts',
      'verifier/anchor-event.ts',
      'verifier/check-anchor.ts',
      'verifier/check-header.ts',
      'verifier/ethereum-block.ts',
      'verifier/json-rpc.ts',
      'verifier/judge.ts',
      'verifier/verify.ts',
    ]);
    expect([...packages].sort()).toEqual(['canonicalize', 'node:crypto', 'node:fs', 'node:util', 'viem/utils', 'zod']);
  });
});
