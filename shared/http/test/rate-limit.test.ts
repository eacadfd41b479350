import { randomUUID } from 'node:crypto';
import request from 'supertest';
import { bearer, sidecarHeaders, testApp } from '../../testing/api';
import { silentLogger } from '../../logging/logger';
import { createRateLimit } from '../rate-limit';
import { POOL, routesWith } from './sample-routes';

const user = { sub: randomUUID(), roles: ['user'] };

/** How many requests in a row a limit lets through. */
function passed(
  limit: ReturnType<typeof createRateLimit>,
  caller: { sub: string; roles: string[] },
  tries: number,
): number {
  let count = 0;
  for (let i = 0; i < tries; i += 1) {
    try {
      limit(caller);
      count += 1;
    } catch {
      // refused
    }
  }
  return count;
}

test('a caller may ask for two seconds’ worth at once, and then for so many a second', () => {
  let ms = 0;
  const limit = createRateLimit(10, () => ms);
  expect(passed(limit, user, 100)).toBe(20);
  ms += 500;
  expect(passed(limit, user, 100)).toBe(5);
  ms += 3_600_000;
  expect(passed(limit, user, 100)).toBe(20);
});

test('another caller has a bucket of its own; a service and, with 0, everybody has no limit', () => {
  const limit = createRateLimit(1, () => 0);
  expect(passed(limit, user, 5)).toBe(2);
  expect(passed(limit, { ...user, sub: randomUUID() }, 5)).toBe(2);
  expect(passed(limit, { ...user, roles: ['service'] }, 500)).toBe(500);
  expect(passed(createRateLimit(0), user, 500)).toBe(500);
});

test('twenty thousand callers are not all remembered, and each is served', () => {
  const limit = createRateLimit(1, () => 0);
  for (let i = 0; i < 20_000; i += 1) limit({ sub: String(i), roles: [] });
  expect(passed(limit, { sub: '19999', roles: [] }, 5)).toBe(1);
});

test('a look at the limit costs next to nothing: a hundred thousand in less than half a second of a core', () => {
  const limit = createRateLimit(1_000_000);
  // not of the clock, which goes on while others have the core
  const before = process.cpuUsage();
  passed(limit, user, 100_000);
  const { user: microseconds } = process.cpuUsage(before);
  expect(microseconds / 1_000).toBeLessThan(500);
});

test('over the limit: 429 with a code and Retry-After, before permissions are looked at; sidecars go on', async () => {
  const app = await testApp(
    routesWith(),
    silentLogger,
    createRateLimit(1, () => 0),
  );
  const token = bearer('user', user.sub);
  const ask = () => request(app).get(POOL).set('Authorization', token);
  await ask();
  await ask();
  const answer = await ask();
  expect([answer.status, answer.body.code, answer.headers['retry-after']]).toEqual([429, 'request.rate_limited', '1']);
  expect((await request(app).get('/internal/for-allocation').set(sidecarHeaders('allocation'))).status).toBe(200);
  expect((await request(app).get('/livez')).status).toBe(200);
});
