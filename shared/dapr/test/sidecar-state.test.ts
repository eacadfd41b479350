import { ConflictError } from '../sidecar';
import { daprError, failure, useFakeDaprd } from './fake-daprd';

const daprd = useFakeDaprd();

describe('reading state', () => {
  const proof = { key: 'proof-of-reading', data: {}, etag: '1' };

  test('rows by key with their ETags, in whatever order they come; absent keys are absent', async () => {
    daprd.answer = () => ({
      body: [{ key: 'b', data: { n: 2 }, etag: '20' }, proof, { key: 'c' }, { key: 'a', data: { n: 1 }, etag: '10' }],
    });
    const rows = await daprd.sidecar.get(['a', 'b', 'c', 'a']);
    expect(Object.fromEntries(rows)).toEqual({
      a: { value: { n: 1 }, etag: '10' },
      b: { value: { n: 2 }, etag: '20' },
    });
    expect(daprd.calls[0]).toMatchObject({
      path: '/v1.0/state/statestore/bulk',
      body: { keys: ['a', 'b', 'c', 'proof-of-reading'] },
    });
    expect(daprd.calls[0]!.headers['dapr-api-token']).toBe('sidecar-token');
  });

  test('no keys, no call', async () => {
    expect((await daprd.sidecar.get([])).size).toBe(0);
    expect(daprd.calls).toEqual([]);
  });

  test('a row that could not be read is not an absent row: 503', async () => {
    daprd.answer = () => ({ body: [{ key: 'a', error: 'connection refused' }] });
    expect(await failure(daprd.sidecar.get(['a']))).toMatchObject({ kind: 'unavailable' });
  });

  test('a read that broke off looks as if nothing were there: it is read again, not believed', async () => {
    let reads = 0;
    daprd.answer = ({ path }) => {
      if (!path.includes('/bulk')) return { status: 204 };
      reads += 1;
      return { body: reads === 1 ? [{ key: 'a' }, { key: proof.key }] : [{ key: 'a', data: 1, etag: '1' }, proof] };
    };
    expect((await daprd.sidecar.get(['a'])).get('a')).toEqual({ value: 1, etag: '1' });
  });

  test('the store is away, and reads break off: 503, never absent', async () => {
    daprd.answer = ({ path }) =>
      path.includes('/bulk') ? { body: [{ key: 'a' }, { key: proof.key }] } : daprError('ERR_STATE_TRANSACTION', 'x');
    expect(await failure(daprd.sidecar.get(['a']))).toMatchObject({ kind: 'unavailable' });
  });
});

describe('a transaction', () => {
  test('is sorted by key, with plain ETags, and first-write where something is expected', async () => {
    await daprd.sidecar.transact([
      { remove: 'z' },
      { upsert: 'b', value: { n: 1 }, etag: '7' },
      { upsert: 'c', value: 1, ttlSeconds: 60 },
      { upsert: 'a', value: 2, etag: null },
      { remove: 'y', etag: '9' },
    ]);
    expect((daprd.calls[0]!.body as { operations: unknown }).operations).toEqual([
      { operation: 'upsert', request: { key: 'a', value: 2, options: { concurrency: 'first-write' } } },
      {
        operation: 'upsert',
        request: { key: 'b', value: { n: 1 }, etag: '7', options: { concurrency: 'first-write' } },
      },
      { operation: 'upsert', request: { key: 'c', value: 1, metadata: { ttlInSeconds: '60' } } },
      { operation: 'delete', request: { key: 'y', etag: '9', options: { concurrency: 'first-write' } } },
      { operation: 'delete', request: { key: 'z' } },
    ]);
  });

  test.each([
    ['a stale ETag', 'failed to execute transaction: possible etag mismatch. error from state store: x'],
    ['an existing key', 'error in upsert: no item was updated'],
    ['a deadlock', 'ERROR: deadlock detected (SQLSTATE 40P01)'],
    ['a serialisation failure', 'ERROR: could not serialize access (SQLSTATE 40001)'],
  ])('that loses by %s is a conflict', async (_name, text) => {
    daprd.answer = () => daprError('ERR_STATE_TRANSACTION', text);
    expect(await failure(daprd.sidecar.transact([{ upsert: 'a', value: 1, etag: '1' }]))).toBeInstanceOf(ConflictError);
  });

  test('that fails otherwise is a 503 with Retry-After, without the store’s words', async () => {
    daprd.answer = () => daprError('ERR_STATE_TRANSACTION', 'failed to connect to host=10.1.2.3 user=rm');
    const error = await failure(daprd.sidecar.transact([{ upsert: 'a', value: 1 }]));
    expect(error).toMatchObject({
      kind: 'unavailable',
      code: 'state_store.unavailable',
      retryAfter: expect.any(Number),
    });
    expect(error.message).not.toContain('10.1.2.3');
  });

  test('without an answer is a 503 after the time limit', async () => {
    daprd.answer = () => ({ hang: true });
    const started = Date.now();
    expect(await failure(daprd.hasty.transact([{ upsert: 'a', value: 1 }]))).toMatchObject({
      code: 'state_store.unavailable',
    });
    expect(Date.now() - started).toBeLessThan(5_000);
  });
});

describe('a query', () => {
  test('passes parameters apart from the statement, and gives what the one JSON column of each row holds', async () => {
    daprd.answer = () => ({ body: [['[{"id":1}, null]']] });
    expect(await daprd.sidecar.query('SELECT v::text FROM t WHERE a = $1', ["x' OR 1=1"])).toEqual([{ id: 1 }, null]);
    expect(daprd.calls[0]).toMatchObject({
      path: '/v1.0/bindings/database',
      body: {
        operation: 'query',
        metadata: { sql: expect.stringContaining('(SELECT v::text FROM t WHERE a = $1)'), params: `["x' OR 1=1"]` },
      },
    });
  });

  test('without rows is an empty list', async () => {
    daprd.answer = () => ({ body: [['[]']] });
    expect(await daprd.sidecar.query('SELECT 1', [])).toEqual([]);
  });

  test.each([
    ['with an error', daprError('ERR_INVOKE_OUTPUT_BINDING', 'relation does not exist')],
    ['with an error that Dapr hides behind no rows', { body: [] }],
    ['with nothing', { status: 204 }],
  ])('that fails %s is a 503', async (_name, given) => {
    daprd.answer = () => given;
    expect(await failure(daprd.sidecar.query('SELECT 1', []))).toMatchObject({ code: 'database.unavailable' });
  });
});
