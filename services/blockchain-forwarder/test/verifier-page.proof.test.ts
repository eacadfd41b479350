// Slow: a browser’s page is built and run, and every value of a receipt changed at each of its bytes.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Receipt } from '../domain/receipt';
import { publicJwk, signReceipt } from '../domain/receipt-signature';
import { buildVerifier } from '../verifier/page/build';
import { EXIT } from '../verifier/judge';
import { anchorsOn } from './support/anchoring';
import { startAnvil, type TestChain } from './support/anvil';
import { oneAtEachByte } from './support/mutations';
import { openPage } from './support/page';
import { KEY } from './support/receipts';

let chain: TestChain;
let ledger: Awaited<ReturnType<typeof anchorsOn>>;
let folder: string;
let html: string;
let receipt: Receipt;
let page: ReturnType<typeof openPage>;
const jwks = JSON.stringify({ keys: [publicJwk(KEY)] });

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'verifier-'));
  await buildVerifier(folder);
  html = readFileSync(path.join(folder, 'verify-receipt.html'), 'utf8');
  page = openPage(html);
  chain = await startAnvil();
  ledger = await anchorsOn(chain);
  receipt = await signReceipt(await ledger.anchored(5, 2), KEY);
  await ledger.bury();
}, 60_000);
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await chain.stop();
});

describe('the page', () => {
  it('when receipt, keys and a chain are given, then it says that everything holds, and shows the record', async () => {
    const { conclusion, points, text } = await page.check({
      receipt: JSON.stringify(receipt),
      jwks,
      rpc: chain.rpcUrl,
    });
    expect(conclusion).toBe('Everything holds.');
    expect(points).toEqual(Array(7).fill('holds'));
    expect(text).toContain(receipt.record.userId);
  });

  it('when header and receipts of the block are given, then it says what they prove', async () => {
    const ask = (method: string, ...params: unknown[]): Promise<unknown> =>
      ledger.reader.request({ method: method as never, params: params as never });
    const block = `0x${Buffer.from(receipt.block, 'base64url').toString('hex')}`;
    const { points } = await page.check({
      receipt: JSON.stringify(receipt),
      jwks,
      header: JSON.stringify(await ask('eth_getBlockByHash', block, false)),
      receipts: JSON.stringify(await ask('eth_getBlockReceipts', block)),
    });
    expect(points).toEqual([...Array(4).fill('holds'), ...Array(3).fill('could-not-be-checked')]);
  });

  it('when files are chosen, then their text stands in the fields', async () => {
    page.element('receipt-file').files = [{ text: async () => 'from a file' }];
    page.element('receipt-file').fire('change');
    await new Promise((resolve) => setImmediate(resolve));
    expect(page.element('receipt').value).toBe('from a file');
  });

  it('when text looks like HTML or turns text around, then it is shown as text', async () => {
    const { signature: _, ...body } = receipt;
    const record = { ...body.record, reason: '<img src=x onerror=alert(1)>\u202egnp' };
    const odd = await signReceipt({ ...body, record }, KEY);
    const { text } = await page.check({ receipt: JSON.stringify(odd), jwks });
    expect(text).toContain('<img src=x onerror=alert(1)>\\u{202e}gnp');
  });

  it.each([
    ['nothing is given', {}, /^This is no receipt/],
    ['the keys are none', { receipt: '{}', jwks: '{}' }, /^That was not understood: the keys are no JWK set/],
    [
      'the chain is no URL',
      { receipt: '{}', rpc: 'javascript:0' },
      /^That was not understood: the chain has to be a URL/,
    ],
  ])('when %s, then it is said', async (_, fields, expected) => {
    expect((await page.check(fields)).conclusion).toMatch(expected);
  });

  it('when one bit is another at any byte of any value, then it does not hold', async () => {
    const json = JSON.stringify(receipt);
    expect((await page.check({ receipt: json, jwks })).points.slice(0, 2)).toEqual(['holds', 'holds']);
    const survivors: string[] = [];
    const mutations = oneAtEachByte(json);
    for (const { name, json: mutated } of mutations) {
      const { conclusion } = await page.check({ receipt: mutated, jwks });
      if (!/^(The receipt does NOT hold|This is no receipt)/.test(conclusion)) survivors.push(name);
    }
    process.stdout.write(`${mutations.length} mutations in the page: ${survivors.length} survive\n`);
    expect(survivors).toEqual([]);
  }, 120_000);

  it('when it is opened, then its own content policy lets it load and send nothing but to the node that is asked', () => {
    const policy = /content="(default-src[^"]*)"/.exec(html)![1]!;
    const hash = (tag: string): string =>
      createHash('sha256')
        .update(new RegExp(`<${tag}>([^]*)</${tag}>`).exec(html)![1]!)
        .digest('base64');
    expect(policy.split('; ')).toEqual([
      "default-src 'none'",
      `script-src 'sha256-${hash('script')}'`,
      `style-src 'sha256-${hash('style')}'`,
      'connect-src http: https:',
      "base-uri 'none'",
      "form-action 'none'",
    ]);
    expect(html.match(/<(script|style|link|img|iframe)[ >]/g)).toEqual(['<style>', '<script>']);
    process.stdout.write(
      `the page has ${Math.round(statSync(path.join(folder, 'verify-receipt.html')).size / 1000)} kB\n`,
    );
  });
});

describe('the command as one file', () => {
  it('when npx runs it, without a connection and without this project, then it checks a receipt', () => {
    writeFileSync(path.join(folder, 'receipt.json'), JSON.stringify(receipt));
    writeFileSync(path.join(folder, 'jwks.json'), jwks);
    const env = { ...process.env, npm_config_cache: path.join(folder, 'cache') };
    const args = ['--offline', '--yes', folder, 'receipt.json', '--jwks', 'jwks.json', '--rpc', chain.rpcUrl];
    const { status, stdout, stderr } = spawnSync('npx', args, { cwd: folder, env, encoding: 'utf8' });
    expect([stderr, stdout]).toEqual(['', expect.stringMatching(/Everything holds\.\n$/)]);
    expect(status).toBe(EXIT.holds);
  }, 60_000);

  it('when npx runs it in this project after a build, then it is the same command', () => {
    const { bin } = JSON.parse(readFileSync('package.json', 'utf8')) as { bin: Record<string, string> };
    const source = bin['verify-receipt']!.replace(/^dist\//, '').replace(/\.js$/, '.ts');
    expect(readFileSync(source, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  });
});
