import type { Express } from 'express';
import request, { type Test } from 'supertest';
import { bearer, testApp } from '../../../shared/testing/api';
import { poolRow, toPoolRow } from '../adapters/pool-row';
import { sweepPools } from '../application/sweep-pools';
import { publicRoutes } from '../http/routes';
import { away, buildPool, buildRooms, type TestRooms } from './support/builders';

/** Reserve, overcommitment, portions, labels and states of pools, over HTTP. */

const good = { name: 'gpu-a100', resource_type: 'GPU', total_capacity: 8, location: 'eu-west-1' };
const terms = {
  reserved: 2,
  allocation_ratio: 1.5,
  min_unit: 2,
  max_unit: 6,
  step_size: 2,
  state: 'cordoned',
  labels: { team: 'vision', 'example.org/tier': 'spot: cheap' },
};
let rooms: TestRooms;
let app: Express;
beforeEach(async () => {
  rooms = buildRooms();
  app = await testApp(publicRoutes(rooms), rooms.logger);
});

const as = (method: 'get' | 'post' | 'put', path: string): Test =>
  request(app)[method](path).set('Authorization', bearer('resource-pool-owner'));

async function create(body: object = {}): Promise<string> {
  const answer = await as('post', '/resource_pools').send({ ...good, ...body });
  expect([answer.status, answer.body.errors]).toEqual([201, undefined]);
  return (answer.body as { id: string }).id;
}
const show = async (id: string) => (await as('get', `/resource_pools/${id}`)).body as Record<string, unknown>;
const fields = ({ body }: request.Response) => [
  ...new Set(((body.errors ?? []) as { field: string }[]).map(({ field }) => field)),
];

test('a pool is made with terms and labels, and shows them with what comes of them', async () => {
  const id = await create(terms);
  expect(await show(id)).toMatchObject({
    ...good,
    ...terms,
    capacity: 9,
    allocated_capacity: 0,
    available_capacity: 9,
  });
  expect(rooms.inventories.kept.get(id)).toMatchObject({ reserved: 2, allocationRatio: 1.5, state: 'cordoned' });
});

test('PUT leaves what it does not name as it is, and takes back what it names', async () => {
  const id = await create(terms);
  const renamed = await as('put', `/resource_pools/${id}`).send({ ...good, name: 'new' });
  expect([renamed.status, renamed.body]).toMatchObject([200, { ...terms, name: 'new' }]);
  const plain = {
    reserved: 0,
    allocation_ratio: 1,
    min_unit: 1,
    max_unit: null,
    step_size: 1,
    state: 'open',
    labels: {},
  };
  const reset = await as('put', `/resource_pools/${id}`).send({ ...good, ...plain });
  expect([reset.status, reset.body]).toMatchObject([200, { ...plain, capacity: 8 }]);
  expect(reset.body.labels).toEqual({});
});

const bad: [string, object, string[]][] = [
  ['reserved below zero', { reserved: -1 }, ['body.reserved']],
  ['half a unit reserved', { reserved: 0.5 }, ['body.reserved']],
  ['reserved in quotes', { reserved: '1' }, ['body.reserved']],
  ['more reserved than there is', { reserved: 9 }, ['body.reserved']],
  ['a ratio of zero', { allocation_ratio: 0 }, ['body.allocation_ratio']],
  ['a ratio below zero', { allocation_ratio: -1 }, ['body.allocation_ratio']],
  ['a ratio above 1000', { allocation_ratio: 1000.001 }, ['body.allocation_ratio']],
  ['a ratio with four decimals', { allocation_ratio: 1.2345 }, ['body.allocation_ratio']],
  ['no ratio', { allocation_ratio: null }, ['body.allocation_ratio']],
  ['a capacity beyond 2^53', { total_capacity: 2 ** 53 - 1, allocation_ratio: 2 }, ['body.allocation_ratio']],
  ['a smallest unit of zero', { min_unit: 0 }, ['body.min_unit']],
  ['a largest unit of zero', { max_unit: 0 }, ['body.max_unit']],
  ['a largest unit below the smallest', { min_unit: 4, max_unit: 3 }, ['body.max_unit']],
  ['a step of zero', { step_size: 0 }, ['body.step_size']],
  ['no step between the limits', { min_unit: 5, max_unit: 7, step_size: 4 }, ['body.step_size']],
  ['a state that there is not', { state: 'closed' }, ['body.state']],
  ['labels as a list', { labels: ['a'] }, ['body.labels']],
  ['a label that is no text', { labels: { a: 1 } }, ['body.labels.a']],
  ['an empty label', { labels: { a: '' } }, ['body.labels.a']],
  ['a label of 101 characters', { labels: { a: 'x'.repeat(101) } }, ['body.labels.a']],
  ['a control character in a label', { labels: { a: 'b\u0000' } }, ['body.labels.a']],
  ['a colon in a label’s name', { labels: { 'a:b': 'c' } }, ['body.labels.a:b']],
  ['a label without a name', { labels: { '': 'c' } }, ['body.labels.']],
  ['33 labels', { labels: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`l${i}`, 'x'])) }, ['body.labels']],
  ['two that do not fit', { reserved: 9, min_unit: 4, max_unit: 3 }, ['body.reserved', 'body.max_unit']],
];
test.each(bad)('%s: 400 that names it, for POST and PUT, and nothing changes', async (_name, body, expected) => {
  const answer = await as('post', '/resource_pools').send({ ...good, ...body });
  expect([answer.status, answer.body.code, fields(answer)]).toEqual([400, 'request.invalid', expected]);
  expect(rooms.inventories.kept.size).toBe(0);
  const id = await create();
  const before = await show(id);
  const changed = await as('put', `/resource_pools/${id}`).send({ ...good, ...body });
  expect([changed.status, fields(changed)]).toEqual([400, expected]);
  expect(await show(id)).toEqual(before);
});

test('what does not fit to what PUT left as it was is a 400 too', async () => {
  const id = await create({ reserved: 6 });
  const answer = await as('put', `/resource_pools/${id}`).send({ ...good, total_capacity: 5 });
  expect([answer.status, fields(answer)]).toEqual([400, ['body.reserved']]);
});

describe('a change that leaves less than is allocated', () => {
  let id: string;
  beforeEach(async () => {
    id = await create();
    rooms.inventories.allocate(id, 6);
  });
  const put = (query: string, body: object) => as('put', `/resource_pools/${id}${query}`).send({ ...good, ...body });

  test.each([{ total_capacity: 5 }, { reserved: 3 }, { allocation_ratio: 0.7 }])(
    '%p: 409, unless allowed',
    async (less) => {
      for (const query of ['', '?resize=refuse']) {
        const refused = await put(query, less);
        expect([refused.status, refused.body.code]).toEqual([409, 'pool.capacity_below_allocated']);
      }
      expect(await show(id)).toMatchObject({ ...good, reserved: 0, allocation_ratio: 1 });
      const allowed = await put('?resize=allow', less);
      expect([allowed.status, allowed.body]).toMatchObject([
        200,
        { ...less, allocated_capacity: 6, available_capacity: 0 },
      ]);
    },
  );

  test('what was said about it holds when the change is carried on after an outage', async () => {
    rooms.inventories.away.push({ error: away(), takesEffect: false });
    await put('?resize=drain', { total_capacity: 5 }).expect(503);
    rooms.clock.seconds += 60;
    const resize = jest.spyOn(rooms.inventories, 'resize');
    await sweepPools(rooms, rooms.logger);
    expect(resize.mock.calls[0]?.[2]).toBe('drain');
    expect(await show(id)).toMatchObject({ total_capacity: 5, available_capacity: 0 });
  });

  test('?resize=drain reaches the inventory also where the numbers stay; a new name alone does not', async () => {
    const resize = jest.spyOn(rooms.inventories, 'resize');
    await put('?resize=drain', {}).expect(200);
    expect(resize).toHaveBeenCalledTimes(1);
    await put('', { name: 'another' }).expect(200);
    expect(resize).toHaveBeenCalledTimes(1);
  });

  test('what kind it is, where, its labels and its queue_policy reach the inventory, which is searched by them', async () => {
    const kind = { resource_type: 'TPU', location: 'rack-9', labels: { tier: 'spot' }, queue_policy: 'best_effort' };
    await put('', kind).expect(200);
    expect(rooms.inventories.kept.get(id)).toMatchObject({
      resourceType: 'TPU',
      location: 'rack-9',
      labels: { tier: 'spot' },
      queuePolicy: 'best_effort',
    });
    expect(await show(id)).toMatchObject(kind);
    await put('', { queue_policy: 'fair' }).expect(400);
  });

  test('a resize that there is not: 400', async () => {
    const answer = await put('?resize=force', {});
    expect([answer.status, fields(answer)]).toEqual([400, ['query.resize']]);
  });
});

describe('GET /resource_pools?state=&label=', () => {
  const names = async (query: string) => {
    const answer = await as('get', `/resource_pools?${query}`).expect(200);
    return (answer.body as { name: string }[]).map(({ name }) => name);
  };

  test('filters by state, and by every label that is named', async () => {
    await create({ name: 'a', labels: { team: 'vision', tier: 'spot' } });
    await create({ name: 'b', labels: { team: 'vision' }, state: 'draining' });
    await create({ name: 'c', labels: { url: 'http://x' } });
    expect(await names('state=draining')).toEqual(['b']);
    expect(await names('state=open')).toEqual(['a', 'c']);
    expect(await names('label=team:vision')).toEqual(['a', 'b']);
    expect(await names('label=team:vision&label=tier:spot')).toEqual(['a']);
    expect(await names('label=team:vision&state=draining')).toEqual(['b']);
    expect(await names(`label=${encodeURIComponent('url:http://x')}`)).toEqual(['c']);
    expect(await names('label=team:vision&label=team:sound')).toEqual([]);
  });

  test.each([
    ['state=drained', 'query.state'],
    ['label=team', 'query.label.0'],
    ['label=:x', 'query.label.0'],
    ['label=team:', 'query.label.0'],
    ['label=', 'query.label.0'],
    ['label=a:b&label=c', 'query.label.1'],
  ])('?%s: 400 that names it', async (query, field) => {
    const answer = await as('get', `/resource_pools?${query}`);
    expect([answer.status, fields(answer)]).toEqual([400, [field]]);
  });
});

test('a row from before there were terms reads as a pool with the usual ones', () => {
  const pool = buildPool();
  const row: Record<string, unknown> = { ...toPoolRow(pool) };
  for (const name of [...Object.keys(terms), 'resize_mode']) delete row[name];
  expect(poolRow.parse(row)).toEqual(pool);
});
