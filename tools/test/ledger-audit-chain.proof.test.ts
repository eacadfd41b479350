import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { canonicalText } from '../../services/blockchain-forwarder/domain/canonical-json';
import { createHash } from 'node:crypto';
import type { Batch } from '../../services/blockchain-forwarder/domain/batch';
import { startAnvil, type TestChain } from '../../services/blockchain-forwarder/test/support/anvil';
import { artifactOf } from '../../services/blockchain-forwarder/test/support/artifacts';
import {
  ANCHORER,
  deployLedgerAnchor,
  type LedgerOnChain,
} from '../../services/blockchain-forwarder/test/support/ledger-anchor';
import { auditFile, sizeOf } from '../ledger-audit/file';
import { Comparison, lookAt, type ChainOptions } from '../ledger-audit/chain';
import { Findings } from '../ledger-audit/findings';
import { type LedgerWorld, NOW, soundWorld } from './ledger-world';

/** Issue 6, point 8: what a chain or a file has is compared with the ledger. The chain is a real one (anvil). */

jest.setTimeout(60_000);

let chain: TestChain;
let ledger: LedgerOnChain;
let world: LedgerWorld;
beforeAll(async () => {
  chain = await startAnvil();
});
afterAll(() => chain.stop());
beforeEach(async () => {
  ledger = await deployLedgerAnchor(chain);
  world = await soundWorld();
});

const batch = (batchId: number): Batch => world.forwarder(`batch:${batchId}`);
async function anchor(batchId: number, change: Partial<Batch> = {}): Promise<void> {
  const { root, firstSequence, count, previousRoot } = { ...batch(batchId), ...change };
  const args = [BigInt(batchId), root, BigInt(firstSequence), count, previousRoot] as never;
  expect((await ledger.send(ANCHORER, 'anchor', args)).status).toBe('success');
}

const options = (change: Partial<ChainOptions> = {}): ChainOptions => ({
  rpcUrl: chain.rpcUrl,
  contract: ledger.address,
  code: artifactOf('LedgerAnchor').deployedBytecode ?? '',
  fromBlock: 0n,
  ...change,
});
async function audit(change: Partial<ChainOptions> = {}, maxAgeMs = 3_600_000) {
  const given = options(change);
  const look = await lookAt(given.rpcUrl);
  const seen = await world.audit({ chain: given, maxAgeMs }, look);
  return { ...seen, texts: seen.findings.faults.map(({ code, text }) => `${code}: ${text}`) };
}

test('every batch on the chain, as it is in the ledger', async () => {
  for (const batchId of [1, 2, 3, 4, 5]) await anchor(batchId);
  const { texts, chain: seen } = await audit();
  expect(texts).toEqual([]);
  expect(seen).toMatchObject({ has: 5, late: 0, place: expect.stringContaining(`31337/${ledger.address}`) });
});

test('batches that wait for their anchor are told, and are a fault only when they wait for too long', async () => {
  for (const batchId of [1, 2, 3]) await anchor(batchId);
  const { texts, chain: seen } = await audit();
  expect(texts).toEqual([]);
  expect(seen).toMatchObject({ has: 3, late: 2 });
  expect((await audit({}, 60_000)).texts.filter((text) => text.startsWith('anchor'))).toEqual([
    'anchor.late: batch 4: closed at 2026-11-23T10:31:00.000Z, and the chain does not have it',
    'anchor.late: batch 5: closed at 2026-11-23T10:31:00.000Z, and the chain does not have it',
  ]);
});

test('what is anchored while the audit goes on is no fault', async () => {
  await anchor(1);
  const look = await lookAt(chain.rpcUrl);
  await anchor(2);
  world.rows.set('blockchain-forwarder||progress:evm:2', { mined: { blockNumber: Number(look.block) + 1 } });
  const { findings, chain: seen } = await world.audit({ chain: options() }, look);
  expect(findings.faults).toEqual([]);
  expect(seen).toMatchObject({ has: 1, late: 4 });
});

test('a root that is another one on the chain', async () => {
  await anchor(1, { root: `0x${'ab'.repeat(32)}` });
  expect((await audit()).texts).toEqual([
    expect.stringMatching(
      /^anchor.differs: batch 1 \(block \d+\): root is 0xabab.* on the chain and 0x.* in the ledger$/,
    ),
  ]);
});

test('other counts on the chain', async () => {
  await anchor(1, { count: 7 });
  await anchor(2, { firstSequence: 8 });
  expect((await audit()).texts).toEqual([
    expect.stringContaining('count is 7 on the chain and 2 in the ledger'),
    expect.stringContaining('firstSequence is 8 on the chain and 3 in the ledger'),
  ]);
});

test('a batch that only the chain has', async () => {
  for (const batchId of [1, 2, 3, 4, 5]) await anchor(batchId);
  for (const key of ['batch:5', 'leaves:5']) world.rows.delete(`blockchain-forwarder||${key}`);
  expect((await audit()).texts).toContainEqual(
    expect.stringMatching(/^anchor.unknown: batch 5 \(block \d+\): the ledger has no such batch$/),
  );
});

test('a batch that the service believes to be on the chain', async () => {
  await anchor(1);
  world.rows.set('blockchain-forwarder||progress:evm:2', { nonce: 1, attempts: [], mined: { blockNumber: 1 } });
  world.rows.set('blockchain-forwarder||progress:evm:3', { nonce: 2, attempts: [], mined: null });
  expect((await audit()).texts).toEqual([
    'anchor.missing: batch 2: the service says that block 1 has it, and the chain does not',
  ]);
});

test('gaps and repetitions, which the contract would not take', () => {
  const findings = new Findings();
  const comparison = new Comparison(findings);
  for (const batchId of [1, 3, 3]) comparison.take({ ...batch(batchId), blockNumber: 9n }, batch(batchId));
  expect(findings.faults).toEqual([
    { code: 'anchor.missing', text: 'batch 2: it is not on the chain, and batch 3 is' },
    { code: 'anchor.twice', text: 'batch 3 (block 9): it was on the chain before, or behind a later one' },
  ]);
});

test('a contract that is none of ours, none at all, and another place than the service writes to', async () => {
  const other = `0x${'0c'.repeat(20)}` as const;
  const body = { jsonrpc: '2.0', id: 1, method: 'anvil_setCode', params: [other, '0x00'] };
  const headers = { 'content-type': 'application/json' };
  expect((await fetch(chain.rpcUrl, { method: 'POST', headers, body: JSON.stringify(body) })).ok).toBe(true);
  expect((await audit({ contract: other })).texts).toEqual([
    `anchor.foreign: at ${other} on chain 31337: the contract is not LedgerAnchor, or another version`,
  ]);
  expect((await audit({ contract: ANCHORER })).texts).toEqual([
    `anchor.foreign: at ${ANCHORER} on chain 31337: there is no contract`,
  ]);
  world.rows.set('blockchain-forwarder||sink:evm', { place: `1/${ledger.address}` });
  expect((await audit()).texts).toEqual([
    expect.stringMatching(/^anchor.foreign: the service anchors at 1\/0x.*, and this is 31337\/0x/),
  ]);
});

const servers: http.Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
});

/** The chain behind a node that answers some questions in its own way. */
async function node(answer: (method: string, params: unknown[]) => object | undefined) {
  const server = http.createServer((request, response) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const body = Buffer.concat(chunks).toString();
      const { id, method, params } = JSON.parse(body) as { id: number; method: string; params?: unknown[] };
      const own = answer(method, params ?? []);
      const headers = { 'content-type': 'application/json' };
      const text = own
        ? JSON.stringify({ jsonrpc: '2.0', id, ...own })
        : await (await fetch(chain.rpcUrl, { method: 'POST', body, headers })).text();
      response.writeHead(200, headers).end(text);
    })();
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { rpcUrl: `http://127.0.0.1:${port}` };
}

test('a node that tells few blocks at once is asked for fewer', async () => {
  await anchor(1);
  let refused = 0;
  const narrow = await node((method, [filter]) => {
    if (method !== 'eth_getLogs') return undefined;
    const { fromBlock, toBlock } = filter as { fromBlock: string; toBlock: string };
    if (Number(toBlock) - Number(fromBlock) < 3) return undefined;
    refused += 1;
    return { error: { code: -32005, message: 'query returned more than 3 blocks' } };
  });
  const { texts, chain: seen } = await audit({ rpcUrl: narrow.rpcUrl });
  expect([texts, seen?.has]).toEqual([[], 1]);
  expect(refused).toBeGreaterThan(0);
});

test('a node that leaves out events is found out, for the contract says otherwise', async () => {
  await anchor(1);
  const deaf = await node((method) => (method === 'eth_getLogs' ? { result: [] } : undefined));
  const { texts } = await audit({ rpcUrl: deaf.rpcUrl });
  expect(texts).toEqual([expect.stringMatching(/^anchor.differs: the contract says that batch 1 is the last/)]);
});

test('a node that does not tell, or is away: neither clean nor not', async () => {
  const mute = await node((method) => (method === 'eth_getLogs' ? { error: { code: 1, message: 'no' } } : undefined));
  const { findings } = await audit({ rpcUrl: mute.rpcUrl });
  expect(findings.unchecked).toEqual([
    { part: 'chain', reason: expect.stringContaining('the chain does not tell the events of block') },
  ]);
  expect(findings.exitCode).toBe(2);
  await expect(lookAt('http://127.0.0.1:1')).rejects.toThrow('the chain does not answer');
});

describe('the file', () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'ledger-'));
    file = path.join(folder, 'ledger.jsonl');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
  /** Batches as the sink `file` writes them. */
  async function lines(last = 5): Promise<string[]> {
    const written: string[] = [];
    let [from, previous] = [0, '0'.repeat(64)];
    for (let batchId = 1; batchId <= last; batchId += 1) {
      const records: string[] = [];
      for (const [id] of world.forwarder(`leaves:${batchId}`)) {
        const { record, salt, leaf, usageHash } = world.forwarder(`usage:${id}`);
        records.push(await canonicalText({ record, salt, leaf, usageHash }));
      }
      const { batchId: _, root, firstSequence, count, previousRoot, closedAt } = batch(batchId);
      const closing = await canonicalText({
        batch: { batchId, root, firstSequence, count, previousRoot, closedAt },
        from,
        previous,
        records: sha256(records.join('\n')),
        version: 1,
      });
      written.push(...records, closing);
      from += Buffer.byteLength(`${[...records, closing].join('\n')}\n`);
      previous = sha256(closing);
    }
    return written;
  }
  async function read(content: readonly string[], tail = '') {
    writeFileSync(file, `${content.join('\n')}\n${tail}`);
    const findings = new Findings();
    const last = await auditFile(world, file, sizeOf(file), findings);
    return { last, texts: findings.faults.map(({ text }) => text) };
  }

  test('as the ledger is, also while the next batch is being written', async () => {
    expect(await read(await lines())).toEqual({ last: 5, texts: [] });
    expect(await read(await lines(3), '{"leaf":"ab')).toEqual({ last: 3, texts: [] });
  });

  test('one changed letter, another order, a line that is gone, a batch of another ledger', async () => {
    const sound = await lines();
    const changed = sound.map((line, index) =>
      index === 0 ? line.replace('stopped_by_user', 'stopped_by_usee') : line,
    );
    expect((await read(changed)).texts[0]).toMatch(
      /batch 1: 1 of its records do not give their leaves; .*other record lines$/,
    );
    expect((await read([sound[1]!, sound[0]!, ...sound.slice(2)])).texts[0]).toMatch(
      /in their order, do not give its root/,
    );
    expect((await read(sound.slice(1))).texts).not.toEqual([]);
    world.forwarder('batch:2').closedAt = NOW.toISOString();
    expect((await read(sound)).texts).toEqual([expect.stringMatching(/batch 2: the ledger says something else/)]);
  });

  test('a file that is not there: neither clean nor not', () => {
    expect(() => sizeOf(file)).toThrow(`the file ${file} cannot be read`);
  });
});
