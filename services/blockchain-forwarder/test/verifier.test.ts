import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { toEventSelector } from 'viem';
import { checkReceipt, type Check } from '../domain/check-receipt';
import { parseReceipt, UnreadableReceipt, type Receipt, type ReceiptBody } from '../domain/receipt';
import { publicJwk, signReceipt } from '../domain/receipt-signature';
import { BATCH_ANCHORED, checkAnchor } from '../verifier/check-anchor';
import { chainAt, type AskChain } from '../verifier/json-rpc';
import { EXIT, verify } from '../verifier/verify';
import { anchorsOn } from './support/anchoring';
import { startAnvil, type TestChain } from './support/anvil';
import { mutationsOf } from './support/mutations';
import { KEY, receiptBody, signingKey } from './support/receipts';

let chain: TestChain;
let folder: string;
let anchor: Awaited<ReturnType<typeof anchorsOn>>;
let body: ReceiptBody;
let receipt: Receipt;

beforeAll(async () => {
  chain = await startAnvil();
  folder = mkdtempSync(path.join(tmpdir(), 'verifier-'));
  anchor = await anchorsOn(chain);
  body = await anchored(5, 2);
  receipt = await signReceipt(body, KEY);
  write('jwks.json', { keys: [publicJwk(KEY)] });
}, 60_000);
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await chain.stop();
});

async function anchored(size: number, leafIndex: number): Promise<ReceiptBody> {
  const made = await receiptBody(size, leafIndex);
  return { ...made, ...(await anchor(made)) };
}

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
    expect(said.match(/^[A-Z ]+(?=:)/gm)).toEqual(['HOLDS', 'HOLDS', 'HOLDS', 'HOLDS', 'HOLDS']);
    expect(said).toContain(`record ${receipt.firstSequence + 2} of the ledger`);
    expect(said).toContain(receipt.record.userId);
    expect(said).toMatch(/Everything holds\.$/);
    expect(code).toBe(EXIT.holds);
  });

  it('when the root is given instead of a chain, then it is compared', async () => {
    expect(await run(receipt, ...jwks(), '--root', receipt.root)).toMatchObject({ code: EXIT.holds });
    const { code, said } = await run(receipt, ...jwks(), '--root', receipt.previousRoot);
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
    ['another batch', async () => ({ batchId: '1235' }), 'tells of another batch'],
    ['another place in the ledger', async () => ({ firstSequence: 1 }), 'tells of another batch, root, size'],
    ['another predecessor', async () => ({ previousRoot: body.root }), 'tells of another batch, root, size'],
    ['a block that is not there yet', async () => ({ blockNumber: 1_000_000 }), 'the chain has no such block'],
    ['an earlier block', async () => ({ blockNumber: 1 }), 'the chain has the block 0x'],
    ['a block that was replaced', async () => ({ blockHash: body.root }), 'the chain has the block 0x'],
    ['a transaction of nobody', async () => ({ transaction: body.root }), 'the chain knows no transaction'],
    ['a batch that was never anchored', () => receiptBody(5, 2), 'the chain knows no transaction'],
    ['a transaction that failed', () => anchor({ ...body, treeSize: 0 }), 'failed)'],
    ['the anchor of another batch', () => anchored(3, 0).then(anchorOf), 'tells of another batch'],
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
    expect(said.match(/COULD NOT BE CHECKED/g)).toHaveLength(3);
    expect(said).toContain('the chain does not answer');
    expect(said).not.toContain('secret-key');
    expect(code).toBe(EXIT.notAllChecked);
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
    ['no receipt', []],
    ['two receipts', ['one.json', 'two.json']],
    ['an option that it does not have', ['one.json', '--force']],
    ['chain and root', ['one.json', '--rpc', 'http://127.0.0.1:1', '--root', `0x${'0'.repeat(64)}`]],
    ['a chain that is no URL', ['one.json', '--rpc', 'chain']],
    ['a root that is none', ['one.json', '--root', '0x12']],
  ])('when %s is given, then it says how it is used', async (_, args) => {
    const lines: string[] = [];
    expect(await verify(args, (line) => lines.push(line))).toBe(EXIT.notUnderstood);
    expect(lines.join('\n')).toContain('usage: verify RECEIPT.json');
  });

  it('when a file is not there, or the keys are none, then it is said', async () => {
    const lines: string[] = [];
    expect(await verify([path.join(folder, 'none.json')], (line) => lines.push(line))).toBe(EXIT.notUnderstood);
    expect(lines.join('\n')).toContain('none.json cannot be read');
    expect(await run(receipt, '--jwks', write('bad.json', '{}'))).toMatchObject({ code: EXIT.notUnderstood });
  });
});

function anchorOf({ chainId, contract, transaction, blockNumber, blockHash }: ReceiptBody): Partial<ReceiptBody> {
  return { chainId, contract, transaction, blockNumber, blockHash };
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

  it('when one of each field is, then the command fails', async () => {
    const seen = new Set<string>();
    for (const { name, json } of mutationsOf(JSON.stringify(receipt))) {
      const field = name.split(':')[0]!;
      if (seen.has(field)) continue;
      seen.add(field);
      const { code } = await run(json, ...jwks(), ...rpc());
      expect([field, code]).toEqual([field, EXIT.doesNotHold]);
    }
    expect(seen.size).toBeGreaterThan(30);
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

  it('when its imports are followed, then there is nothing of the service but pure rules, and two packages', () => {
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
      'domain/canonical-hash.ts',
      'domain/check-receipt.ts',
      'domain/leaf.ts',
      'domain/merkle.ts',
      'domain/receipt-signature.ts',
      'domain/receipt.ts',
      'verifier/check-anchor.ts',
      'verifier/json-rpc.ts',
      'verifier/verify.ts',
    ]);
    expect([...packages].sort()).toEqual(['canonicalize', 'node:crypto', 'node:fs', 'node:util', 'zod']);
  });
});
