import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { isConsistent } from '../../services/blockchain-forwarder/domain/merkle-proof';
import { root } from '../../tools/instance';
import { askNode } from './support/chain';
import { call, eventually, system, tokenFor } from './support/system';
import { publishRaw, taskStopped, usageOf, type Usage } from './support/usage';

/** Issue 6, 6 and 7: what is got over HTTP holds in the command that trusts nothing of ours, against the real chain. */

jest.setTimeout(120_000);

const userId = randomUUID();
const token = tokenFor(userId, 'user');
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'receipts-'));
afterAll(() => fs.rmSync(folder, { recursive: true }));

let usages: Usage[];
beforeAll(async () => {
  await publishRaw(
    'usage.ended',
    Array.from({ length: 5 }, () => taskStopped(userId)),
  );
  await eventually('all are anchored', async () => {
    usages = await usageOf(token);
    return usages.length === 5 && usages.every(({ state }) => state === 'finalized');
  });
  // anvil takes for final what has two epochs of blocks on top
  await askNode(system().evm!.rpcUrl, 'anvil_mine', '0x50');
});

const receiptOf = (id: string, as = token) =>
  call('GET', `blockchain-forwarder/api/usage/${id}/receipt`, { token: as });

function file(name: string, content: unknown): string {
  const at = path.join(folder, name);
  fs.writeFileSync(at, JSON.stringify(content));
  return at;
}

function verify(...args: string[]): Promise<{ code: number; said: string }> {
  return new Promise((resolve) => {
    // as `npx verify-receipt` does, so it must be executable
    const command = path.join(root, 'dist/services/blockchain-forwarder/verifier/verify.js');
    execFile(command, args, (error, said) => resolve({ code: error ? Number(error.code) : 0, said }));
  });
}

async function publishedKeys(): Promise<string> {
  const answer = await call('GET', 'blockchain-forwarder/.well-known/jwks.json');
  expect(answer.status).toBe(200);
  return file('jwks.json', answer.body);
}

test('when a receipt is checked with the published keys and a node of the chain, then everything holds', async () => {
  const jwks = await publishedKeys();
  for (const { id, record } of usages) {
    const { status, body } = await receiptOf(id);
    expect(status).toBe(200);
    expect(body).toMatchObject({ record, treeSize: usages[0]!.batch!.count });
    expect(JSON.stringify(body).length).toBeLessThan(1_500);
    const { code, said } = await verify(file(`${id}.json`, body), '--jwks', jwks, '--rpc', system().evm!.rpcUrl);
    expect([code, said]).toEqual([0, expect.not.stringMatching(/DOES NOT HOLD|COULD NOT BE CHECKED/)]);
  }
});

test('when an hour is added to the record of a receipt, then signature and path do not hold', async () => {
  const jwks = await publishedKeys();
  const receipt = (await receiptOf(usages[0]!.id)).body as { record: object };
  const forged = file('forged.json', { ...receipt, record: { ...receipt.record, duration: 'PT1H' } });
  const { code, said } = await verify(forged, '--jwks', jwks, '--rpc', system().evm!.rpcUrl);
  expect(code).toBe(1);
  expect(said.match(/^DOES NOT HOLD/gm)).toHaveLength(2);
});

test('when somebody else asks for a receipt, then there is no such record; an administrator gets it', async () => {
  const stranger = await receiptOf(usages[0]!.id, tokenFor(randomUUID(), 'user'));
  expect(stranger).toMatchObject({ status: 404, body: { code: 'usage.not_found' } });
  expect((await receiptOf(usages[0]!.id, tokenFor(randomUUID(), 'admin'))).status).toBe(200);
});

test('when the record is in no anchored batch yet, then 409, and the receipt comes with the anchor', async () => {
  const event = taskStopped(userId);
  await publishRaw('usage.ended', event);
  await eventually('it is a record', async () => (await receiptOf(event.id)).status !== 404);
  const early = await receiptOf(event.id);
  expect(early).toMatchObject({ status: 409, body: { code: 'usage.not_anchored' } });
  await eventually('it is anchored', async () => (await receiptOf(event.id)).status === 200);
});

test('when the ledger has grown, then it proves that it extends each state that it ever had', async () => {
  interface State {
    batches: number;
    root: string;
  }
  const ledger = async () => (await call('GET', 'blockchain-forwarder/api/ledger', { token })).body as State;
  const bytes = (hex: string) => Buffer.from(hex.slice(2), 'hex');
  const before = await ledger();
  await publishRaw('usage.ended', taskStopped(userId));
  await eventually('another batch is closed', async () => (await ledger()).batches > before.batches);
  const after = await ledger();
  for (let from = 1; from <= after.batches; from += 1) {
    const path = `blockchain-forwarder/api/ledger/consistency?from=${from}&to=${after.batches}`;
    const proved = (await call('GET', path, { token })).body as { fromRoot: string; toRoot: string; proof: string[] };
    expect(proved.toRoot).toBe(after.root);
    if (from === before.batches) expect(proved.fromRoot).toBe(before.root);
    const claim = { fromRoot: bytes(proved.fromRoot), toRoot: bytes(proved.toRoot), proof: proved.proof.map(bytes) };
    expect(isConsistent({ from, to: after.batches, ...claim })).toBe(true);
  }
});
