import { randomUUID } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { unavailable } from '../../../shared/errors';
import { bearer } from '../../../shared/testing/api';
import { capacityLost } from '../domain/task';
import { buildApp, buildProcess, buildWorld, eventually } from './support/build';
import { takenByOthers } from './support/lease-world';

/** Server-Sent Events of a task, as a client over HTTP reads them. */

const user = randomUUID();
const asUser = bearer('user', user);
const requester = { sub: user, admin: false };

interface Heard {
  event: string;
  id: string | undefined;
  data: Record<string, unknown>;
}

let closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing) close();
  closing = [];
});

async function open() {
  const world = buildWorld();
  let speak = (): void => undefined;
  const silence = new Promise<void>((resolve) => (speak = resolve));
  world.runtime.registry.set('memory/remote', {
    layers: [400],
    piece: (bytes) => (bytes >= 200 ? silence : undefined),
  });
  const service = buildProcess(world);
  const start = (serviceType = 'demo') =>
    service.startTask({ userId: user, serviceType, requester, idempotency: undefined, background: true });
  const stop = (taskId: string, by = service) => by.stopTask({ taskId, requester, checkVersion: () => undefined });
  return { world, service, speak, start, stop, url: await serve(service) };
}

async function serve(service: ReturnType<typeof buildProcess>): Promise<string> {
  const server = http.createServer(await buildApp(service)).listen(0, '127.0.0.1');
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  await eventually(() => server.listening);
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Follows a task; `heard` grows as events come, `raw` as bytes do. */
function follow(url: string, taskId: string, headers: Record<string, string> = {}, as = asUser) {
  const caller = new AbortController();
  closing.push(() => caller.abort());
  const state = { raw: '', ended: false };
  const heard = (): Heard[] =>
    state.raw
      .split('\n\n')
      .filter((block) => block.includes('data: '))
      .map((block) => {
        const field = (name: string): string | undefined => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
        return { event: field('event') ?? '', id: field('id'), data: JSON.parse(field('data') ?? '') as Heard['data'] };
      });
  const answer = fetch(`${url}/api/tasks/${taskId}/events`, {
    headers: { Authorization: as, ...headers },
    signal: caller.signal,
  });
  const read = answer.then(async ({ body }) => {
    for await (const chunk of body ?? []) state.raw += Buffer.from(chunk as Uint8Array).toString();
    state.ended = true;
  });
  read.catch(() => undefined); // cut off, by the test or by the service
  return { state, heard, answer, hangUp: () => caller.abort() };
}

const steps = (heard: Heard[]): string[] =>
  heard.filter(({ event }) => event === 'step').map(({ id, data }) => `${id} ${String(data['status'])}`);

test('when a task is followed, then every step comes with its number, the pull with bytes and per cent, then the end, and it closes', async () => {
  const { url, speak, start, stop } = await open();
  const { id } = await start('remote');
  const { state, heard, answer } = follow(url, id);
  expect((await answer).headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  // half of it comes, in pieces, before the registry falls silent
  const progress = () => heard().filter(({ event }) => event === 'progress');
  await eventually(() => progress().at(-1)?.data['percent'] === 50);
  expect(progress().at(-1)).toEqual({
    event: 'progress',
    id: undefined,
    data: { bytes: 200, totalBytes: 400, percent: 50 },
  });
  speak();
  await eventually(() => steps(heard()).includes('3 Running'));
  await stop(id);
  await eventually(() => state.ended);
  expect(steps(heard())).toEqual(['0 Pending', '1 Pulling', '2 Starting', '3 Running', '4 Stopping', '5 Stopped']);
  expect(heard()[0]?.data).toEqual({ status: 'Pending', at: expect.any(String), reason: 'requested', actor: user });
  expect(heard().at(-1)).toMatchObject({
    event: 'end',
    id: '6',
    data: { id, status: 'Stopped', reason: 'stopped_by_user' },
  });
  expect(state.raw).not.toContain('"secret"');
});

test('when a task waits for capacity, then its followers hear where it stands', async () => {
  const { world, url, service, stop } = await open();
  await takenByOthers(world, 1_000);
  const asked = { userId: user, serviceType: 'demo', requester, idempotency: undefined, waitSeconds: 60 };
  const [ahead, behind] = [await service.startTask(asked), await service.startTask(asked)];
  const { state, heard } = follow(url, behind.id);
  const places = () => heard().flatMap(({ event, id, data }) => (event === 'waiting' ? [[id, data]] : []));
  const place = (position: number) => [undefined, { position, reason: 'allocation.insufficient_capacity' }];
  await eventually(() => places().length === 1);
  await stop(ahead.id);
  await eventually(() => places().length === 2);
  expect(places()).toEqual([place(2), place(1)]);
  await stop(behind.id);
  await eventually(() => state.ended);
  expect(heard().find(({ id }) => id === '1')?.data).toMatchObject({
    status: 'Pending',
    reason: 'waiting_for_capacity',
  });
});

test('when a client comes back with Last-Event-ID, then it goes on without a gap, and after the end 204', async () => {
  const { url, service, start, stop } = await open();
  const { id } = await start();
  await service.settler.settle(id);
  const first = follow(url, id, { 'Last-Event-ID': '0' });
  await eventually(() => steps(first.heard()).length === 2);
  expect(steps(first.heard())).toEqual(['1 Starting', '2 Running']);
  first.hangUp();
  await stop(id);
  const second = follow(url, id, { 'Last-Event-ID': '2' });
  await eventually(() => second.state.ended);
  expect(second.heard().map(({ event, id: number }) => `${number} ${event}`)).toEqual(['3 step', '4 step', '5 end']);
  expect((await follow(url, id, { 'Last-Event-ID': '5' }).answer).status).toBe(204);
  const whole = follow(url, id, { 'Last-Event-ID': '999' });
  await eventually(() => whole.state.ended);
  expect(steps(whole.heard())).toHaveLength(5);
  const headers = { Authorization: asUser, 'Last-Event-ID': 'x' };
  const refused = await fetch(`${url}/api/tasks/${id}/events`, { headers });
  expect([refused.status, await refused.json()]).toMatchObject([400, { code: 'request.invalid' }]);
});

test('when another replica changes it, then its followers hear of it here too', async () => {
  const { world, url, start, service, stop } = await open();
  const { id } = await start();
  await service.settler.settle(id);
  const { state, heard } = follow(url, id);
  await stop(id, buildProcess(world));
  await eventually(() => state.ended);
  expect(heard().at(-1)).toMatchObject({ event: 'end', data: { status: 'Stopped' } });
});

test('when its lease runs out, then that is told as a warning', async () => {
  const { world, url, start, service } = await open();
  const { id } = await start();
  await service.settler.settle(id);
  const { task, version } = (await world.store.get(id))!;
  await world.store.save(capacityLost(task, randomUUID(), world.now()), version);
  const { heard } = follow(url, id);
  await eventually(() => heard().some(({ event }) => event === 'warning'));
  expect(heard().at(-1)).toMatchObject({ id: '3', data: { status: 'Running', reason: 'lease_expired' } });
});

test('when nothing happens, then pulses come, also while the store is away, until the client hangs up or the service ends', async () => {
  const { world, url, start, service } = await open();
  const { id } = await start();
  await service.settler.settle(id);
  const [leaving, staying] = [follow(url, id), follow(url, id)];
  await eventually(() => [leaving, staying].every(({ state }) => state.raw.includes(': pulse\n\n')));
  const get = world.store.get.bind(world.store);
  let looks = 0;
  world.store.get = () => {
    looks += 1;
    return Promise.reject(unavailable('state.unavailable', 'The state store does not answer.'));
  };
  await eventually(() => looks > 2);
  world.store.get = (taskId) => {
    looks += 1;
    return get(taskId);
  };
  leaving.hangUp();
  await eventually(() => looks > 6);
  expect([leaving.state.ended, staying.state.ended]).toEqual([false, false]);
  service.stopping.abort();
  await eventually(() => staying.state.ended);
  expect(staying.heard().at(-1)).toMatchObject({ event: 'step', data: { status: 'Running' } });
  const seen = looks;
  await new Promise((resolve) => setTimeout(resolve, 150));
  expect(looks).toBe(seen);
});

test('when somebody else asks, then 404, and an administrator may follow', async () => {
  const { url, start } = await open();
  const { id } = await start();
  const refused = await fetch(`${url}/api/tasks/${id}/events`, { headers: { Authorization: bearer('user') } });
  expect([refused.status, await refused.json()]).toMatchObject([404, { code: 'task.not_found' }]);
  expect((await follow(url, id, {}, bearer('admin')).answer).status).toBe(200);
});
