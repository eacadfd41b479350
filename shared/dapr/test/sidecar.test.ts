import { randomUUID } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { CloudEvent } from '../../contracts/events';
import { AppError } from '../../errors';
import { withContext } from '../../logging/context';
import { ConflictError, connectSidecar, type Sidecar } from '../sidecar';

interface Call {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: unknown;
}

/** A sidecar that answers what the test says. What the real one answers is held by test/e2e. */
let answer: (call: Call) => { status?: number; body?: unknown; text?: string; hang?: boolean };
let healthy: boolean;
let calls: Call[];
let server: Server;
let sidecar: Sidecar;
/** One that waits for an answer no longer than 0.2 s. */
let hasty: Sidecar;

beforeEach(async () => {
  calls = [];
  healthy = true;
  answer = () => ({ status: 204 });
  server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => {
      const call = {
        method: request.method!,
        path: request.url!,
        headers: request.headers,
        body: text === '' ? undefined : (JSON.parse(text) as unknown),
      };
      // the SDK asks for the sidecar's metadata before its first call
      if (call.path === '/v1.0/metadata')
        return void response.setHeader('Content-Type', 'application/json').end('{"id":"test"}');
      if (call.path.includes('/healthz')) return void response.writeHead(healthy ? 204 : 500).end();
      calls.push(call);
      const { status = 200, body, text: plain, hang } = answer(call);
      if (hang) return;
      response
        .writeHead(status, plain === undefined ? { 'Content-Type': 'application/json' } : {})
        .end(plain ?? JSON.stringify(body));
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  sidecar = connectSidecar({
    port: (server.address() as AddressInfo).port,
    apiToken: 'sidecar-token',
    timeoutMs: 10_000,
  });
  hasty = connectSidecar({ port: (server.address() as AddressInfo).port, timeoutMs: 200 });
});
afterEach(async () => {
  await sidecar.close();
  await hasty.close();
  server.closeAllConnections();
  server.close();
});

async function failure(work: Promise<unknown>): Promise<Error> {
  return work.then(
    () => {
      throw new Error('it should have failed');
    },
    (error: Error) => error,
  );
}

const daprError = (errorCode: string, message: string) => ({ status: 500, body: { errorCode, message } });

describe('reading state', () => {
  const proof = { key: 'proof-of-reading', data: {}, etag: '1' };

  test('rows by key with their ETags, in whatever order they come; absent keys are absent', async () => {
    answer = () => ({
      body: [{ key: 'b', data: { n: 2 }, etag: '20' }, proof, { key: 'c' }, { key: 'a', data: { n: 1 }, etag: '10' }],
    });
    const rows = await sidecar.get(['a', 'b', 'c', 'a']);
    expect(Object.fromEntries(rows)).toEqual({
      a: { value: { n: 1 }, etag: '10' },
      b: { value: { n: 2 }, etag: '20' },
    });
    expect(calls[0]).toMatchObject({
      path: '/v1.0/state/statestore/bulk?',
      body: { keys: ['a', 'b', 'c', 'proof-of-reading'] },
    });
    expect(calls[0]!.headers['dapr-api-token']).toBe('sidecar-token');
  });

  test('no keys, no call', async () => {
    expect((await sidecar.get([])).size).toBe(0);
    expect(calls).toEqual([]);
  });

  test('a row that could not be read is not an absent row: 503', async () => {
    answer = () => ({ body: [{ key: 'a', error: 'connection refused' }] });
    expect(await failure(sidecar.get(['a']))).toMatchObject({ kind: 'unavailable' });
  });

  test('a read that broke off looks as if nothing were there: it is read again, not believed', async () => {
    let reads = 0;
    answer = ({ path }) => {
      if (!path.includes('/bulk')) return { status: 204 };
      reads += 1;
      return { body: reads === 1 ? [{ key: 'a' }, { key: proof.key }] : [{ key: 'a', data: 1, etag: '1' }, proof] };
    };
    expect((await sidecar.get(['a'])).get('a')).toEqual({ value: 1, etag: '1' });
  });

  test('the store is away, and reads break off: 503, never absent', async () => {
    answer = ({ path }) =>
      path.includes('/bulk') ? { body: [{ key: 'a' }, { key: proof.key }] } : daprError('ERR_STATE_TRANSACTION', 'x');
    expect(await failure(sidecar.get(['a']))).toMatchObject({ kind: 'unavailable' });
  });
});

describe('a transaction', () => {
  test('is sorted by key, with plain ETags, and first-write where something is expected', async () => {
    await sidecar.transact([
      { remove: 'z' },
      { upsert: 'b', value: { n: 1 }, etag: '7' },
      { upsert: 'c', value: 1, ttlSeconds: 60 },
      { upsert: 'a', value: 2, etag: null },
      { remove: 'y', etag: '9' },
    ]);
    expect((calls[0]!.body as { operations: unknown }).operations).toEqual([
      { operation: 'upsert', request: { key: 'a', value: 2, options: { concurrency: 'first-write' } } },
      {
        operation: 'upsert',
        request: { key: 'b', value: { n: 1 }, etag: '7', options: { concurrency: 'first-write' } },
      },
      { operation: 'upsert', request: { key: 'c', value: 1, options: {}, metadata: { ttlInSeconds: '60' } } },
      { operation: 'delete', request: { key: 'y', etag: '9', options: { concurrency: 'first-write' } } },
      { operation: 'delete', request: { key: 'z', options: {} } },
    ]);
  });

  test.each([
    ['a stale ETag', 'failed to execute transaction: possible etag mismatch. error from state store: x'],
    ['an existing key', 'error in upsert: no item was updated'],
    ['a deadlock', 'ERROR: deadlock detected (SQLSTATE 40P01)'],
    ['a serialisation failure', 'ERROR: could not serialize access (SQLSTATE 40001)'],
  ])('that loses by %s is a conflict', async (_name, text) => {
    answer = () => daprError('ERR_STATE_TRANSACTION', text);
    expect(await failure(sidecar.transact([{ upsert: 'a', value: 1, etag: '1' }]))).toBeInstanceOf(ConflictError);
  });

  test('that fails otherwise is a 503 with Retry-After, without the store’s words', async () => {
    answer = () => daprError('ERR_STATE_TRANSACTION', 'failed to connect to host=10.1.2.3 user=rm');
    const error = await failure(sidecar.transact([{ upsert: 'a', value: 1 }]));
    expect(error).toMatchObject({
      kind: 'unavailable',
      code: 'state_store.unavailable',
      retryAfter: expect.any(Number),
    });
    expect(error.message).not.toContain('10.1.2.3');
  });

  test('without an answer is a 503 after the time limit', async () => {
    answer = () => ({ hang: true });
    const started = Date.now();
    expect(await failure(hasty.transact([{ upsert: 'a', value: 1 }]))).toMatchObject({
      code: 'state_store.unavailable',
    });
    expect(Date.now() - started).toBeLessThan(5_000);
  });
});

describe('a query', () => {
  test('passes parameters apart from the statement, and gives what the one JSON column of each row holds', async () => {
    answer = () => ({ body: [['[{"id":1}, null]']] });
    expect(await sidecar.query('SELECT v::text FROM t WHERE a = $1', ["x' OR 1=1"])).toEqual([{ id: 1 }, null]);
    expect(calls[0]).toMatchObject({
      path: '/v1.0/bindings/database',
      body: {
        operation: 'query',
        metadata: { sql: expect.stringContaining('(SELECT v::text FROM t WHERE a = $1)'), params: `["x' OR 1=1"]` },
      },
    });
  });

  test('without rows is an empty list', async () => {
    answer = () => ({ body: [['[]']] });
    expect(await sidecar.query('SELECT 1', [])).toEqual([]);
  });

  test.each([
    ['with an error', daprError('ERR_INVOKE_OUTPUT_BINDING', 'relation does not exist')],
    ['with an error that Dapr hides behind no rows', { body: [] }],
    ['with nothing', { status: 204 }],
  ])('that fails %s is a 503', async (_name, given) => {
    answer = () => given;
    expect(await failure(sidecar.query('SELECT 1', []))).toMatchObject({ code: 'database.unavailable' });
  });
});

describe('publishing', () => {
  const event = (): CloudEvent =>
    ({
      specversion: '1.0',
      id: randomUUID(),
      source: 's',
      type: 'task.started',
      time: '2026-01-01T00:00:00Z',
      datacontenttype: 'application/json',
    }) as CloudEvent;

  test('sends each event whole, under its own id, and says what was taken', async () => {
    const events = [event(), event()];
    expect(await sidecar.publish('task.started', events)).toEqual(new Set(events.map(({ id }) => id)));
    expect(calls[0]!.path).toBe('/v1.0-alpha1/publish/bulk/pubsub/task.started');
    expect(calls[0]!.headers['dapr-api-token']).toBe('sidecar-token');
    expect(calls[0]!.body).toEqual(
      events.map((each) => ({ entryId: each.id, event: each, contentType: 'application/cloudevents+json' })),
    );
  });

  test('an event with a trace carries it twice, else the sidecar replaces it', async () => {
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    await sidecar.publish('task.started', [{ ...event(), traceparent }]);
    expect(calls[0]!.body).toEqual([
      expect.objectContaining({ event: expect.objectContaining({ traceparent, traceid: traceparent }) }),
    ]);
  });

  test('that fails in part says which were taken', async () => {
    const events = [event(), event()];
    answer = () => ({
      status: 500,
      body: { failedEntries: [{ entryId: events[1]!.id, error: 'no' }], errorCode: 'ERR_PUBSUB_PUBLISH_MESSAGE' },
    });
    expect(await sidecar.publish('task.started', events)).toEqual(new Set([events[0]!.id]));
  });

  test.each([
    ['without naming entries', { status: 500, body: { errorCode: 'ERR_PUBSUB_NOT_FOUND', message: 'x' } }],
    ['with an empty list of failures', { status: 500, body: { failedEntries: [], errorCode: 'x' } }],
    ['with something that is no JSON', { status: 502, text: 'bad gateway' }],
  ])('that fails %s has taken none', async (_name, given) => {
    answer = () => given;
    expect(await failure(sidecar.publish('task.started', [event()]))).toMatchObject({
      code: 'event_broker.unavailable',
    });
  });

  test('without an answer has taken none', async () => {
    answer = () => ({ hang: true });
    expect(await failure(hasty.publish('task.started', [event()]))).toMatchObject({
      code: 'event_broker.unavailable',
    });
  });
});

describe('invoking another app', () => {
  test('passes body, request id and trace, and gives back its answer', async () => {
    answer = () => ({ status: 201, body: { id: 'x' } });
    const traceId = 'a'.repeat(32);
    const result = await withContext({ requestId: 'r-9', traceparent: `00-${traceId}-${'b'.repeat(16)}-01` }, () =>
      sidecar.invoke('allocation', 'POST', 'internal/allocations', { capacity: 1 }),
    );
    expect(result).toEqual({ id: 'x' });
    expect(calls[0]).toMatchObject({
      method: 'POST',
      path: '/v1.0/invoke/allocation/method/internal/allocations',
      body: { capacity: 1 },
    });
    expect(calls[0]!.headers).toMatchObject({ 'x-request-id': 'r-9', traceparent: expect.stringContaining(traceId) });
  });

  test('DELETE with 204 is done', async () => {
    await sidecar.invoke('allocation', 'DELETE', 'internal/allocations/x');
    expect(calls[0]!.method).toBe('DELETE');
  });

  test.each([
    [404, 'not_found', 'pool.not_found'],
    [409, 'conflict', 'allocation.insufficient_capacity'],
    [400, 'invalid', 'request.invalid'],
  ])('its %i comes as its own error, with code, sentence and facts', async (status, kind, code) => {
    answer = () => ({
      status,
      body: { type: `urn:x:${code}`, title: 't', status, code, detail: 'Do this.', request_id: 'r', available: 3 },
    });
    const error = await failure(sidecar.invoke('allocation', 'POST', 'internal/allocations', {}));
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({ kind, code, message: 'Do this.', facts: { available: 3 } });
    expect((error as AppError).facts).not.toHaveProperty('request_id');
  });

  test.each([500, 503])('its %i, whatever it says, is a 503 that names the app', async (status) => {
    answer = () => ({ status, body: { type: 'urn:x', title: 't', status, code: 'internal', detail: 'inner words' } });
    const error = await failure(sidecar.invoke('resource-pool', 'GET', 'internal/resource_pools'));
    expect(error).toMatchObject({ kind: 'unavailable', code: 'resource_pool.unavailable' });
    expect(error.message).not.toContain('inner words');
  });

  test('words of another app are never taken for a conflict of the store', async () => {
    answer = () => ({
      status: 404,
      body: { type: 't', title: 't', status: 404, code: 'x.y', detail: 'no etag mismatch here' },
    });
    expect(await failure(sidecar.invoke('allocation', 'GET', 'x'))).toMatchObject({ code: 'x.y' });
  });
});

describe('readiness', () => {
  test('is there when the sidecar’s components are and the store answers', async () => {
    answer = () => ({ body: [{ key: 'readiness' }, { key: 'proof-of-reading', data: {}, etag: '1' }] });
    await sidecar.check();
  });

  test('is not when the sidecar or one of its components is not ready', async () => {
    healthy = false;
    expect(await failure(sidecar.check())).toMatchObject({ kind: 'unavailable', code: 'sidecar.unavailable' });
  });

  test('is not when the store does not answer', async () => {
    answer = () => daprError('ERR_STATE_GET', 'x');
    expect(await failure(sidecar.check())).toMatchObject({ kind: 'unavailable', code: 'state_store.unavailable' });
  });
});
