import { randomUUID } from 'node:crypto';
import { Writable } from 'node:stream';
import request from 'supertest';
import { AppError } from '../../../shared/errors';
import { createLogger } from '../../../shared/logging/logger';
import { bearer } from '../../../shared/testing/api';
import { cloudEvent } from '../../../shared/contracts/events';
import { newEvent } from '../../../shared/dapr/outbox';
import { buildApp, buildProcess, buildWorld, eventually, openApi, POOL_ID } from './support/build';

const user = randomUUID();
const asUser = bearer('user', user);

const open = (units?: number) => openApi(asUser, units);

describe('starting and stopping', () => {
  test('when a user starts a task, then 201 with its address, it runs, holds capacity, and the event is committed', async () => {
    const { world, start, get } = await open();
    const response = await start({ userId: user, serviceType: 'demo' }).expect(201);
    const { taskId, containerPort, iframeUrl } = response.body as Record<string, string>;
    expect(response.headers['location']).toBe(`/api/tasks/${taskId}`);
    expect(iframeUrl).toBe(`http://tasks.example:${containerPort}/?t=a-secret-that-nobody-logs`);
    const { body: task } = await get(`/api/tasks/${taskId}`).expect(200);
    expect(task).toMatchObject({
      status: 'Running',
      userId: user,
      port: containerPort,
      stopTime: null,
      duration: null,
    });
    expect(task).not.toHaveProperty('secret');
    expect([...world.capacity.held.values()]).toEqual([
      expect.objectContaining({ taskId, units: 100, poolId: POOL_ID }),
    ]);
    expect(world.runtime.specOf(taskId!)?.env).toEqual({ TASK_ID: taskId, SECRET: 'a-secret-that-nobody-logs' });
    expect(world.store.events.map(({ type }) => type)).toEqual(['task.started']);
  });

  test('when it is stopped, then success and duration, nothing is left, and both events fit their contracts', async () => {
    const { world, start, stop, get } = await open();
    const { taskId } = (await start({ userId: user, serviceType: 'demo' })).body as { taskId: string };
    const { body } = await stop(taskId).expect(200);
    expect(body).toEqual({ success: true, duration: expect.stringMatching(/^PT/) });
    expect(await world.runtime.inspect(taskId)).toBeUndefined();
    expect(world.capacity.held.size).toBe(0);
    expect((await get(`/api/tasks/${taskId}`)).body).toMatchObject({
      status: 'Stopped',
      reason: 'stopped_by_user',
      actor: user,
      iframeUrl: null,
      duration: (body as { duration: string }).duration,
    });
    expect(world.store.events.map(({ type }) => type)).toEqual(['task.started', 'task.stopped']);
    for (const event of world.store.events) {
      cloudEvent(event.type).parse(newEvent(event.type, { ...event, source: 'task-runner' }));
    }
  });

  test('when it is stopped again, then the same answer and no further event', async () => {
    const { world, start, stop } = await open();
    const { taskId } = (await start({ userId: user, serviceType: 'demo' })).body as { taskId: string };
    const first = await stop(taskId).expect(200);
    const second = await stop(taskId).expect(200);
    expect(second.body).toEqual(first.body);
    expect(world.store.events).toHaveLength(2);
  });

  test('when it is stopped five times at once, then one end, and all get the same answer', async () => {
    const { world, start, stop } = await open();
    const { taskId } = (await start({ userId: user, serviceType: 'demo' })).body as { taskId: string };
    const answers = await Promise.all(Array.from({ length: 5 }, () => stop(taskId)));
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(world.store.events).toHaveLength(2);
  });

  test('when it is stopped while it starts, then the start answers 409 task.cancelled and nothing is left', async () => {
    const { world, service, start, stop } = await open();
    world.ready.answer = false;
    const starting = start({ userId: user, serviceType: 'demo' }).then((response) => response);
    await eventually(() => world.store.all()[0]?.status === 'Starting');
    const { id } = world.store.all()[0]!;
    await stop(id).expect(200, { success: true, duration: 'PT0S' });
    expect((await starting).body).toMatchObject({ status: 409, code: 'task.cancelled' });
    expect(await world.runtime.list()).toEqual([]);
    expect(world.capacity.held.size).toBe(0);
    expect(world.store.events.map(({ type }) => type)).toEqual(['task.failed']);
    expect(service.settler.isUnderWay(id)).toBe(false);
  });

  test('when ten are started at once, then all run on ports of their own', async () => {
    const { start } = await open();
    const answers = await Promise.all(Array.from({ length: 10 }, () => start({ userId: user, serviceType: 'demo' })));
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(201));
    expect(new Set(answers.map(({ body }) => (body as { containerPort: number }).containerPort)).size).toBe(10);
  });

  test('when the same Idempotency-Key comes twice, also at once, then one task; with another body 422', async () => {
    const { world, start } = await open();
    const body = { userId: user, serviceType: 'demo' };
    const answers = await Promise.all([1, 2, 3].map(() => start(body).set('Idempotency-Key', 'k')));
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(world.store.all()).toHaveLength(1);
    const other = await start({ userId: user, serviceType: 'no-image' }).set('Idempotency-Key', 'k').expect(422);
    expect(other.body).toMatchObject({ code: 'request.idempotency_key_reused' });
  });

  test('when If-Match names another version, then 412 and the task runs on', async () => {
    const { world, start, get, stop } = await open();
    const { taskId } = (await start({ userId: user, serviceType: 'demo' })).body as { taskId: string };
    await stop(taskId).set('If-Match', '"another"').expect(412);
    expect(world.store.all()[0]?.status).toBe('Running');
    const { headers } = await get(`/api/tasks/${taskId}`);
    await stop(taskId).set('If-Match', headers['etag']!).expect(200);
  });
});

describe('what cannot start', () => {
  test('when the type is unknown, then 400 that lists the known ones, and nothing is written', async () => {
    const { world, start } = await open();
    const { body } = await start({ userId: user, serviceType: 'nope' }).expect(400);
    expect(body).toMatchObject({
      code: 'task.unknown_service_type',
      known: ['demo', 'brief', 'no-image', 'remote', 'no-program', 'no-pool'],
    });
    expect(world.store.all()).toEqual([]);
  });

  test('when the pool is full, then 409 with what is free, and nothing is written', async () => {
    const { world, start } = await open(150);
    await start({ userId: user, serviceType: 'demo' }).expect(201);
    const { body } = await start({ userId: user, serviceType: 'demo' }).set('Idempotency-Key', 'k').expect(409);
    expect(body).toMatchObject({ code: 'allocation.insufficient_capacity', requested: 100, available: 50 });
    expect(world.store.all()).toHaveLength(1);
    await start({ userId: user, serviceType: 'demo' }).set('Idempotency-Key', 'k').expect(409);
  });

  test.each(['pool.cordoned', 'pool.draining', 'allocation.not_a_step'])(
    'when the pool refuses with %s, then 409 that says so, and nothing is written',
    async (code) => {
      const { world, start } = await open();
      world.capacity.refusal = new AppError('conflict', code, 'Use another pool.', { facts: { pool_id: 'p' } });
      const { body } = await start({ userId: user, serviceType: 'demo' }).expect(409);
      expect([body, world.store.all()]).toMatchObject([{ code, pool_id: 'p' }, []]);
    },
  );

  test('when the pool does not exist, then 503 task.pool_missing with its name, and nothing is written', async () => {
    const { world, start } = await open();
    const response = await start({ userId: user, serviceType: 'no-pool' }).expect(503);
    expect(response.body).toMatchObject({ code: 'task.pool_missing', detail: expect.stringContaining('is-not-there') });
    expect(response.headers['retry-after']).toBe('30');
    expect(world.store.all()).toEqual([]);
  });

  test('when the runtime is away, then 503 with Retry-After and nothing is written', async () => {
    const { world, start } = await open();
    world.runtime.goAway();
    const response = await start({ userId: user, serviceType: 'demo' }).expect(503);
    expect(response.body).toMatchObject({ code: 'runtime.unavailable' });
    expect(response.headers['retry-after']).toBeDefined();
    expect(world.store.all()).toEqual([]);
  });

  test.each([
    ['no-image', 'runtime.image_missing', 'image_missing'],
    ['no-program', 'task.start_failed', 'start_failed'],
  ])(
    'when the type is %s, then 502 %s, an Error task, no container and no capacity held',
    async (serviceType, code, reason) => {
      const { world, start, get } = await open();
      const { body } = await start({ userId: user, serviceType }).expect(502);
      expect(body).toMatchObject({ code });
      const { taskId } = body as { taskId: string };
      expect((await get(`/api/tasks/${taskId}`)).body).toMatchObject({
        status: 'Error',
        reason,
        error: { code },
        startTime: null,
      });
      expect(await world.runtime.list()).toEqual([]);
      expect(world.capacity.held.size).toBe(0);
      expect(world.store.events.map(({ type }) => type)).toEqual(['task.failed']);
    },
  );

  test('when the program never serves, then 502 after its deadline, and nothing is left', async () => {
    const { world, start } = await open();
    world.ready.answer = false;
    const { body } = await start({ userId: user, serviceType: 'demo' }).expect(502);
    expect(body).toMatchObject({ code: 'task.start_failed', detail: expect.stringContaining('within 1 seconds') });
    expect(await world.runtime.list()).toEqual([]);
    expect(world.capacity.held.size).toBe(0);
  });

  test('when the program ends before it serves, then 502 with its exit code', async () => {
    const { world, start } = await open();
    world.ready.answer = false;
    world.runtime.interfere = (when, call, taskId) => {
      if (when === 'before' && call === 'inspect' && taskId) world.runtime.exit(taskId, 7);
    };
    const { body } = await start({ userId: user, serviceType: 'demo' }).expect(502);
    expect(body).toMatchObject({ code: 'task.start_failed', detail: expect.stringContaining('exit code 7') });
  });

  test('when the answer of the allocation service is lost, then 503, and what it may hold is given back, later once more', async () => {
    const { world, service, start } = await open();
    world.capacity.losesAnswers = true;
    await start({ userId: user, serviceType: 'demo' }).expect(503);
    expect(world.capacity.held.size).toBe(0);
    const { allocationId, poolId } = world.store.all()[0]!;
    // the request that was on its way arrives after all
    const late = { allocationId, poolId, units: 100, taskId: 't', userId: user, createdBy: user };
    world.capacity.held.set(allocationId, late);
    world.pass(61_000);
    await service.reconcile();
    expect(world.capacity.held.size).toBe(0);
    expect(await world.store.listOpen()).toEqual([]);
  });

  test.each([
    [{}, ['body.userId', 'body.serviceType']],
    [{ userId: 'me', serviceType: 7 }, ['body.userId', 'body.serviceType']],
    [{ userId: user, serviceType: 'demo', more: 1 }, ['body.more']],
    [{ userId: user, serviceType: 'x'.repeat(10_000) }, ['body.serviceType']],
  ])('when the body is %j, then 400 that names the fields', async (body, fields) => {
    const { world, start } = await open();
    const response = await start(body).expect(400);
    expect((response.body as { errors: { field: string }[] }).errors.map(({ field }) => field)).toEqual(fields);
    expect(world.store.all()).toEqual([]);
  });
});

test('when tasks start, fail and stop, then every step is one log line and none holds the secret', async () => {
  const lines: string[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(...chunk.toString().trim().split('\n'));
      done();
    },
  });
  const world = buildWorld();
  const logger = createLogger({ service: 'task-runner', level: 'debug', stream });
  const app = await buildApp(buildProcess(world, logger), logger);
  const start = (serviceType: string) =>
    request(app).post('/api/tasks').set('Authorization', asUser).send({ userId: user, serviceType });
  const { taskId } = (await start('demo')).body as { taskId: string };
  await start('no-image');
  await request(app).delete(`/api/tasks/${taskId}`).set('Authorization', asUser);
  await eventually(() => lines.length >= 9);
  expect(lines.map((line) => (JSON.parse(line) as { activity: string }).activity).sort()).toEqual(
    [
      'DELETE /api/tasks/{id}',
      'POST /api/tasks',
      // the second start: its request, and the warning that the image is missing
      'POST /api/tasks',
      'POST /api/tasks',
      'task.error',
      'task.pulling',
      'task.running',
      'task.start',
      'task.stopped',
    ].sort(),
  );
  expect(lines.join()).not.toContain('a-secret-that-nobody-logs');
});
