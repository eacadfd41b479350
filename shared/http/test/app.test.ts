import { gzipSync } from 'node:zlib';
import type { Express } from 'express';
import request from 'supertest';
import { z } from 'zod';
import { AppError, unavailable } from '../../errors';
import { createAuthenticator } from '../../authz/authenticator';
import { createAuthorizer } from '../../authz/authorizer';
import { bearer, sidecarHeaders, testApp, TEST_SECRET, APP_API_TOKEN } from '../../testing/api';
import { recordingLogger } from '../../testing/recording-logger';
import { silentLogger } from '../../logging/logger';
import { createApp } from '../app';
import { createMetrics } from '../metrics';
import { route, type Route } from '../route';

const thing = z.strictObject({ name: z.string().min(1).max(20), size: z.int().min(1) });

function routesWith(handle: Route['handle'] = async ({ body }) => ({ status: 201, body })): Route[] {
  return [
    route({
      method: 'post',
      path: '/resource_pools',
      summary: 'Makes one',
      access: { permission: 'resource_pool:create' },
      query: z.object({ dry: z.enum(['yes', 'no']).optional() }),
      body: thing,
      responses: { 201: thing },
      handle,
    }),
    route({
      method: 'get',
      path: '/resource_pools/{pool_id}',
      summary: 'Shows one',
      access: { permission: 'resource_pool:get' },
      params: z.object({ pool_id: z.uuid() }),
      responses: { 200: thing },
      handle,
    }),
    route({
      method: 'delete',
      path: '/open',
      summary: 'Open to anybody',
      access: 'public',
      responses: { 204: null },
      handle: async () => ({ status: 204 }),
    }),
    route({
      method: 'get',
      path: '/internal/for-allocation',
      summary: 'Internal',
      access: { callers: ['allocation'] },
      responses: { 200: thing },
      handle: async () => ({ status: 200, body: {} }),
    }),
    route({
      method: 'get',
      path: '/events/x',
      summary: 'Delivery',
      access: { callers: [] },
      responses: { 200: thing },
      handle: async () => ({ status: 200, body: {} }),
    }),
  ];
}

const good = { name: 'a', size: 1 };
const POOL = '/resource_pools/0b0f9a52-4c0e-4f5e-9a39-5d2a1a6f3c11';

function post(app: Express, body: unknown = good, token = bearer('admin')): request.Test {
  return request(app).post('/resource_pools').set('Authorization', token).send(body as object);
}

describe('the order of a request', () => {
  test('without a token, a bad body is not even looked at: 401', async () => {
    const app = await testApp(routesWith());
    const answer = await request(app).post('/resource_pools').set('Content-Type', 'application/json').send('{"bad');
    expect([answer.status, answer.body.code]).toEqual([401, 'auth.token_missing']);
    expect(answer.headers['www-authenticate']).toBe('Bearer');
  });

  test('without the permission, a bad body is not even looked at: 403 that names the permission', async () => {
    const app = await testApp(routesWith());
    const answer = await post(app, { name: 5 }, bearer('user'));
    expect([answer.status, answer.body.code, answer.body.permission]).toEqual([403, 'auth.forbidden', 'resource_pool:create']);
  });

  test('with it, the handler gets what the schemas parsed, and its answer is sent', async () => {
    const handle = jest.fn<ReturnType<Route['handle']>, Parameters<Route['handle']>>(async ({ caller, url }) => ({
      status: 201,
      headers: { Location: `/resource_pools/${caller.sub}` },
      body: { search: url.search },
    }));
    const app = await testApp(routesWith(handle));
    const sub = '11111111-1111-4111-8111-111111111111';
    const answer = await request(app).post('/resource_pools?dry=yes').set('Authorization', bearer('admin', sub)).send(good);
    expect([answer.status, answer.headers['location'], answer.body]).toEqual([201, `/resource_pools/${sub}`, { search: '?dry=yes' }]);
    const input = handle.mock.calls[0]![0];
    expect([input.body, input.query]).toEqual([good, { dry: 'yes' }]);
    expect(input.caller.may('anything', 'anywhere')).toBe(true);
  });

  test('a route without a permission has no caller: asking for one is a bug, 500', async () => {
    const app = await testApp([
      route({
        method: 'get',
        path: '/open',
        summary: '',
        access: 'public',
        responses: { 200: null },
        handle: async ({ caller }) => ({ status: 200, body: caller.sub }),
      }),
    ]);
    expect((await request(app).get('/open')).status).toBe(500);
    await request(await testApp(routesWith())).delete('/open').expect(204, '');
  });
});

describe('what comes in malformed', () => {
  let app: Express;
  beforeAll(async () => {
    app = await testApp(routesWith());
  });

  test('every bad field of body and query is named at once, unknown ones by their own name', async () => {
    const answer = await request(app)
      .post('/resource_pools?dry=perhaps')
      .set('Authorization', bearer('admin'))
      .send({ name: '', size: 1.5, colour: 'red' });
    expect(answer.status).toBe(400);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(answer.body).toMatchObject({ code: 'request.invalid', status: 400, title: 'Bad Request' });
    expect((answer.body.errors as { field: string }[]).map(({ field }) => field).sort()).toEqual([
      'body.colour',
      'body.name',
      'body.size',
      'query.dry',
    ]);
  });

  test.each([
    ['not JSON', '{"name":', 400, 'request.malformed_json'],
    ['nothing at all', undefined, 400, 'request.invalid'],
    ['null', 'null', 400, 'request.invalid'],
    ['a list', '[1]', 400, 'request.invalid'],
    ['2 MB', JSON.stringify({ name: 'x'.repeat(2_000_000), size: 1 }), 413, 'request.too_large'],
    ['another prototype', '{"name":"a","size":1,"__proto__":{"admin":true}}', 400, 'request.invalid'],
  ])('a body that is %s', async (_name, body, status, code) => {
    const answer = await request(app)
      .post('/resource_pools')
      .set('Authorization', bearer('admin'))
      .set('Content-Type', 'application/json')
      .send(body);
    expect([answer.status, answer.body.code]).toEqual([status, code]);
  });

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx'])('a body of type %s: 415', async (type) => {
    const answer = await request(app).post('/resource_pools').set('Authorization', bearer('admin')).set('Content-Type', type).send('{}');
    expect([answer.status, answer.body.code]).toEqual([415, 'request.unsupported_media_type']);
  });

  test('an unknown charset or encoding: 415', async () => {
    const send = (name: string, value: string) =>
      request(app)
        .post('/resource_pools')
        .set('Authorization', bearer('admin'))
        .set('Content-Type', 'application/json')
        .set(name, value)
        .send('{}');
    expect((await send('Content-Type', 'application/json; charset=koi8-r')).status).toBe(415);
    expect((await send('Content-Encoding', 'zip')).status).toBe(415);
  });

  test('a small gzip of a huge body counts as huge: 413', async () => {
    const answer = await request(app)
      .post('/resource_pools')
      .set('Authorization', bearer('admin'))
      .set('Content-Type', 'application/json')
      .set('Content-Encoding', 'gzip')
      .serialize((sent) => sent as unknown as string)
      .send(gzipSync(JSON.stringify({ name: ' '.repeat(5_000_000) })) as unknown as object);
    expect(answer.status).toBe(413);
  });

  test.each(['application/json; charset=utf-8', 'application/vnd.pool+json'])('%s is JSON', async (type) => {
    const answer = await request(app)
      .post('/resource_pools')
      .set('Authorization', bearer('admin'))
      .set('Content-Type', type)
      .send(JSON.stringify(good));
    expect(answer.status).toBe(201);
  });

  test('an id that is none, and a path that is no URL: 400, never 500', async () => {
    const get = (path: string) => request(app).get(path).set('Authorization', bearer('admin'));
    expect((await get('/resource_pools/7')).body).toMatchObject({ code: 'request.invalid', errors: [{ field: 'params.pool_id' }] });
    expect((await get('/resource_pools/%zz')).body.code).toBe('request.malformed_path');
    expect((await get(`${POOL}%2f..`)).status).toBe(400);
  });

  test('a field given twice in the query is a bad field', async () => {
    const answer = await request(app).post('/resource_pools?dry=yes&dry=no').set('Authorization', bearer('admin')).send(good);
    expect(answer.body).toMatchObject({ code: 'request.invalid', errors: [{ field: 'query.dry' }] });
  });

  test('an unknown path: 404 as a problem document, without a token too', async () => {
    const answer = await request(app).get('/nothing/here');
    expect([answer.status, answer.body.code]).toEqual([404, 'route.not_found']);
    expect(answer.headers['content-type']).toMatch(/problem\+json/);
  });
});

describe('errors', () => {
  test('one that nobody expected tells the caller nothing but the request id, and the log everything', async () => {
    const logger = recordingLogger();
    const app = await testApp(
      routesWith(async () => {
        throw new Error('relation "state" does not exist at 10.0.0.7');
      }),
      logger,
    );
    const answer = await post(app);
    expect(answer.status).toBe(500);
    expect(JSON.stringify(answer.body)).not.toMatch(/relation|10\.0/);
    expect(answer.body).toMatchObject({ code: 'internal', request_id: answer.headers['x-request-id'] });
    expect(String(logger.lines.find(({ level }) => level === 'error')?.error)).toContain('relation "state"');
  });

  test('one of ours has its kind’s status, its code, its facts and Retry-After; a 503 is a warning, not an error', async () => {
    const logger = recordingLogger();
    const app = await testApp(
      routesWith(async () => {
        throw unavailable('state_store.unavailable', 'Try again.', new Error('secret place'), 2.5);
      }),
      logger,
    );
    const answer = await post(app);
    expect([answer.status, answer.headers['retry-after']]).toEqual([503, '3']);
    expect(JSON.stringify(answer.body)).not.toContain('secret place');
    expect(logger.lines.map(({ level }) => level)).toContain('warn');
    expect(logger.lines.map(({ level }) => level)).not.toContain('error');
  });

  test('facts never hide the members that every problem has', async () => {
    const app = await testApp(
      routesWith(async () => {
        throw new AppError('conflict', 'pool.in_use', 'In use.', { facts: { allocated: 3, status: 'odd', code: 'odd' } });
      }),
    );
    expect((await post(app)).body).toMatchObject({ status: 409, code: 'pool.in_use', allocated: 3 });
  });
});

describe('who may call a route that is for sidecars', () => {
  test.each<[string, string, Record<string, string>, number]>([
    ['nobody', '/internal/for-allocation', {}, 401],
    ['a user’s token instead', '/internal/for-allocation', { authorization: bearer('admin') }, 401],
    ['a wrong app token', '/internal/for-allocation', { 'dapr-api-token': 'x'.repeat(APP_API_TOKEN.length) }, 401],
    ['the named app', '/internal/for-allocation', sidecarHeaders('allocation'), 200],
    ['another app', '/internal/for-allocation', sidecarHeaders('task-runner'), 403],
    ['the sidecar without an app', '/internal/for-allocation', sidecarHeaders(), 403],
    ['the sidecar, to deliver', '/events/x', sidecarHeaders(), 200],
    ['an app, by invoking the delivery route', '/events/x', sidecarHeaders('allocation'), 403],
  ])('%s: %s', async (_name, path, headers, status) => {
    await request(await testApp(routesWith())).get(path).set(headers).expect(status);
  });
});

describe('request id and log line', () => {
  test('a usable request id is kept, an unusable one replaced, and the trace continues', async () => {
    const logger = recordingLogger();
    const app = await testApp(routesWith(), logger);
    const traceId = 'a'.repeat(32);
    const answer = await post(app).set('X-Request-Id', 'order-7').set('traceparent', `00-${traceId}-${'b'.repeat(16)}-01`);
    expect(answer.headers['x-request-id']).toBe('order-7');
    expect(logger.lines).toEqual([
      expect.objectContaining({
        level: 'info',
        activity: 'POST /resource_pools',
        resource: '/resource_pools',
        result: 'ok',
        status: 201,
        ms: expect.any(Number),
        request_id: 'order-7',
        trace_id: traceId,
        who: expect.stringMatching(/^[0-9a-f-]{36}$/),
      }),
    ]);
    const replaced = (await post(app).set('X-Request-Id', 'a b<script>')).headers['x-request-id'];
    expect(replaced).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('a refused request leaves a line with its code, and its query never shows', async () => {
    const logger = recordingLogger();
    await request(await testApp(routesWith(), logger)).post('/resource_pools?token=hush').send(good);
    expect(logger.lines).toEqual([expect.objectContaining({ who: 'unknown', result: 'auth.token_missing', status: 401 })]);
    expect(JSON.stringify(logger.lines)).not.toContain('hush');
  });
});

describe('what an operator asks', () => {
  const checked = async (sidecar: () => Promise<void>) =>
    createApp({
      service: 'test',
      routes: routesWith(),
      authenticate: createAuthenticator({ secret: TEST_SECRET, issuer: 'i', audience: 'a' }),
      authorizer: await createAuthorizer({ model: 'shared/authz/model.conf', policy: 'shared/authz/policy.csv' }, silentLogger),
      appApiToken: APP_API_TOKEN,
      checks: { sidecar },
      metrics: createMetrics(),
      logger: silentLogger,
    });

  test('/livez is 200 though a dependency is away; /readyz is 503 with Retry-After and says which, without its insides', async () => {
    const app = await checked(async () => {
      throw new Error('connect ECONNREFUSED 127.0.0.1:3102');
    });
    expect((await request(app).get('/livez')).status).toBe(200);
    const answer = await request(app).get('/readyz');
    expect([answer.status, answer.headers['retry-after']]).toEqual([503, '2']);
    expect(answer.body).toEqual({ status: 'unavailable', checks: { sidecar: 'not available' } });
    expect((await request(await checked(async () => undefined)).get('/readyz')).status).toBe(200);
  });

  test('/metrics counts requests by route template and status', async () => {
    const app = await checked(async () => undefined);
    await request(app).get(POOL);
    const { text } = await request(app).get('/metrics');
    expect(text).toMatch(/http_request_duration_seconds_count\{method="GET",route="\/resource_pools\/\{pool_id\}",status="401"\} 1/);
  });

  test('/docs is a page over /openapi.json with its scripts served from here', async () => {
    const app = await checked(async () => undefined);
    const { text } = await request(app).get('/docs');
    expect(text).toContain('docs/swagger-ui-bundle.js');
    await request(app).get('/docs/swagger-ui-bundle.js').expect(200);
    await request(app).get('/docs/start.js').expect(200, /openapi\.json/);
    await request(app).get('/docs/../package.json').expect(404);
  });
});
