import request from 'supertest';
import { checkReceipt } from '../domain/check-receipt';
import { isConsistent } from '../domain/merkle-proof';
import { parseReceipt, partsOf } from '../domain/receipt';
import { ed25519Keys } from '../domain/check-signature';
import { ANCHOR, startForwarder, type Forwarder } from './support/forwarder';
import { taskStopped, USER } from './support/samples';

let forwarder: Forwarder;
beforeEach(async () => {
  forwarder = await startForwarder();
});

const bytes = (hex: string): Buffer => Buffer.from(hex.slice(2), 'hex');

async function ledgerOf(batches: number): Promise<void> {
  for (let batch = 0; batch < batches; batch += 1) {
    await forwarder.publish(taskStopped(), taskStopped());
    await forwarder.closeBatch();
  }
}

describe('GET /api/usage/{id}/receipt', () => {
  const receipt = (id: string, sub = USER) => forwarder.get(`/api/usage/${id}/receipt`, 'user', sub);

  it('when the batch is mined, then the receipt holds by the published keys', async () => {
    const event = taskStopped();
    await forwarder.publish(taskStopped(), event, taskStopped());
    await forwarder.closeBatch();
    await forwarder.step('evm');
    await forwarder.step('evm');
    const response = await receipt(event.id);
    expect(response.status).toBe(200);
    const parsed = parseReceipt(response.text);
    const { chainId, contract, transaction, blockHash: block } = ANCHOR;
    expect(partsOf(parsed)).toMatchObject({ chainId, contract, transaction, block });
    expect(parsed).toMatchObject({ leafIndex: 1, treeSize: 3, sequence: 2, record: { id: event.id } });
    const jwks: unknown = (await request(forwarder.app).get('/.well-known/jwks.json')).body;
    const checks = await checkReceipt(parsed, ed25519Keys(jwks));
    expect(checks.map(({ result }) => result)).toEqual(['holds', 'holds']);
    expect(response.text.length).toBeLessThan(2_000);
  });

  it('when the batch is not on the chain yet, then 409 says how far it is', async () => {
    const event = taskStopped();
    await forwarder.publish(event);
    const detail = async () => {
      const response = await receipt(event.id);
      expect(response.status).toBe(409);
      expect(response.body).toMatchObject({ code: 'usage.not_anchored' });
      return (response.body as { detail: string }).detail;
    };
    expect(await detail()).toContain('it waits for its batch');
    await forwarder.closeBatch();
    expect(await detail()).toContain('its batch is on its way');
    await forwarder.step('evm');
    expect(await detail()).toContain('its batch is on its way');
  });

  it('when the record is somebody else’s, then it is as if there were none', async () => {
    const event = taskStopped();
    await forwarder.publish(event);
    const response = await receipt(event.id, '77777777-0c9e-4c55-8d67-0d5b1f1f6a01');
    expect(response.status).toBe(404);
  });
});

describe('the public keys', () => {
  it('when asked without a token, then they are given, and nothing private is in them', async () => {
    const response = await request(forwarder.app).get('/.well-known/jwks.json');
    expect(response.status).toBe(200);
    const [key] = (response.body as { keys: Record<string, string>[] }).keys;
    expect(Object.keys(key!).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x']);
  });
});

describe('GET /api/ledger', () => {
  it('when batches are closed, then it tells how many, how many records, and the roots', async () => {
    expect((await forwarder.get('/api/ledger', 'user')).body).toMatchObject({ batches: 0, records: 0 });
    await ledgerOf(3);
    const { body } = await forwarder.get('/api/ledger', 'user');
    const batch = (await forwarder.get('/api/ledger/batches/3', 'user')).body as { root: string };
    expect(body).toMatchObject({ batches: 3, records: 6, lastRoot: batch.root, at: '2026-11-23T12:00:00.000Z' });
  });

  it('when a batch is asked for that is none, then 404', async () => {
    const response = await forwarder.get('/api/ledger/batches/1', 'user');
    expect(response.status).toBe(404);
    expect(response.body).toMatchObject({ code: 'ledger.no_such_batch' });
  });
});

describe('GET /api/ledger/consistency', () => {
  it('when two states are named, then the proof leads from the root of the one to that of the other', async () => {
    await ledgerOf(3);
    const { root: fromRoot } = (await forwarder.get('/api/ledger', 'user')).body as { root: string };
    await ledgerOf(4);
    const { root: toRoot } = (await forwarder.get('/api/ledger', 'user')).body as { root: string };
    const response = await forwarder.get('/api/ledger/consistency?from=3&to=7', 'user');
    expect(response.status).toBe(200);
    expect(response.body).toMatchObject({ from: 3, to: 7, fromRoot, toRoot });
    const proof = (response.body as { proof: string[] }).proof.map(bytes);
    expect(isConsistent({ from: 3, to: 7, fromRoot: bytes(fromRoot), toRoot: bytes(toRoot), proof })).toBe(true);
  });

  it.each(['from=0&to=1', 'from=2&to=1', 'from=1&to=4', 'from=1', 'from=a&to=b'])(
    'when asked for %s of three, then 400',
    async (query) => {
      await ledgerOf(3);
      expect((await forwarder.get(`/api/ledger/consistency?${query}`, 'user')).status).toBe(400);
    },
  );

  it('when there never was such a state, then it says how many batches there are', async () => {
    await ledgerOf(1);
    const response = await forwarder.get('/api/ledger/consistency?from=1&to=2', 'user');
    expect(response.body).toMatchObject({
      code: 'ledger.no_such_state',
      detail: expect.stringContaining('<= 1') as string,
    });
  });
});
