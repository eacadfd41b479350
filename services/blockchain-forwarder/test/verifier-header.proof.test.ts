import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { numberToHex, toRlp, type Hex } from 'viem';
import { parseReceipt, partsOf, type Receipt } from '../domain/receipt';
import { publicJwk, signReceipt } from '../domain/receipt-signature';
import { checkReceipt, type Check } from '../domain/check-receipt';
import { checkHeader } from '../verifier/check-header';
import { headerOf, receiptsOf } from '../verifier/ethereum-block';
import { EXIT } from '../verifier/judge';
import { verify } from '../verifier/verify';
import { anchorsOn } from './support/anchoring';
import { startAnvil, type TestChain } from './support/anvil';
import { OWNER, STRANGER } from './support/ledger-anchor';
import { mutationsOf } from './support/mutations';
import { KEY } from './support/receipts';

let chain: TestChain;
let folder: string;
let ledger: Awaited<ReturnType<typeof anchorsOn>>;
let receipt: Receipt;
let header: string;
let receipts: string;

const ask = (method: string, ...params: unknown[]): Promise<unknown> =>
  ledger.reader.request({ method: method as never, params: params as never });

beforeAll(async () => {
  chain = await startAnvil();
  folder = mkdtempSync(path.join(tmpdir(), 'verifier-'));
  ledger = await anchorsOn(chain);
  receipt = await signReceipt(await ledger.anchored(5, 2), KEY);
  const { block } = partsOf(receipt);
  header = JSON.stringify(await ask('eth_getBlockByHash', block, false));
  receipts = JSON.stringify({ jsonrpc: '2.0', id: 1, result: await ask('eth_getBlockReceipts', block) });
}, 60_000);
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await chain.stop();
});

async function run(given: { header: string; receipts?: string }): Promise<{ code: number; said: string }> {
  const files = { receipt: JSON.stringify(receipt), jwks: JSON.stringify({ keys: [publicJwk(KEY)] }), ...given };
  for (const [name, content] of Object.entries(files)) writeFileSync(path.join(folder, name), content);
  const lines: string[] = [];
  const options = Object.keys(files).flatMap((name) => [`--${name}`, path.join(folder, name)]);
  const code = await verify(options.slice(1), (line) => lines.push(line));
  return { code, said: lines.join('\n') };
}

describe('the command, with a header of a real chain', () => {
  it('when header and receipts of the block are given, then the anchor holds, and what they do not tell is said', async () => {
    const { code, said } = await run({ header, receipts });
    expect(said).toMatch(/HOLDS: the block 0x\w{64} is the one whose header you gave/);
    expect(said).toMatch(/HOLDS: the contract 0x\w{40} anchored the batch in that block/);
    expect(said.match(/^COULD NOT BE CHECKED: .*$/gm)).toEqual([
      'COULD NOT BE CHECKED: the chain is number 31337, and the block is final there',
      'COULD NOT BE CHECKED: that contract is the published one, which lets nobody change an anchor',
      `COULD NOT BE CHECKED: it did so by the transaction ${partsOf(receipt).transaction}`,
    ]);
    expect(code).toBe(EXIT.notAllChecked);
  });

  it('when the header alone is given, then the block holds, and the anchor could not be checked', async () => {
    const { code, said } = await run({ header });
    expect(said).toMatch(/HOLDS: the block 0x\w{64} is the one/);
    expect(said).toContain("(the block's receipts were not given; a header holds only their root)");
    expect(code).toBe(EXIT.notAllChecked);
  });

  it('when the header is that of another block, then the receipt does not hold', async () => {
    const other = JSON.stringify(await ask('eth_getBlockByNumber', '0x0', false));
    const { code, said } = await run({ header: other });
    expect(said).toMatch(/DOES NOT HOLD: the block .*\n {2}\(you gave that of block 0, 0x/);
    expect(code).toBe(EXIT.doesNotHold);
  });

  it.each([
    ['one of its fields was changed', () => header.replace(/"gasUsed":"0x\w+"/, '"gasUsed":"0x1"'), 'its own hash'],
    ['it is another document', () => '{}', 'not as eth_getBlockByNumber'],
    ['it is no JSON', () => 'hello', 'the header cannot be read'],
    ['it is RLP of something else', () => '0xc0', 'it is no block header'],
  ])('when of the header %s, then block and anchor could not be checked', async (_, changed, reason) => {
    const { code, said } = await run({ header: changed(), receipts });
    expect(said).toContain(reason);
    expect(said.match(/COULD NOT BE CHECKED/g)).toHaveLength(5);
    expect(code).toBe(EXIT.notAllChecked);
  });

  it.each([
    [
      'were changed',
      () => receipts.replace(/"cumulativeGasUsed":"0x\w+"/, '"cumulativeGasUsed":"0x1"'),
      'not those of',
    ],
    ['are none', () => '[]', 'the receipts are not those of the block'],
    ['are another document', () => '{}', 'not as eth_getBlockByNumber or eth_getBlockReceipts'],
  ])('when the receipts %s, then the anchor could not be checked', async (_, changed, reason) => {
    const { code, said } = await run({ header, receipts: changed() });
    expect(said).toContain(reason);
    expect(said).toContain('COULD NOT BE CHECKED: the contract');
    expect(code).toBe(EXIT.notAllChecked);
  });

  it('when any byte is another of what header and receipts tell, then they notice it without the signature', async () => {
    const untold = /^\.(signature|chainId|transaction)\b/;
    const survivors: string[] = [];
    const mutations = mutationsOf(JSON.stringify(receipt)).filter(({ name }) => !untold.test(name));
    for (const { name, json } of mutations) {
      const mutated = readOrNull(json);
      if (!mutated) continue;
      if (isBad(await checkReceipt(mutated, null)) || isBad(checkHeader(mutated, { header, receipts }))) continue;
      survivors.push(name);
    }
    process.stdout.write(`${mutations.length} mutations against a header, unsigned: ${survivors.length} survive\n`);
    expect(survivors).toEqual([]);
  }, 120_000);

  const isBad = (checks: Check[]): boolean => checks.some(({ result }) => result === 'does not hold');

  function readOrNull(json: string): Receipt | null {
    try {
      return parseReceipt(json);
    } catch {
      return null;
    }
  }
});

describe('what a block commits to', () => {
  it.each([0, 1, 2, 3, 16, 17, 127, 128, 129, 200])(
    'when a block has %i transactions, then its hash and the root of its receipts are computed as the chain does',
    async (count) => {
      const block = await blockWith(count);
      const { hash, receiptsRoot } = headerOf(JSON.stringify(block));
      expect(hash).toBe(block.hash);
      const all = (await ask('eth_getBlockReceipts', hash)) as unknown[];
      expect(all).toHaveLength(count);
      expect(receiptsOf(JSON.stringify(all)).root).toBe(receiptsRoot);
      expect(receiptsRoot).toBe(block.receiptsRoot);
    },
    30_000,
  );

  it('when a header is given as RLP, then it is the same header', async () => {
    const block = await blockWith(1);
    const rlp = toRlp(RLP_FIELDS.map((field) => minimal(block[field]!, field)));
    expect(headerOf(rlp)).toEqual(headerOf(JSON.stringify(block)));
  });

  it('when a transaction failed, then what it told counts for nothing', async () => {
    const { signature: _, ...body } = receipt;
    await ledger.anchor(body, 0);
    const all = JSON.stringify(await ask('eth_getBlockReceipts', 'latest'));
    expect(JSON.parse(all)[0].status).toBe('0x0');
    expect(receiptsOf(all).logs).toEqual([]);
  });

  /** Transfers of both forms, so that some receipts have a type in front. */
  async function blockWith(count: number): Promise<Record<string, string>> {
    await chain.automine(false);
    const first = await ledger.reader.getTransactionCount({ address: OWNER });
    const transfer = { from: OWNER, to: STRANGER, gas: '0x5208', value: '0x1' };
    const old = { gasPrice: numberToHex(10n ** 10n) };
    const transfers = Array.from({ length: count }, (_, n) => ({
      ...transfer,
      ...(n < count - 1 ? old : {}),
      nonce: numberToHex(first + n),
    }));
    await Promise.all(transfers.map((each) => ask('eth_sendTransaction', each)));
    await chain.mine();
    await chain.automine(true);
    return (await ask('eth_getBlockByNumber', 'latest', false)) as Record<string, string>;
  }
});

// written down once more: which fields a header has, and which of them are numbers
const RLP_FIELDS = (
  'parentHash sha3Uncles miner stateRoot transactionsRoot receiptsRoot logsBloom difficulty number gasLimit gasUsed ' +
  'timestamp extraData mixHash nonce baseFeePerGas withdrawalsRoot blobGasUsed excessBlobGas parentBeaconBlockRoot ' +
  'requestsHash'
).split(' ');
const NUMBERS = /^(difficulty|number|gasLimit|gasUsed|timestamp|baseFeePerGas|blobGasUsed|excessBlobGas)$/;

function minimal(value: string, field: string): Hex {
  if (!NUMBERS.test(field)) return value as Hex;
  return BigInt(value) === 0n ? '0x' : numberToHex(BigInt(value), { size: Math.ceil((value.length - 2) / 2) });
}
