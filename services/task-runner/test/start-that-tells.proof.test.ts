import { randomUUID } from 'node:crypto';
import request from 'supertest';
import { bearer } from '../../../shared/testing/api';
import { fromTaskRow, toTaskRow } from '../adapters/task-row';
import { buildApp, buildProcess, buildTask, eventually, openApi, NO_LIMITS } from './support/build';

const user = randomUUID();
const asUser = bearer('user', user);
const body = { userId: user, serviceType: 'remote' };

/** A system whose service type `remote` has its image in a registry that falls silent half-way until `speak`. */
async function open() {
  const api = await openApi(asUser);
  let speak = (): void => undefined;
  const silence = new Promise<void>((resolve) => (speak = resolve));
  api.world.runtime.registry.set('memory/remote', {
    layers: [400, 400],
    piece: (bytes) => (bytes >= 400 ? silence : undefined),
  });
  const status = (): string | undefined => api.world.store.all()[0]?.status;
  return { ...api, speak, status, untilPulling: () => eventually(() => status() === 'Pulling') };
}

type Api = Awaited<ReturnType<typeof open>>;

function expectNothingLeft({ world, service }: Api): void {
  expect(world.store.all().map(({ capacityState }) => capacityState)).toEqual(['returned']);
  expect([world.capacity.held.size, world.store.events.map(({ type }) => type)]).toEqual([0, ['task.failed']]);
  expect(service.settler.isUnderWay(world.store.all()[0]!.id)).toBe(false);
}

describe('an image that is not there', () => {
  test('when it comes in time, then 201, and the history tells that it was pulled, with capacity held before', async () => {
    const api = await open();
    const starting = api.start(body).then((response) => response);
    await api.untilPulling();
    expect(api.world.capacity.held.size).toBe(1);
    expect(await api.world.runtime.list()).toEqual([]);
    api.speak();
    expect((await starting).status).toBe(201);
    const { history } = api.world.store.all()[0]!;
    expect(history.map(({ status, reason, actor }) => `${status} ${reason} ${actor}`)).toEqual([
      `Pending requested ${user}`,
      'Pulling capacity_taken system',
      'Starting image_pulled system',
      'Running ready system',
    ]);
    // it is there now: the next start skips the step
    await api.start(body).expect(201);
    expect(api.world.store.all()[1]?.history.map(({ status }) => status)).toEqual(['Pending', 'Starting', 'Running']);
  });

  test('when the pull takes longer than a start may, then the deadline of readiness begins after it', async () => {
    const api = await open();
    const starting = api.start(body).then((response) => response);
    await api.untilPulling();
    api.world.pass(3_600_000);
    api.speak();
    expect((await starting).status).toBe(201);
  });

  test('when the registry falls silent for too long, then 502 runtime.pull_failed, and nothing is left', async () => {
    const api = await open();
    api.world.silenceMs = 50;
    const impatient = buildProcess(api.world);
    const response = await request(await buildApp(impatient))
      .post('/api/tasks')
      .set('Authorization', asUser)
      .send(body);
    expect(response.body).toMatchObject({ status: 502, code: 'runtime.pull_failed' });
    expect(api.world.store.all()[0]).toMatchObject({ status: 'Error', outcome: { reason: 'pull_failed' } });
    expectNothingLeft(api);
  });

  test('when the process is killed while it pulls, then the next one goes on', async () => {
    const api = await open();
    const task = buildTask({ serviceType: 'remote', createdAt: api.world.now() });
    await api.world.store.insert(task, NO_LIMITS);
    const dead = buildProcess(api.world);
    const stopAt = dead.settler.settle(task.id).catch(() => undefined);
    await api.untilPulling();
    // nothing that the dead one does counts any more
    const save = api.world.store.save.bind(api.world.store);
    api.world.store.save = () => new Promise(() => undefined);
    api.speak();
    await eventually(() => api.world.runtime.images.has('memory/remote'));
    api.world.store.save = save;
    expect(await buildProcess(api.world).reconcile()).toBe(true);
    expect(api.world.store.all()[0]).toMatchObject({ status: 'Running', capacityState: 'held' });
    expect(api.world.store.events.map(({ type }) => type)).toEqual(['task.started']);
    void stopAt;
  });
});

describe('a start that takes long', () => {
  test('when it is not ready in time, then 202 with Location and status, and it becomes ready all the same', async () => {
    const api = await open();
    api.world.patienceMs = 50;
    const app = await buildApp(buildProcess(api.world));
    const response = await request(app).post('/api/tasks').set('Authorization', asUser).send(body).expect(202);
    const { id } = api.world.store.all()[0]!;
    expect(response.body).toEqual({ taskId: id, status: 'Pulling' });
    expect(response.headers).toMatchObject({ location: `/api/tasks/${id}` });
    expect(response.headers).not.toHaveProperty('preference-applied');
    api.speak();
    await eventually(() => api.status() === 'Running');
  });

  test('when the caller prefers respond-async, then 202 at once that says so; the same key again gets the same task', async () => {
    const api = await open();
    const ask = () => api.start(body).set('Prefer', 'wait=5, Respond-Async').set('Idempotency-Key', 'k');
    const first = await ask().expect(202);
    expect(first.headers['preference-applied']).toBe('respond-async');
    const { taskId } = first.body as { taskId: string };
    expect((await ask().expect(202)).body).toMatchObject({ taskId });
    api.speak();
    await eventually(() => api.status() === 'Running');
    expect((await ask().expect(201)).body).toMatchObject({ taskId, containerPort: expect.any(Number) });
  });

  test('when the pool is full, then 409 also for who prefers respond-async, and there is no task', async () => {
    const { world, start } = await openApi(asUser, 50);
    const { body: problem } = await start(body).set('Prefer', 'respond-async').expect(409);
    expect(problem).toMatchObject({ code: 'allocation.insufficient_capacity' });
    expect(world.store.all()).toEqual([]);
  });

  test('when it fails after 202, then the task says why', async () => {
    const { start, get, world } = await openApi(asUser);
    const { body: accepted } = await start({ ...body, serviceType: 'no-image' })
      .set('Prefer', 'respond-async')
      .expect(202);
    await eventually(() => world.store.all()[0]?.status === 'Error');
    const { body: task } = await get(`/api/tasks/${(accepted as { taskId: string }).taskId}`);
    expect(task).toMatchObject({ status: 'Error', error: { code: 'runtime.image_missing', logTail: [] } });
  });
});

describe('a clock that is set while a program comes up', () => {
  const untilStarting = ({ world }: Api): Promise<void> =>
    eventually(
      () => world.store.all()[0]?.status === 'Starting' && world.runtime.calls.some((call) => /^start/.test(call)),
    );

  test('when it jumps forth, then the start still has its time, also when the container is only being made', async () => {
    const api = await open();
    api.world.ready.answer = false;
    api.world.runtime.interfere = (when, call) => {
      if (when === 'before' && call === 'start') api.world.setClock(3_600_000);
    };
    const starting = api.start({ ...body, serviceType: 'demo' }).then((response) => response);
    await untilStarting(api);
    await new Promise((resolve) => setTimeout(resolve, 100));
    api.world.setClock(7_200_000);
    await new Promise((resolve) => setTimeout(resolve, 100));
    api.world.ready.answer = true;
    expect((await starting).status).toBe(201);
  });

  test('when it jumps back, then the start has no more than its time', async () => {
    const api = await open();
    api.world.ready.answer = false;
    const starting = api.start({ ...body, serviceType: 'demo' }).then((response) => response);
    await untilStarting(api);
    api.world.setClock(-3_600_000);
    expect((await starting).body).toMatchObject({ status: 502, code: 'task.start_failed' });
    expectNothingLeft(api);
  });
});

describe('DELETE meanwhile', () => {
  test('when it comes while the image is pulled, then both answer at once and nothing is left', async () => {
    const api = await open();
    const starting = api.start(body).then((response) => response);
    await api.untilPulling();
    await api.stop(api.world.store.all()[0]!.id).expect(200, { success: true, duration: 'PT0S' });
    expect((await starting).body).toMatchObject({ code: 'task.cancelled' });
    expect(api.world.runtime.images.has('memory/remote')).toBe(false);
    expectNothingLeft(api);
  });

  test('when another start waits for the same image, then that one gets it', async () => {
    const api = await open();
    await api.start(body).set('Prefer', 'respond-async').expect(202);
    const other = api.start(body).then((response) => response);
    await eventually(() => api.world.store.all()[1]?.status === 'Pulling');
    await api.stop(api.world.store.all()[0]!.id).expect(200);
    api.speak();
    expect((await other).status).toBe(201);
    expect(api.world.runtime.calls.filter((call) => call.startsWith('pull'))).toHaveLength(1);
  });

  test('when another replica gets it, then the pull ends soon', async () => {
    const api = await open();
    await api.start(body).set('Prefer', 'respond-async').expect(202);
    const { id } = api.world.store.all()[0]!;
    const other = buildProcess(api.world);
    await other.stopTask({ taskId: id, requester: { sub: user, admin: false }, checkVersion: () => undefined });
    await eventually(() => !api.service.settler.isUnderWay(id), 4_000);
    expectNothingLeft(api);
  });
});

describe('why it failed', () => {
  test('when the program writes and ends before it serves, then its last lines are in the error, without the secret', async () => {
    const { world, start, get } = await openApi(asUser);
    world.ready.answer = false;
    world.runtime.interfere = (when, call, taskId) => {
      if (when !== 'before' || call !== 'inspect' || !taskId) return;
      for (let line = 1; line <= 25; line += 1) world.runtime.print(taskId, `line ${line}`);
      world.runtime.print(taskId, 'open /?token=a-secret-that-nobody-logs', 'stderr');
      world.runtime.exit(taskId, 7);
    };
    const { body: problem } = await start({ ...body, serviceType: 'demo' }).expect(502);
    const logTail = [...Array.from({ length: 19 }, (_, n) => `line ${n + 7}`), 'open /?token=…'];
    expect(problem).toMatchObject({ code: 'task.start_failed', logTail });
    const { taskId } = problem as { taskId: string };
    expect((await get(`/api/tasks/${taskId}`)).body).toMatchObject({ error: { logTail } });
  });

  test('when a running program crashes with much to say, then the error has its last words, bounded', async () => {
    const { world, service, start } = await openApi(asUser);
    const { body: started } = await start({ ...body, serviceType: 'demo' }).expect(201);
    const { taskId } = started as { taskId: string };
    world.runtime.print(taskId, 'x'.repeat(10_000));
    world.runtime.print(taskId, 'panic');
    world.runtime.exit(taskId, 2, { untold: true });
    await service.reconcile();
    const lines = world.store.all()[0]?.outcome?.problem?.logTail ?? [];
    expect([lines.at(-1), lines.join('').length]).toEqual(['panic', 4_096]);
  });

  test('when the runtime does not tell, then the failure is told without', async () => {
    const { world, start } = await openApi(asUser);
    world.ready.answer = false;
    world.runtime.interfere = (_, call) => {
      if (call === 'logs') throw new Error('no logs');
    };
    const { body: problem } = await start({ ...body, serviceType: 'demo' }).expect(502);
    expect(problem).toMatchObject({ code: 'task.start_failed' });
    expect(problem).not.toHaveProperty('logTail');
  });
});

test('when a row was written before failures told their last lines, then it still reads', () => {
  const outcome = { ...{ status: 'Error', reason: 'crashed', actor: 'system', at: '2026-11-23T09:00:00.000Z' } };
  const problem = { kind: 'upstream_failed', code: 'task.crashed', detail: 'It ended.' };
  const row = { ...toTaskRow(buildTask()), outcome: { ...outcome, finishedAt: null, exitCode: 1, problem } };
  expect(fromTaskRow(row).outcome?.problem).toEqual({ ...problem, logTail: [] });
});
