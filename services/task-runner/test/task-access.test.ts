import { randomUUID } from 'node:crypto';
import type { Response } from 'supertest';
import { bearer } from '../../../shared/testing/api';
import { openApi } from './support/build';

const user = randomUUID();
const asAdmin = bearer('admin');
const open = () => openApi(bearer('user', user));

describe('whose tasks', () => {
  test('when a user starts for another one, then 403; an admin may', async () => {
    const { world, start } = await open();
    const other = randomUUID();
    const { body } = await start({ userId: other, serviceType: 'demo' }).expect(403);
    expect(body).toMatchObject({ code: 'task.not_for_others' });
    await start({ userId: other, serviceType: 'demo' }, asAdmin).expect(201);
    expect(world.store.all().map(({ userId }) => userId)).toEqual([other]);
  });

  test('when a user reads or stops the task of another, then 404 as if it did not exist; an admin may', async () => {
    const { start, get, stop } = await open();
    const { taskId } = (await start({ userId: user, serviceType: 'demo' })).body as { taskId: string };
    const stranger = bearer('user');
    expect((await get(`/api/tasks/${taskId}`, stranger).expect(404)).body).toMatchObject({ code: 'task.not_found' });
    await stop(taskId, stranger).expect(404);
    await get(`/api/tasks/${taskId}`, asAdmin).expect(200);
    await stop(taskId, asAdmin).expect(200);
    expect((await get(`/api/tasks/${taskId}`)).body).toMatchObject({ reason: 'stopped_by_admin' });
  });

  test('when a user lists, then only own tasks, newest first; asking for those of others is 403', async () => {
    const { start, get } = await open();
    const other = randomUUID();
    await start({ userId: user, serviceType: 'demo' });
    await start({ userId: other, serviceType: 'demo' }, bearer('user', other));
    const own = await get('/api/tasks').expect(200);
    expect((own.body as { userId: string }[]).map(({ userId }) => userId)).toEqual([user]);
    await get(`/api/tasks?userId=${other}`).expect(403);
    expect((await get('/api/tasks', asAdmin)).body).toHaveLength(2);
    expect((await get(`/api/tasks?userId=${other}&status=Running&serviceType=demo`, asAdmin)).body).toHaveLength(1);
    expect((await get('/api/tasks?status=Stopped', asAdmin)).body).toEqual([]);
    await get('/api/tasks?status=Gone').expect(400);
  });

  test('when there are more than fit a page, then the Link header leads through all of them, each once', async () => {
    const { world, start, get } = await open();
    for (let i = 0; i < 5; i += 1) {
      await start({ userId: user, serviceType: 'demo' });
      world.pass(1);
    }
    const seen: string[] = [];
    let next: string | undefined = '/api/tasks?limit=2';
    while (next) {
      const page: Response = await get(next).expect(200);
      seen.push(...(page.body as { id: string }[]).map(({ id }) => id));
      next = /<([^>]+)>; rel="next"/.exec(page.headers['link'] ?? '')?.[1];
    }
    expect(seen).toEqual(
      world.store
        .all()
        .map(({ id }) => id)
        .reverse(),
    );
  });

  test('when a user asks what can be started, then the service types come without their environment', async () => {
    const { get } = await open();
    const { body } = await get('/api/service-types').expect(200);
    expect((body as unknown[])[0]).toEqual({
      name: 'demo',
      description: 'a page',
      image: 'memory/web',
      resources: {
        cpuMillis: 100,
        memoryBytes: 67_108_864,
        pids: 32,
        openFiles: 256,
        diskBytes: 67_108_864,
        logBytes: 1_048_576,
        gpus: 0,
      },
      readOnly: false,
      volumes: [],
      network: 'none',
      limits: { tasks: 1_000_000, tasksPerUser: 1_000_000 },
      capacity: { pool: 'local-cpu', units: 100 },
      idleTimeout: null,
      maxAge: null,
      warnBefore: 0,
      maxExtension: 0,
    });
  });
});
