import { gzipSync } from 'node:zlib';
import type { Express } from 'express';
import request from 'supertest';
import { AppError, unavailable } from '../../errors';
import { bearer, testApp } from '../../testing/api';
import { recordingLogger } from '../../testing/recording-logger';
import { route, type Route } from '../route';
import { good, POOL, routesWith } from './sample-routes';

function post(app: Express, body: unknown = good, token = bearer('admin')): request.Test {
  return request(app)
    .post('/resource_pools')
    .set('Authorization', token)
    .send(body as object);
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
    expect([answer.status, answer.body.code, answer.body.permission]).toEqual([
      403,
      'auth.forbidden',
      'resource_pool:create',
    ]);
  });

  test('with it, the handler gets what the schemas parsed, and its answer is sent', async () => {
    const handle = jest.fn<ReturnType<Route['handle']>, Parameters<Route['handle']>>(async ({ caller, url }) => ({
      status: 201,
      headers: { Location: `/resource_pools/${caller.sub}` },
      body: { search: url.search },
    }));
    const app = await testApp(routesWith(handle));
    const sub = '11111111-1111-4111-8111-111111111111';
    const answer = await request(app)
      .post('/resource_pools?dry=yes')
      .set('Authorization', bearer('admin', sub))
      .send(good);
    expect([answer.status, answer.headers['location'], answer.body]).toEqual([
      201,
      `/resource_pools/${sub}`,
      { search: '?dry=yes' },
    ]);
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
    await request(await testApp(routesWith()))
      .delete('/open')
      .expect(204, '');
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

  test.each(['text/plain', 'application/x-www-form-urlencoded', 'application/jsonx'])(
    'a body of type %s: 415',
    async (type) => {
      const answer = await request(app)
        .post('/resource_pools')
        .set('Authorization', bearer('admin'))
        .set('Content-Type', type)
        .send('{}');
      expect([answer.status, answer.body.code]).toEqual([415, 'request.unsupported_media_type']);
    },
  );

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
      .send(gzipSync(JSON.stringify({ name: ' '.repeat(5_000_000) })));
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
    expect((await get('/resource_pools/7')).body).toMatchObject({
      code: 'request.invalid',
      errors: [{ field: 'params.pool_id' }],
    });
    expect((await get('/resource_pools/%zz')).body.code).toBe('request.malformed_path');
    expect((await get(`${POOL}%2f..`)).status).toBe(400);
  });

  test('a field given twice in the query is a bad field', async () => {
    const answer = await request(app)
      .post('/resource_pools?dry=yes&dry=no')
      .set('Authorization', bearer('admin'))
      .send(good);
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
        throw new AppError('conflict', 'pool.in_use', 'In use.', {
          facts: { allocated: 3, status: 'odd', code: 'odd' },
        });
      }),
    );
    expect((await post(app)).body).toMatchObject({ status: 409, code: 'pool.in_use', allocated: 3 });
  });
});
