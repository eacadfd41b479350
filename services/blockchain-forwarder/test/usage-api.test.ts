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
  it('when a task has ended, then its user sees the record, its hash and what each sink has of it', async () => {
    const event = taskStopped();
    await forwarder.publish(event);
    await forwarder.deliver(forwarder.evm);
    const response = await forwarder.get(`/api/usage/${event.id}`, 'user', USER);
    expect(response.status).toBe(200);
    expect(response.body).toEqual({
      id: event.id,
      usageHash: await canonicalHash(usageRecordOf(event)!),
      receivedAt: '2026-11-23T12:00:00.000Z',
      record: usageRecordOf(event),
      sinks: {
        http: {
          state: 'pending',
          attempts: 0,
          nextAttemptAt: '2026-11-23T12:00:00.000Z',
          deliveredAt: null,
          receipt: null,
          lastError: null,
        },
        evm: {
          state: 'delivered',
          attempts: 1,
          nextAttemptAt: null,
          deliveredAt: '2026-11-23T12:00:00.000Z',
          receipt: { sequence: 1 },
          lastError: null,
        },
      },
    });
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

  it('when a sink failed, then an admin reads why, and a user does not', async () => {
    const event = taskStopped();
    await forwarder.publish(event);
    forwarder.http.down = true;
    await forwarder.deliver(forwarder.http);
    const lastError = async (role: string) => {
      const response = await forwarder.get(`/api/usage/${event.id}`, role, USER);
      return (response.body as { sinks: { http: { lastError: unknown } } }).sinks.http.lastError;
    };
    expect(await lastError('admin')).toBe('the memory sink is switched off');
    expect(await lastError('user')).toBeNull();
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
  it('when the chain has the hash, then the record is valid and the chain’s own receipt is shown', async () => {
    const event = taskStopped();
    await forwarder.publish(event);
    await forwarder.deliver(forwarder.evm);
    const hash = await canonicalHash(usageRecordOf(event)!);
    const response = await forwarder.get(`/api/usage/${event.id}/verify`, 'user', USER);
    expect(response.body).toEqual({
      valid: true,
      storedHash: hash,
      computedHash: hash,
      sinks: {
        http: { state: 'pending', found: false, receipt: null },
        evm: { state: 'delivered', found: true, receipt: { sequence: 1 } },
      },
    });
  });

  it('when somebody changed the stored record, then the hashes differ and it is not valid', async () => {
    const event = taskStopped();
    await forwarder.publish(event);
    const stored = (await forwarder.store.find([event.id])).get(event.id)!;
    jest.spyOn(forwarder.store, 'get').mockResolvedValue({
      usage: { ...stored, record: { ...stored.record, duration: 'PT1S' } },
      deliveries: [],
    });
    const { body } = await forwarder.get(`/api/usage/${event.id}/verify`, 'admin');
    expect(body).toMatchObject({ valid: false, storedHash: stored.usageHash });
    expect((body as { computedHash: string }).computedHash).not.toBe(stored.usageHash);
  });

  it('when the sink that took the record has it no more, then it is not valid', async () => {
    const event = taskStopped();
    await forwarder.publish(event);
    await forwarder.deliver(forwarder.evm);
    forwarder.evm.records.clear();
    const { body } = await forwarder.get(`/api/usage/${event.id}/verify`, 'admin');
    expect(body).toMatchObject({ valid: false, sinks: { evm: { state: 'delivered', found: false } } });
  });

  it('when the chain does not answer, then nothing is claimed: 503 with Retry-After', async () => {
    const event = taskStopped();
    await forwarder.publish(event);
    forwarder.evm.down = true;
    const response = await forwarder.get(`/api/usage/${event.id}/verify`, 'admin');
    expect(response.status).toBe(503);
    expect(response.body).toMatchObject({ code: 'usage.sink_unavailable' });
    expect(response.headers['retry-after']).toBe('10');
  });
});

describe('GET /api/usage/dead_letters', () => {
  it('when an event was kept out, then an admin sees it with the reason', async () => {
    const event = { ...taskStopped(), data: { ...taskStopped().data, userId: 'nobody', stopTime: 7 } };
    await forwarder.deadLetter(event);
    const response = await forwarder.get('/api/usage/dead_letters', 'admin');
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
      },
    ]);
  });
});

describe('access', () => {
  const paths = [
    '/api/usage',
    `/api/usage/${randomUUID()}`,
    `/api/usage/${randomUUID()}/verify`,
    '/api/usage/dead_letters',
  ];

  it.each(paths)('when %s is asked without a token, then 401; with a role that may not, then 403', async (path) => {
    expect((await request(forwarder.app).get(path)).status).toBe(401);
    expect((await forwarder.get(path, 'resource-pool-owner')).status).toBe(403);
  });

  it('when a user asks for the dead letters, then 403', async () => {
    expect((await forwarder.get('/api/usage/dead_letters', 'user')).status).toBe(403);
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
