import { randomUUID } from 'node:crypto';
import request, { type Response } from 'supertest';
import { bearer } from '../../../shared/testing/api';
import { buildApp, buildProcess, buildServiceType, buildWorld } from './support/build';
import { buildFence } from './support/build-spec';

const user = randomUUID();
const asUser = bearer('user', user);
const asAdmin = bearer('admin');

/** A world with a type that has a volume, and one task of it that came and went. */
async function open() {
  const world = buildWorld();
  const fence = buildFence({ volumes: [{ name: 'work', path: '/work' }] });
  world.types.set('notebook', buildServiceType({ name: 'notebook', fence }));
  const app = await buildApp(buildProcess(world));
  const send = (method: 'get' | 'post' | 'delete', path: string, as = asUser, body?: object) =>
    request(app)[method](path).set('Authorization', as).send(body);
  const start = async (userId: string, as: string): Promise<string> => {
    const { body } = await send('post', '/api/tasks', as, { userId, serviceType: 'notebook' }).expect(201);
    return (body as { taskId: string }).taskId;
  };
  const names = async (as: string, query = ''): Promise<string[]> => {
    const { body } = await send('get', `/api/volumes${query}`, as).expect(200);
    return (body as { name: string }[]).map(({ name }) => name);
  };
  return { world, send, start, names, own: `${user}_notebook_work` };
}

test('when a task with a volume has ended, then its user finds the volume, and nobody else but an admin', async () => {
  const { send, start, names, own } = await open();
  const taskId = await start(user, asUser);
  expect((await send('get', '/api/volumes')).body).toEqual([
    {
      name: own,
      userId: user,
      serviceType: 'notebook',
      volume: 'work',
      createdAt: expect.stringMatching(/Z$/),
      inUse: true,
    },
  ]);
  await send('delete', `/api/tasks/${taskId}`).expect(200);
  expect((await send('get', '/api/volumes')).body).toMatchObject([{ name: own, inUse: false }]);
  expect(await names(bearer('user'))).toEqual([]);
  expect(await names(asAdmin)).toEqual([own]);
});

test('when a volume is deleted, then 409 while a task has it, 204 after it, 404 again', async () => {
  const { send, start, names, own } = await open();
  const taskId = await start(user, asUser);
  expect((await send('delete', `/api/volumes/${own}`).expect(409)).body).toMatchObject({ code: 'volume.in_use' });
  await send('delete', `/api/tasks/${taskId}`).expect(200);
  await send('delete', `/api/volumes/${own}`).expect(204);
  expect(await names(asUser)).toEqual([]);
  expect((await send('delete', `/api/volumes/${own}`).expect(404)).body).toMatchObject({ code: 'volume.not_found' });
});

test('when somebody deletes the volume of another, then 404 as if it did not exist; an admin may', async () => {
  const { send, start, names, own } = await open();
  const taskId = await start(user, asUser);
  await send('delete', `/api/tasks/${taskId}`).expect(200);
  await send('delete', `/api/volumes/${own}`, bearer('user')).expect(404);
  for (const name of ['x', `${user}_notebook`, `${user}_notebook_work_more`, `${user}_notebook_other`]) {
    await send('delete', `/api/volumes/${name}`).expect(404);
  }
  expect(await names(asUser)).toEqual([own]);
  await send('delete', `/api/volumes/${own}`, asAdmin).expect(204);
  expect(await names(asUser)).toEqual([]);
});

test('when there are more volumes than a page holds, then the pages hold each once', async () => {
  const { start, send } = await open();
  const users = [user, randomUUID(), randomUUID()];
  for (const one of users) await start(one, asAdmin);
  const seen: string[] = [];
  for (let next: string | undefined = '/api/volumes?limit=2'; next !== undefined;) {
    const page: Response = await send('get', next, asAdmin).expect(200);
    seen.push(...(page.body as { userId: string }[]).map(({ userId }) => userId));
    next = /<(.*)>; rel="next"/.exec(page.headers['link'] ?? '')?.[1];
  }
  expect(seen.sort()).toEqual([...users].sort());
});

test('when the runtime is away, then 503 for list and delete', async () => {
  const { world, send, own } = await open();
  world.runtime.goAway();
  expect((await send('get', '/api/volumes').expect(503)).body).toMatchObject({ code: 'runtime.unavailable' });
  await send('delete', `/api/volumes/${own}`).expect(503);
});
