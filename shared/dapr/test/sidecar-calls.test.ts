import { randomUUID } from 'node:crypto';
import type { CloudEvent } from '../../contracts/events';
import { AppError } from '../../errors';
import { withContext } from '../../logging/context';
import { daprError, failure, useFakeDaprd } from './fake-daprd';

const daprd = useFakeDaprd();

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
    expect(await daprd.sidecar.publish('task.started', events)).toEqual(new Set(events.map(({ id }) => id)));
    expect(daprd.calls[0]!.path).toBe('/v1.0-alpha1/publish/bulk/pubsub/task.started?metadata.rawPayload=true');
    expect(daprd.calls[0]!.headers['dapr-api-token']).toBe('sidecar-token');
    expect(daprd.calls[0]!.body).toEqual(
      events.map((each) => ({ entryId: each.id, event: JSON.stringify(each), contentType: 'text/plain' })),
    );
  });

  test('of a bundle sends one message, the events as they are in an array', async () => {
    const events = [event(), event()];
    await daprd.sidecar.publishBundle('usage.ended', events);
    expect(daprd.calls.map(({ path, body }) => [path, body])).toEqual([
      ['/v1.0/publish/pubsub/usage.ended?metadata.rawPayload=true', events],
    ]);
  });

  test.each([
    ['is refused', { status: 500, body: { errorCode: 'ERR_PUBSUB_PUBLISH_MESSAGE', message: 'x' } }],
    ['has no answer', { hang: true }],
  ])('of a bundle that %s fails', async (_name, given) => {
    daprd.answer = () => given;
    expect(await failure(daprd.hasty.publishBundle('usage.ended', [event()]))).toMatchObject({
      code: 'event_broker.unavailable',
    });
  });

  test('that fails in part says which were taken', async () => {
    const events = [event(), event()];
    daprd.answer = () => ({
      status: 500,
      body: { failedEntries: [{ entryId: events[1]!.id, error: 'no' }], errorCode: 'ERR_PUBSUB_PUBLISH_MESSAGE' },
    });
    expect(await daprd.sidecar.publish('task.started', events)).toEqual(new Set([events[0]!.id]));
  });

  test.each([
    ['without naming entries', { status: 500, body: { errorCode: 'ERR_PUBSUB_NOT_FOUND', message: 'x' } }],
    ['with an empty list of failures', { status: 500, body: { failedEntries: [], errorCode: 'x' } }],
    ['with something that is no JSON', { status: 502, text: 'bad gateway' }],
  ])('that fails %s has taken none', async (_name, given) => {
    daprd.answer = () => given;
    expect(await failure(daprd.sidecar.publish('task.started', [event()]))).toMatchObject({
      code: 'event_broker.unavailable',
    });
  });

  test('without an answer has taken none', async () => {
    daprd.answer = () => ({ hang: true });
    expect(await failure(daprd.hasty.publish('task.started', [event()]))).toMatchObject({
      code: 'event_broker.unavailable',
    });
  });
});

describe('secrets', () => {
  test('come with their fields, from the store that was named', async () => {
    daprd.answer = () => ({ body: { anchorer: 'x' } });
    expect(await daprd.sidecar.secret('vault', 'anchorer')).toEqual({ anchorer: 'x' });
    expect(daprd.calls).toMatchObject([{ method: 'GET', path: '/v1.0/secrets/vault/anchorer' }]);
    expect(daprd.calls[0]!.headers['dapr-api-token']).toBe('sidecar-token');
  });

  test.each([
    [403, { errorCode: 'ERR_PERMISSION_DENIED', message: 'access denied by policy to get "a" from "vault"' }],
    [500, { errorCode: 'ERR_SECRET_GET', message: 'failed getting secret with key a from secret store vault' }],
  ])('that are refused with %i are an error which tells the status', async (status, body) => {
    daprd.answer = () => ({ status, body });
    expect(await failure(daprd.sidecar.secret('vault', 'a'))).toMatchObject({
      code: 'secret_store.unavailable',
      cause: { status },
    });
  });

  test('of a sidecar that does not answer are an error without a status', async () => {
    daprd.answer = () => ({ hang: true });
    expect(await failure(daprd.hasty.secret('vault', 'a'))).toMatchObject({
      code: 'secret_store.unavailable',
      cause: { status: undefined },
    });
  });
});

describe('invoking another app', () => {
  test('passes body, request id and trace, and gives back its answer', async () => {
    daprd.answer = () => ({ status: 201, body: { id: 'x' } });
    const traceId = 'a'.repeat(32);
    const result = await withContext({ requestId: 'r-9', traceparent: `00-${traceId}-${'b'.repeat(16)}-01` }, () =>
      daprd.sidecar.invoke('allocation', 'POST', 'internal/allocations', { capacity: 1 }),
    );
    expect(result).toEqual({ id: 'x' });
    expect(daprd.calls[0]).toMatchObject({
      method: 'POST',
      path: '/v1.0/invoke/allocation/method/internal/allocations',
      body: { capacity: 1 },
    });
    expect(daprd.calls[0]!.headers).toMatchObject({
      'x-request-id': 'r-9',
      traceparent: expect.stringContaining(traceId),
    });
  });

  test('DELETE with 204 is done', async () => {
    await daprd.sidecar.invoke('allocation', 'DELETE', 'internal/allocations/x');
    expect(daprd.calls[0]!.method).toBe('DELETE');
  });

  test.each([
    [404, 'not_found', 'pool.not_found'],
    [409, 'conflict', 'allocation.insufficient_capacity'],
    [400, 'invalid', 'request.invalid'],
  ])('its %i comes as its own error, with code, sentence and facts', async (status, kind, code) => {
    daprd.answer = () => ({
      status,
      body: { type: `urn:x:${code}`, title: 't', status, code, detail: 'Do this.', request_id: 'r', available: 3 },
    });
    const error = await failure(daprd.sidecar.invoke('allocation', 'POST', 'internal/allocations', {}));
    expect(error).toBeInstanceOf(AppError);
    expect(error).toMatchObject({ kind, code, message: 'Do this.', facts: { available: 3 } });
    expect((error as AppError).facts).not.toHaveProperty('request_id');
  });

  test.each([500, 503])('its %i, whatever it says, is a 503 that names the app', async (status) => {
    daprd.answer = () => ({
      status,
      body: { type: 'urn:x', title: 't', status, code: 'internal', detail: 'inner words' },
    });
    const error = await failure(daprd.sidecar.invoke('resource-pool', 'GET', 'internal/resource_pools'));
    expect(error).toMatchObject({ kind: 'unavailable', code: 'resource_pool.unavailable' });
    expect(error.message).not.toContain('inner words');
  });

  test('words of another app are never taken for a conflict of the store', async () => {
    daprd.answer = () => ({
      status: 404,
      body: { type: 't', title: 't', status: 404, code: 'x.y', detail: 'no etag mismatch here' },
    });
    expect(await failure(daprd.sidecar.invoke('allocation', 'GET', 'x'))).toMatchObject({ code: 'x.y' });
  });
});

describe('readiness', () => {
  test('is there when the sidecar’s components are and the store answers', async () => {
    daprd.answer = () => ({ body: [{ key: 'readiness' }, { key: 'proof-of-reading', data: {}, etag: '1' }] });
    await daprd.sidecar.check();
  });

  test('is not when the sidecar or one of its components is not ready', async () => {
    daprd.healthy = false;
    expect(await failure(daprd.sidecar.check())).toMatchObject({ kind: 'unavailable', code: 'sidecar.unavailable' });
  });

  test('is not when the store does not answer', async () => {
    daprd.answer = () => daprError('ERR_STATE_GET', 'x');
    expect(await failure(daprd.sidecar.check())).toMatchObject({
      kind: 'unavailable',
      code: 'state_store.unavailable',
    });
  });
});
