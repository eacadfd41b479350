import { randomUUID } from 'node:crypto';
import { sql } from './support/database';
import { call, system, tokenFor, type Answer } from './support/system';

/** Issue 3, H22: whatever comes in, the answer is a 4xx problem that names each field, and nothing is written. */

jest.setTimeout(120_000);

const admin = tokenFor(randomUUID(), 'admin');
const some = '0b0f9a52-4c0e-4f5e-9a39-5d2a1a6f3c11';
const pool = { name: `bad-input-${randomUUID()}`, resource_type: 'CPU', total_capacity: 10, location: 'here' };
let poolId: string;

beforeAll(async () => {
  const answer = await call('POST', 'resource-pool/resource_pools', { token: admin, body: pool });
  expect(answer.status).toBe(201);
  poolId = (answer.body as { id: string }).id;
});
afterAll(async () => {
  expect((await call('DELETE', `resource-pool/resource_pools/${poolId}`, { token: admin })).status).toBe(204);
});

interface Problem {
  code: string;
  status: number;
  detail: string;
  request_id: string;
  errors?: { field: string; message: string }[];
}

function problemOf(answer: Answer): Problem {
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  const body = answer.body as Problem;
  expect(body).toMatchObject({ status: answer.status, request_id: answer.headers.get('x-request-id') });
  expect(answer.status).toBeGreaterThanOrEqual(400);
  expect(answer.status).toBeLessThan(500);
  return body;
}
/** The fields that a problem names; one may have several faults. */
const fieldsOf = (answer: Answer): string[] =>
  [...new Set((problemOf(answer).errors ?? []).map(({ field }) => field))].sort();

/** The endpoints that take a body, with a good one. */
const TAKERS: Record<string, { method: string; to: () => string; good: Record<string, unknown> }> = {
  'POST /resource_pools': { method: 'POST', to: () => 'resource-pool/resource_pools', good: pool },
  'PUT /resource_pools/{pool_id}': { method: 'PUT', to: () => `resource-pool/resource_pools/${poolId}`, good: pool },
  'POST /resource_pools/{pool_id}/allocations': {
    method: 'POST',
    to: () => `allocation/resource_pools/${poolId}/allocations`,
    good: { service_id: some, capacity: 1 },
  },
  'POST /api/tasks': { method: 'POST', to: () => 'task-runner/api/tasks', good: { userId: some, serviceType: 'demo' } },
};

/** Values that a field may not hold, by what it is for. */
const BAD_CAPACITY = [0, -1, 1.5, 2 ** 53, 1e308, '5', null, true, [], {}];
const BAD_NAME = ['', ' ', 'a\u0000b', 'a\nb', '\u001b[31m', '\ud800', 'x'.repeat(10_000), 5, null, ['a']];
const BAD_ID = ['', '7', 'admin', `${some}0`, `${some}' OR '1'='1`, '../../etc/passwd', 5, null, {}];
const BAD: Record<string, unknown[]> = {
  name: BAD_NAME,
  resource_type: BAD_NAME,
  location: BAD_NAME,
  total_capacity: BAD_CAPACITY,
  capacity: BAD_CAPACITY,
  service_id: BAD_ID,
  userId: BAD_ID,
  serviceType: ['', 'x'.repeat(10_000), 'de\u0000mo', '../demo', 5, null],
};

async function everything(): Promise<string> {
  // tasks and the relay's events of other tests come and go: what these requests could write is of their own kind
  const [row] = await sql<{ seen: string }>(
    `SELECT md5(string_agg(key || etag::text, ',' ORDER BY key)) AS seen FROM state
      WHERE key LIKE 'resource-pool||%' OR key LIKE 'allocation||%' OR key LIKE 'task-runner||%'`,
  );
  return String(row?.seen);
}

/** As `everything`, once it has been the same for a second: what other tests have set off goes on behind them. */
async function settled(): Promise<string> {
  let seen = await everything();
  for (let since = Date.now(); Date.now() - since < 1_000;) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const now = await everything();
    if (now !== seen) [seen, since] = [now, Date.now()];
  }
  return seen;
}

describe.each(Object.entries(TAKERS))('%s', (_name, { method, to, good }) => {
  const send = (body: unknown) => call(method, to(), { token: admin, body });
  const sendText = async (text: string, type = 'application/json'): Promise<Answer> => {
    const [appId = '', ...path] = to().split('/');
    const response = await fetch(`${system().services[appId]!.url}/${path.join('/')}`, {
      method,
      headers: { authorization: `Bearer ${admin}`, 'content-type': type },
      body: text,
    });
    return { status: response.status, headers: response.headers, body: await response.json() };
  };

  test('each field with what it may not hold: 400 that names exactly that field, and nothing is written', async () => {
    const before = await settled();
    for (const field of Object.keys(good)) {
      for (const value of BAD[field]!) {
        const answer = await send({ ...good, [field]: value });
        const shown = JSON.stringify(value)?.slice(0, 40);
        expect([field, shown, answer.status]).toEqual([field, shown, 400]);
        const problem = problemOf(answer);
        if (problem.code === 'request.invalid') expect(fieldsOf(answer)).toEqual([`body.${field}`]);
        else expect(problem.code).toBe('task.unknown_service_type');
      }
    }
    expect(await everything()).toBe(before);
  });

  test('all fields bad at once, missing, and unknown ones: each is named', async () => {
    const names = Object.keys(good).map((field) => `body.${field}`);
    expect(fieldsOf(await send(Object.fromEntries(Object.keys(good).map((field) => [field, null]))))).toEqual(
      [...names].sort(),
    );
    expect(fieldsOf(await send({}))).toEqual([...names].sort());
    expect(fieldsOf(await send({ ...good, surprise: 1, id: some }))).toEqual(['body.id', 'body.surprise']);
  });

  test('what is no JSON object, or none that may come in', async () => {
    const cases: [string, number, string][] = [
      ['{"name":', 400, 'request.malformed_json'],
      ['{"a":1}}', 400, 'request.malformed_json'],
      ["{'a':1}", 400, 'request.malformed_json'],
      ['\u0000', 400, 'request.malformed_json'],
      ['', 400, 'request.invalid'],
      ['null', 400, 'request.invalid'],
      ['[]', 400, 'request.invalid'],
      ['"text"', 400, 'request.invalid'],
      [`{"__proto__":{"x":1}}`, 400, 'request.invalid'],
      ['['.repeat(30_000), 400, 'request.malformed_json'],
      [JSON.stringify({ ...good, name: 'x'.repeat(2_000_000) }), 413, 'request.too_large'],
    ];
    const before = await everything();
    for (const [text, status, code] of cases) {
      const answer = await sendText(text);
      expect([text.slice(0, 20), answer.status, problemOf(answer).code]).toEqual([text.slice(0, 20), status, code]);
    }
    for (const type of ['text/plain', 'application/xml', 'multipart/form-data; boundary=x']) {
      expect(problemOf(await sendText(JSON.stringify(good), type)).code).toBe('request.unsupported_media_type');
    }
    expect(await everything()).toBe(before);
  });
});

describe('paths and queries', () => {
  const WITH_ID = [
    ['GET', 'resource-pool/resource_pools/ID', 'params.pool_id'],
    ['DELETE', 'resource-pool/resource_pools/ID', 'params.pool_id'],
    ['GET', 'allocation/resource_pools/ID/allocations', 'params.pool_id'],
    ['GET', `allocation/resource_pools/${some}/allocations/ID`, 'params.allocation_id'],
    ['DELETE', `allocation/resource_pools/${some}/allocations/ID`, 'params.allocation_id'],
    ['GET', 'task-runner/api/tasks/ID', 'params.id'],
    ['DELETE', 'task-runner/api/tasks/ID', 'params.id'],
    ['GET', 'blockchain-forwarder/api/usage/ID', 'params.id'],
    ['GET', 'blockchain-forwarder/api/usage/ID/verify', 'params.id'],
    ['GET', 'blockchain-forwarder/api/usage/ID/receipt', 'params.id'],
    ['POST', 'blockchain-forwarder/api/usage/dead-letters/ID/replay', 'params.id'],
  ] as const;

  test.each(WITH_ID)('%s %s: an id that is none is named', async (method, to, field) => {
    for (const id of ['7', 'x'.repeat(2_000), '%00', "1'%20OR%20'1", `${some}%20`]) {
      expect(fieldsOf(await call(method, to.replace('ID', id), { token: admin }))).toEqual([field]);
    }
    expect(problemOf(await call(method, to.replace('ID', '%zz'), { token: admin })).code).toBe(
      'request.malformed_path',
    );
  });

  test.each(WITH_ID)('%s %s: an id that nobody has is 404', async (method, to) => {
    const answer = await call(method, to.replace('ID', randomUUID()), { token: admin });
    expect(answer.status).toBe(404);
    problemOf(answer);
  });

  test.each([
    'resource-pool/resource_pools',
    'allocation/resource_pools/POOL/allocations',
    'task-runner/api/tasks',
    'blockchain-forwarder/api/usage',
    'blockchain-forwarder/api/usage/dead-letters',
  ])('%s: bad paging and unknown filters are named', async (to) => {
    const list = (query: string) => call('GET', `${to.replace('POOL', poolId)}?${query}`, { token: admin });
    for (const limit of ['0', '-1', '1001', '1.5', 'many', ''])
      expect(fieldsOf(await list(`limit=${limit}`))).toEqual(['query.limit']);
    for (const cursor of ['x', 'W10', Buffer.from('["2026","x"]').toString('base64url'), 'y'.repeat(600)]) {
      expect(fieldsOf(await list(`cursor=${cursor}`))).toEqual(['query.cursor']);
    }
    expect(fieldsOf(await list('surprise=1'))).toEqual(['query.surprise']);
    expect(fieldsOf(await list('limit=1&limit=2'))).toEqual(['query.limit']);
  });

  test('a filter that holds SQL is only a text', async () => {
    const answer = await call(
      'GET',
      `resource-pool/resource_pools?name=${encodeURIComponent("x' OR '1'='1'; DROP TABLE state; --")}`,
      { token: admin },
    );
    expect([answer.status, answer.body]).toEqual([200, []]);
    expect((await call('GET', `resource-pool/resource_pools?name=${pool.name}`, { token: admin })).body).toHaveLength(
      1,
    );
  });

  test.each([
    ['If-Match', 'PUT', 'x', 412],
    ['If-Match', 'PUT', '"a", W/"b"', 412],
    ['Idempotency-Key', 'POST', '', 400],
    ['Idempotency-Key', 'POST', 'x'.repeat(300), 400],
  ])('%s on %s of %p: %i', async (header, method, value, status) => {
    const to = method === 'PUT' ? `resource-pool/resource_pools/${poolId}` : 'resource-pool/resource_pools';
    const answer = await call(method, to, { token: admin, body: pool, headers: { [header]: value } });
    expect(answer.status).toBe(status);
    problemOf(answer);
  });

  test('a path, a method and a header that nobody serves are problems too', async () => {
    for (const service of Object.keys(system().services)) {
      expect(problemOf(await call('GET', `${service}/nothing`, { token: admin })).code).toBe('route.not_found');
      expect(problemOf(await call('PATCH', `${service}/resource_pools`, { token: admin })).code).toBe(
        'route.not_found',
      );
    }
  });
});
