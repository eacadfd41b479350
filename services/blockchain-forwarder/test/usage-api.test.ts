import { randomUUID } from 'node:crypto';
import request from 'supertest';
import { canonicalHash } from '../domain/canonical-hash';
import { usageRecordOf } from '../domain/usage-record';
import { allocationReleased, taskFailed, taskStopped, USER } from './support/samples';
import { startForwarder, type Forwarder } from './support/forwarder';

const OTHER = '77777777-0c9e-4c55-8d67-0d5b1f1f6a01';
let forwarder: Forwarder;

beforeEach(async () => {
  forwarder = await startForwarder();
});

describe('GET /api/usage/{id}', () => {
  const state = async (id: string) => (await forwarder.get(`/api/usage/${id}`, 'user', USER)).body as unknown;

  it('when a task has ended, then its user sees the record, its hash, and that it was received', async () => {
    const event = taskStopped();
    await forwarder.publish(event);
    const response = await forwarder.get(`/api/usage/${event.id}`, 'user', USER);
    expect(response.status).toBe(200);
    expect(response.body).toEqual({
      id: event.id,
      usageHash: await canonicalHash(usageRecordOf(event)!),
      receivedAt: '2026-11-23T12:00:00.000Z',
      record: usageRecordOf(event),
      state: 'received',
      batch: null,
      sinks: {},
      correctedBy: null,
    });
  });

  it('when its batch goes its way, then each stage is seen, and since when', async () => {
    const { id } = taskStopped();
    await forwarder.publish(taskStopped({}, { id }));
    await forwarder.closeBatch();
    expect(await state(id)).toMatchObject({ state: 'batched', batch: { batchId: 1, count: 1 }, sinks: {} });
    for (const stage of ['submitted', 'mined', 'finalized']) {
      forwarder.later(1_000);
      await forwarder.step('evm');
      const since = forwarder.clock.now.toISOString();
      expect(await state(id)).toMatchObject({ state: stage, sinks: { evm: { stage, since } } });
    }
    await forwarder.step('http');
    expect(await state(id)).toMatchObject({ state: 'finalized', sinks: { http: { stage: 'delivered' } } });
  });

  it('when the record is somebody else’s, then it is as if there were none; an admin sees it', async () => {
    const event = taskStopped();
    await forwarder.publish(event);
    for (const path of [`/api/usage/${event.id}`, `/api/usage/${event.id}/verify`, `/api/usage/${randomUUID()}`]) {
      const response = await forwarder.get(path, 'user', OTHER);
      expect(response.status).toBe(404);
      expect(response.body).toMatchObject({ code: 'usage.not_found' });
    }
    expect((await forwarder.get(`/api/usage/${event.id}`, 'admin')).status).toBe(200);
  });
});

describe('GET /api/usage', () => {
  const ids = (body: unknown): string[] => (body as { id: string }[]).map(({ id }) => id);

  it('when a user lists, then only its own records come, whatever it asks for', async () => {
    const own = taskStopped();
    const foreign = taskStopped({ userId: OTHER });
    await forwarder.publish(own, foreign);
    expect(ids((await forwarder.get('/api/usage', 'user', USER)).body)).toEqual([own.id]);
    expect((await forwarder.get(`/api/usage?userId=${OTHER}`, 'user', USER)).body).toEqual([]);
    expect(ids((await forwarder.get(`/api/usage?userId=${OTHER}`, 'admin')).body)).toEqual([foreign.id]);
    expect((await forwarder.get('/api/usage', 'admin')).body).toHaveLength(2);
  });

  it('when filtered, then service type, kind and time are honoured', async () => {
    const [task, allocation] = [taskStopped({ serviceType: 'demo' }), allocationReleased()];
    await forwarder.publish(task);
    await forwarder.publish(allocation);
    const list = async (query: string) => ids((await forwarder.get(`/api/usage?${query}`, 'admin')).body);
    expect(await list('serviceType=demo')).toEqual([task.id]);
    expect(await list('kind=allocation')).toEqual([allocation.id]);
    expect(await list('from=2026-11-23T10:03:20Z')).toEqual([task.id]);
    expect(await list('to=2026-11-23T10:03:20Z')).toEqual([allocation.id]);
  });

  it('when there is more than a page, then Link leads through all of it, each record once', async () => {
    const events = Array.from({ length: 5 }, () => taskStopped());
    await forwarder.publish(...events);
    const seen: string[] = [];
    for (let path: string | undefined = '/api/usage?limit=2&kind=task'; path;) {
      const response = await forwarder.get(path, 'user', USER);
      seen.push(...ids(response.body));
      path = /<([^>]+)>; rel="next"/.exec(response.headers['link'] ?? '')?.[1];
    }
    expect(seen.sort()).toEqual(ids(events).sort());
  });

  it('when the query is malformed, then every bad field is named', async () => {
    const response = await forwarder.get('/api/usage?userId=me&from=yesterday&limit=0&colour=red', 'admin');
    expect(response.status).toBe(400);
    const fields = (response.body as { errors: { field: string }[] }).errors.map(({ field }) => field);
    expect(fields.sort()).toEqual(['query.colour', 'query.from', 'query.limit', 'query.userId']);
  });
});

describe('GET /api/usage/{id}/verify', () => {
  const verify = async (id: string) => (await forwarder.get(`/api/usage/${id}/verify`, 'user', USER)).body as unknown;

  async function anchored(): Promise<string> {
    const event = taskStopped();
    await forwarder.publish(taskStopped(), event);
    await forwarder.closeBatch();
    for (let step = 0; step < 3; step += 1) await forwarder.step('evm');
    return event.id;
  }

  it('when the chain has the batch, then the record is valid, and what the chain gave is shown', async () => {
    const id = await anchored();
    const hash = await canonicalHash((await forwarder.store.find([id])).get(id)!.record);
    const [batch] = await forwarder.store.batches([1]);
    expect(await verify(id)).toEqual({
      valid: true,
      storedHash: hash,
      computedHash: hash,
      storedLeaf: expect.any(String) as string,
      computedLeaf: expect.any(String) as string,
      batch: { batchId: 1, leafIndex: 1, storedRoot: batch!.root, computedRoot: batch!.root },
      sinks: {
        http: { stage: null, found: null, receipt: null },
        evm: { stage: 'finalized', found: true, receipt: { id } },
      },
    });
  });

  it('when it waits for its batch, then hash and leaf are all that is checked', async () => {
    const event = taskStopped();
    await forwarder.publish(event);
    expect(await verify(event.id)).toMatchObject({ valid: true, batch: null });
  });

  it('when somebody changed the stored record, then hash and leaf differ and it is not valid', async () => {
    const id = await anchored();
    const found = (await forwarder.store.get(id))!;
    const record = { ...found.usage.record, duration: 'PT1S' };
    jest.spyOn(forwarder.store, 'get').mockResolvedValue({ ...found, usage: { ...found.usage, record } });
    const body = (await verify(id)) as Record<string, string>;
    expect(body).toMatchObject({ valid: false, storedHash: found.usage.usageHash, storedLeaf: found.usage.leaf });
    expect(body.computedHash).not.toBe(body.storedHash);
    expect(body.computedLeaf).not.toBe(body.storedLeaf);
  });

  it('when somebody changed another leaf of its batch, then the root differs and it is not valid', async () => {
    const id = await anchored();
    const entries = [...(await forwarder.store.entries(1))];
    entries[0] = [entries[0]![0], entries[1]![1]];
    jest.spyOn(forwarder.store, 'entries').mockResolvedValue(entries);
    expect(await verify(id)).toMatchObject({ valid: false, batch: { leafIndex: 1 } });
  });

  it('when the chain has the batch no more, then it is not valid', async () => {
    const id = await anchored();
    forwarder.evm.batches.clear();
    expect(await verify(id)).toMatchObject({ valid: false, sinks: { evm: { stage: 'finalized', found: false } } });
  });

  it('when the chain does not answer, then nothing is claimed: 503 with Retry-After', async () => {
    const id = await anchored();
    forwarder.evm.down = true;
    const response = await forwarder.get(`/api/usage/${id}/verify`, 'admin');
    expect(response.status).toBe(503);
    expect(response.body).toMatchObject({ code: 'usage.sink_unavailable' });
    expect(response.headers['retry-after']).toBe('10');
  });
});

describe('GET /api/usage/dead-letters', () => {
  it('when an event was kept out, then an admin sees it with the reason', async () => {
    const event = { ...taskStopped(), data: { ...taskStopped().data, userId: 'nobody', stopTime: 7 } };
    await forwarder.deadLetter(event);
    const response = await forwarder.get('/api/usage/dead-letters', 'admin');
    expect(response.status).toBe(200);
    expect(response.body).toEqual([
      {
        id: expect.any(String) as string,
        topic: 'task.stopped',
        eventId: event.id,
        reason: 'event.invalid',
        detail: expect.stringMatching(/data\.userId: .*; data\.stopTime: /) as string,
        event,
        receivedAt: '2026-11-23T12:00:00.000Z',
        lastSeenAt: '2026-11-23T12:00:00.000Z',
        state: 'open',
        handling: [],
        refusedBy: null,
      },
    ]);
  });
});

describe('access', () => {
  const paths = [
    '/api/usage',
    `/api/usage/${randomUUID()}`,
    `/api/usage/${randomUUID()}/verify`,
    `/api/usage/${randomUUID()}/receipt`,
    '/api/usage/dead-letters',
    '/api/ledger',
    '/api/ledger/consistency?from=1&to=1',
    '/api/ledger/batches/1',
  ];

  it.each(paths)('when %s is asked without a token, then 401; with a role that may not, then 403', async (path) => {
    expect((await request(forwarder.app).get(path)).status).toBe(401);
    expect((await forwarder.get(path, 'resource-pool-owner')).status).toBe(403);
  });

  it('when a user asks for the dead letters, then 403', async () => {
    expect((await forwarder.get('/api/usage/dead-letters', 'user')).status).toBe(403);
  });

  it('when anybody but the sidecar delivers events, then it is refused and nothing is written', async () => {
    const event = taskFailed();
    const response = await request(forwarder.app)
      .post('/events/usage.ended')
      .send({ entries: [{ entryId: '1', event: [event] }] });
    expect(response.status).toBe(401);
    expect((await forwarder.get(`/api/usage/${event.id}`, 'admin')).status).toBe(404);
  });
});
