import type { Express } from 'express';
import request from 'supertest';
import { createAuthenticator } from '../../authz/authenticator';
import { createAuthorizer } from '../../authz/authorizer';
import { silentLogger } from '../../logging/logger';
import { APP_API_TOKEN, bearer, sidecarHeaders, testApp, TEST_SECRET } from '../../testing/api';
import { recordingLogger } from '../../testing/recording-logger';
import { createApp } from '../app';
import { createMetrics } from '../../metrics';
import { createRateLimit } from '../rate-limit';
import { good, POOL, routesWith } from './sample-routes';

describe('who may call a route that is for sidecars', () => {
  test.each<[string, string, Record<string, string>, number, string | undefined]>([
    ['nobody', '/internal/for-allocation', {}, 401, 'auth.sidecar_only'],
    [
      'a user’s token instead',
      '/internal/for-allocation',
      { authorization: bearer('admin') },
      401,
      'auth.sidecar_only',
    ],
    [
      'a wrong app token',
      '/internal/for-allocation',
      { 'dapr-api-token': 'x'.repeat(APP_API_TOKEN.length) },
      401,
      'auth.sidecar_only',
    ],
    ['the named app', '/internal/for-allocation', sidecarHeaders('allocation'), 200, undefined],
    ['another app', '/internal/for-allocation', sidecarHeaders('task-runner'), 403, 'auth.caller_not_allowed'],
    ['the sidecar without an app', '/internal/for-allocation', sidecarHeaders(), 403, 'auth.caller_not_allowed'],
    ['the sidecar, to deliver', '/events/x', sidecarHeaders(), 200, undefined],
    [
      'an app, by invoking the delivery route',
      '/events/x',
      sidecarHeaders('allocation'),
      403,
      'auth.caller_not_allowed',
    ],
  ])('%s: %s', async (_name, path, headers, status, code) => {
    const answer = await request(await testApp(routesWith()))
      .get(path)
      .set(headers);
    expect([answer.status, (answer.body as { code?: string }).code]).toEqual([status, code]);
  });
});

describe('request id and log line', () => {
  const create = (app: Express) =>
    request(app).post('/resource_pools').set('Authorization', bearer('admin')).send(good);

  test('a usable request id is kept, an unusable one replaced, and the trace continues', async () => {
    const logger = recordingLogger();
    const app = await testApp(routesWith(), logger);
    const traceId = 'a'.repeat(32);
    const answer = await create(app)
      .set('X-Request-Id', 'order-7')
      .set('traceparent', `00-${traceId}-${'b'.repeat(16)}-01`);
    expect(answer.headers['x-request-id']).toBe('order-7');
    expect(logger.lines).toEqual([
      expect.objectContaining({
        level: 'info',
        activity: 'POST /resource_pools',
        resource: '/resource_pools',
        result: 'ok',
        status: 201,
        created: answer.headers['location'],
        ms: expect.any(Number),
        request_id: 'order-7',
        trace_id: traceId,
        who: expect.stringMatching(/^[0-9a-f-]{36}$/),
      }),
    ]);
    const replaced = (await create(app).set('X-Request-Id', 'a b<script>')).headers['x-request-id'];
    expect(replaced).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('a refused request leaves a line with its code, and its query never shows', async () => {
    const logger = recordingLogger();
    await request(await testApp(routesWith(), logger))
      .post('/resource_pools?token=hush')
      .send(good);
    expect(logger.lines).toEqual([
      expect.objectContaining({ who: 'unknown', result: 'auth.token_missing', status: 401 }),
    ]);
    expect(JSON.stringify(logger.lines)).not.toContain('hush');
  });
});

describe('what an operator asks', () => {
  const checked = async (sidecar: () => Promise<void>) =>
    createApp({
      service: 'test',
      routes: routesWith(),
      authenticate: createAuthenticator({ secret: TEST_SECRET, issuer: 'i', audience: 'a' }),
      authorizer: await createAuthorizer(
        { model: 'shared/authz/model.conf', policy: 'shared/authz/policy.csv' },
        silentLogger,
      ),
      rateLimit: createRateLimit(0),
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
    expect(text).toMatch(
      /http_request_duration_seconds_count\{method="GET",route="\/resource_pools\/\{pool_id\}",status="401"\} 1/,
    );
  });

  test('/docs is a page over /openapi.json with its scripts served from here', async () => {
    const app = await checked(async () => undefined);
    const { text } = await request(app).get('/docs');
    expect(text).toContain('docs/swagger-ui-bundle.js');
    await request(app).get('/docs/swagger-ui-bundle.js').expect(200);
    await request(app)
      .get('/docs/start.js')
      .expect(200, /openapi\.json/);
    await request(app).get('/docs/../package.json').expect(404);
  });
});
