import { randomUUID } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import request from 'supertest';
import { bearer } from '../../../shared/testing/api';
import { buildApp, eventually } from './support/build';
import { at, openStay, user, watchFor } from './support/stay-world';

/** Logs, stats, activity and extensions over HTTP. */

const asUser = bearer('user', user);
const asAdmin = bearer('admin');
const SECRET = 'a-secret-that-nobody-logs';

async function open() {
  const opened = await openStay();
  const app = await buildApp(opened.service);
  const call = (method: 'get' | 'post', what: string, as = asUser, id = opened.id) =>
    request(app)[method](`/api/tasks/${id}/${what}`).set('Authorization', as);
  return { ...opened, app, call };
}

const textsOf = (text: string): unknown[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { text: string }).text);

describe('logs', () => {
  test('when they are asked for, then each line is a JSON text with its time and stream, without the task’s secret', async () => {
    const { world, id, call } = await open();
    world.runtime.print(id, `open /?t=${SECRET}`);
    world.runtime.print(id, 'two\tbad', 'stderr');
    const { body, headers } = await call('get', 'logs').responseType('blob').expect(200);
    const text = String(body);
    expect(headers['content-type']).toBe('application/x-ndjson; charset=utf-8');
    expect(
      text
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as object),
    ).toEqual([
      { at: at(0), stream: 'stdout', text: 'open /?t=…' },
      { at: at(0), stream: 'stderr', text: 'two\tbad' },
    ]);
    const last = await call('get', 'logs?tail=1').responseType('blob');
    expect(textsOf(String(last.body))).toEqual(['two\tbad']);
    const none = await call('get', 'logs?tail=0').responseType('blob');
    expect(String(none.body)).toBe('');
  });

  test('when they are followed, then lines come as they are written, until the program ends or the reader hangs up', async () => {
    const { world, id, app } = await open();
    const server = http.createServer(app).listen(0, '127.0.0.1');
    try {
      await eventually(() => server.listening);
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/tasks/${id}/logs?follow=true`;
      const reader = (): { text: string; ended: boolean; hangUp: () => void } => {
        const caller = new AbortController();
        const state = { text: '', ended: false, hangUp: () => caller.abort() };
        const read = async (): Promise<void> => {
          const { body } = await fetch(url, { headers: { Authorization: asUser }, signal: caller.signal });
          for await (const chunk of body ?? []) state.text += Buffer.from(chunk as Uint8Array).toString();
          state.ended = true;
        };
        read().catch(() => undefined); // hung up
        return state;
      };
      world.runtime.print(id, 'before');
      const [staying, leaving] = [reader(), reader()];
      await eventually(() => [staying, leaving].every(({ text }) => text.includes('before')));
      leaving.hangUp();
      world.runtime.print(id, `now ${SECRET}`);
      await eventually(() => staying.text.includes('now'));
      world.runtime.exit(id, 0);
      await eventually(() => staying.ended);
      expect([textsOf(staying.text), textsOf(leaving.text)]).toEqual([['before', 'now …'], ['before']]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  test.each(['logs?tail=-1', 'logs?tail=many', 'logs?tail=100001', 'logs?follow=maybe', 'logs?since=now'])(
    'when %s is asked for, then 400 names the field',
    async (what) => {
      const { call } = await open();
      const { body } = await call('get', what).expect(400);
      expect(body).toMatchObject({ code: 'request.invalid', errors: [{ field: expect.stringContaining('query') }] });
    },
  );
});

describe('stats', () => {
  test('when a task is watched, then what it uses now and used before is shown, with cores on average', async () => {
    const { world, service, id, call } = await open();
    await watchFor(0.5, world, service);
    world.runtime.used.set(id, { cpuNanos: 15e9, memoryBytes: 5_000_000, networkTxBytes: 300 });
    await watchFor(0.5, world, service);
    world.pass(10_000);
    world.runtime.used.set(id, { cpuNanos: 16e9, networkTxBytes: 300 });
    const { body } = await call('get', 'stats').expect(200);
    expect(body).toMatchObject({
      now: { at: world.now(), cpuCores: 0.1, memoryLimitBytes: 67_108_864, pids: 1 },
      series: [
        { at: at(0.5), cpuCores: null, networkTxBytes: 0 },
        { at: at(1), cpuCores: expect.closeTo(0.5, 3), memoryBytes: 5_000_000, networkTxBytes: 300 },
      ],
    });
    await call('get', 'stats').expect(200);
    expect((body as { series: unknown[] }).series).toHaveLength(2);
    await watchFor(11.5, world, service);
    await eventually(async () => (await service.getTask(id, { sub: user, admin: false })).task.status === 'Stopped');
    const refused = await call('get', 'stats').expect(409);
    expect(refused.body).toMatchObject({ code: 'task.no_container', status: 409 });
    expect((await call('get', 'logs').expect(409)).body).toMatchObject({ code: 'task.no_container' });
  });

  test('when Docker is away, then 503', async () => {
    const { world, call } = await open();
    world.runtime.goAway();
    for (const what of ['stats', 'logs']) {
      expect((await call('get', what).expect(503)).body).toMatchObject({ code: 'runtime.unavailable' });
    }
  });
});

describe('activity and extensions', () => {
  test('when a proxy tells of activity, then 204, and the task expires later', async () => {
    const { world, app, id, call } = await open();
    world.pass(300_000);
    await call('post', 'activity').expect(204);
    const { body } = await request(app).get(`/api/tasks/${id}`).set('Authorization', asUser);
    expect(body).toMatchObject({ expiresAt: at(16), idleSince: null });
  });

  test('when it is extended, then the task is answered; once for one Idempotency-Key; and beyond the limit 409 with the numbers', async () => {
    const { call } = await open();
    const first = await call('post', 'extend').set('Idempotency-Key', 'k').send({ minutes: 20 }).expect(200);
    expect(first.body).toMatchObject({ expiresAt: at(30), status: 'Running' });
    const again = await call('post', 'extend').set('Idempotency-Key', 'k').send({ minutes: 20 }).expect(200);
    expect([again.body, again.headers['etag']]).toEqual([first.body, first.headers['etag']]);
    await call('post', 'extend').set('Idempotency-Key', 'k').send({ minutes: 5 }).expect(422);
    const refused = await call('post', 'extend').send({ minutes: 15 }).expect(409);
    expect(refused.body).toMatchObject({
      code: 'task.extension_refused',
      ...{ minutes: 15, leftMinutes: 10, maxExtension: 1800, extended: 1200 },
    });
  });

  test.each([{}, { minutes: 0 }, { minutes: 1.5 }, { minutes: '5' }, { minutes: 5, until: 'later' }])(
    'when the body is %j, then 400 and nothing changes',
    async (body) => {
      const { world, id, call } = await open();
      const before = await world.store.get(id);
      expect((await call('post', 'extend').send(body).expect(400)).body).toMatchObject({ code: 'request.invalid' });
      expect(await world.store.get(id)).toEqual(before);
    },
  );
});

test('when somebody else asks, then 404 as if there were no such task; an administrator may', async () => {
  const { call } = await open();
  for (const [method, what] of [
    ['get', 'logs'],
    ['get', 'stats'],
    ['post', 'activity'],
    ['post', 'extend'],
  ] as const) {
    const stranger = await call(method, what, bearer('user')).send(what === 'extend' ? { minutes: 1 } : undefined);
    const nowhere = await call(method, what, asUser, randomUUID()).send(what === 'extend' ? { minutes: 1 } : undefined);
    expect([what, stranger.status, nowhere.status]).toEqual([what, 404, 404]);
    expect([what, (stranger.body as { code: string }).code]).toEqual([what, 'task.not_found']);
    const admin = await call(method, what, asAdmin).send(what === 'extend' ? { minutes: 1 } : undefined);
    expect([what, admin.ok]).toEqual([what, true]);
  }
});
