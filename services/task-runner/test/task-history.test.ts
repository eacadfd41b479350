import { randomUUID } from 'node:crypto';
import type { Response } from 'supertest';
import { bearer } from '../../../shared/testing/api';
import { MemoryTaskStore } from '../adapters/memory-task-store';
import { openApi } from './support/build';
import { describeTaskList } from './task-list.contract';

describeTaskList('memory', () => new MemoryTaskStore(), 100);

const user = randomUUID();
const open = () => openApi(bearer('user', user));
type Api = Awaited<ReturnType<typeof open>>;

/** So many tasks, a second apart; the ids of the newest first. */
async function startMany({ world, start }: Api, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let made = 0; made < count; made += 1) {
    const { body } = await start({ userId: user, serviceType: 'demo' }).expect(201);
    ids.unshift((body as { taskId: string }).taskId);
    world.pass(1_000);
  }
  return ids;
}

const idsOf = ({ body }: Response): string[] => (body as { id: string }[]).map(({ id }) => id);
const linkOf = ({ headers }: Response, rel: string): string | undefined =>
  new RegExp(`<([^>]+)>; rel="${rel}"`).exec(headers['link'] ?? '')?.[1];

test('when a task has ended, then the list and the task itself say how long, why, by whom and with which exit code', async () => {
  const api = await open();
  const [taskId] = await startMany(api, 1);
  await api.stop(taskId!).expect(200);
  const told = {
    id: taskId,
    status: 'Stopped',
    duration: expect.stringMatching(/^PT/),
    exitCode: 0,
    reason: 'stopped_by_user',
    actor: user,
  };
  expect((await api.get('/api/tasks')).body).toEqual([expect.objectContaining(told)]);
  expect((await api.get(`/api/tasks/${taskId}`)).body).toMatchObject(told);
});

test('when the pages are read on and back by their links, then they are the same pages, and the ends have no link', async () => {
  const api = await open();
  const ids = await startMany(api, 5);
  const first = await api.get('/api/tasks?limit=2').expect(200);
  const second = await api.get(linkOf(first, 'next')!).expect(200);
  const third = await api.get(linkOf(second, 'next')!).expect(200);
  expect([first, second, third].map(idsOf)).toEqual([ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)]);
  expect([linkOf(first, 'prev'), linkOf(third, 'next')]).toEqual([undefined, undefined]);
  const back = await api.get(linkOf(third, 'prev')!).expect(200);
  expect(back.text).toBe(second.text);
  const front = await api.get(linkOf(back, 'prev')!).expect(200);
  expect(front.text).toBe(first.text);
  expect(linkOf(front, 'prev')).toBeUndefined();
  expect(idsOf(await api.get(linkOf(front, 'next')!))).toEqual(ids.slice(2, 4));
});

test('when tasks were started since, then the way back leads to them too', async () => {
  const api = await open();
  const ids = await startMany(api, 3);
  const second = await api.get(linkOf(await api.get('/api/tasks?limit=2'), 'next')!);
  const newer = await startMany(api, 2);
  const back = await api.get(linkOf(second, 'prev')!);
  expect(idsOf(back)).toEqual(ids.slice(0, 2));
  expect(idsOf(await api.get(linkOf(back, 'prev')!))).toEqual(newer);
});

test('when several states and a time range are asked for, then only what fits comes, and pages keep the filter', async () => {
  const api = await open();
  const ids = await startMany(api, 4);
  await api.stop(ids[3]!).expect(200);
  await api.start({ userId: user, serviceType: 'no-image' }).expect(502);
  expect(idsOf(await api.get('/api/tasks?status=Running'))).toEqual(ids.slice(0, 3));
  expect(await statuses(api, '/api/tasks?status=Stopped&status=Error')).toEqual(['Error', 'Stopped']);
  const { createdAt: to } = (await api.get(`/api/tasks/${ids[0]}`)).body as { createdAt: string };
  const { createdAt: from } = (await api.get(`/api/tasks/${ids[2]}`)).body as { createdAt: string };
  // the same moment in another zone
  const east = new Date(Date.parse(from) + 7_200_000).toISOString().replace('Z', '+02:00');
  const range = `/api/tasks?from=${encodeURIComponent(east)}&to=${to}&status=Running&limit=1`;
  const first = await api.get(range).expect(200);
  expect([...idsOf(first), ...idsOf(await api.get(linkOf(first, 'next')!))]).toEqual([ids[1], ids[2]]);
});

const statuses = async ({ get }: Api, path: string): Promise<string[]> =>
  ((await get(path).expect(200)).body as { status: string }[]).map(({ status }) => status);

test.each([
  ['status=Running&status=Gone', 'query.status.1'],
  ['from=yesterday', 'query.from'],
  ['from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z', 'query.to'],
  ['cursor=bm90IG91cnM', 'query.cursor'],
])('when the query is %s, then 400 that names %s', async (query, field) => {
  const { get } = await open();
  const { body } = await get(`/api/tasks?${query}`).expect(400);
  expect((body as { errors: { field: string }[] }).errors.map((fault) => fault.field)).toEqual([field]);
});
