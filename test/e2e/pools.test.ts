import { randomUUID } from 'node:crypto';
import { as, codeOf, createPool, idOf, invoke, poolInput, SERVICE, tally, type Role } from './support/pools';
import { sql } from './support/database';
import { system, type Answer } from './support/system';

/** Issue 3, B5: the nine endpoints of pools and allocations, on the running system, through sidecars. */

jest.setTimeout(60_000);

const POOLS = 'resource-pool/resource_pools';
const allocationsOf = (poolId: string) => `allocation/resource_pools/${poolId}/allocations`;
const historyOf = (poolId: string) => `allocation/resource_pools/${poolId}/allocation_history`;
const allocation = (capacity = 1) => ({ service_id: SERVICE, capacity });
const ROLES: Role[] = ['admin', 'owner', 'service', 'user'];

/** Follows Link to the last page. */
async function pages(app: string, path: string): Promise<string[][]> {
  const found: string[][] = [];
  for (let next: string | undefined = path; next !== undefined;) {
    const answer: Answer = await invoke('admin', 'GET', `${app}${next}`);
    expect(answer.status).toBe(200);
    found.push((answer.body as { id: string }[]).map(({ id }) => id));
    next = /^<(.*)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1];
  }
  return found;
}

describe('the nine endpoints, invoked through a sidecar', () => {
  test('the whole story of a pool and an allocation', async () => {
    const created = await invoke('owner', 'POST', POOLS, poolInput({ name: 'story', total_capacity: 8 }));
    const id = idOf(created);
    expect([created.status, created.headers.get('location')]).toEqual([201, `/resource_pools/${id}`]);

    const made = await invoke('service', 'POST', allocationsOf(id), allocation(3));
    const location = `/resource_pools/${id}/allocations/${idOf(made)}`;
    expect([made.status, made.headers.get('location')]).toEqual([201, location]);

    const pool = await invoke('user', 'GET', `${POOLS}/${id}`);
    expect(pool.body).toEqual({
      id,
      ...poolInput({ name: 'story', total_capacity: 8 }),
      labels: {},
      reserved: 0,
      allocation_ratio: 1,
      min_unit: 1,
      max_unit: null,
      step_size: 1,
      state: 'open',
      queue_policy: 'strict',
      capacity: 8,
      allocated_capacity: 3,
      available_capacity: 5,
      waiting_requests: 0,
      drain: null,
      created_at: expect.stringMatching(/^\d{4}-.*Z$/) as string,
      updated_at: expect.stringMatching(/^\d{4}-.*Z$/) as string,
    });
    const shown = await invoke('service', 'GET', `allocation${location}`);
    expect(shown.body).toMatchObject({
      id: idOf(made),
      resource_pool_id: id,
      service_id: SERVICE,
      allocated_capacity: 3,
    });
    const listed = await invoke('owner', 'GET', allocationsOf(id));
    expect(listed.body).toEqual([shown.body]);

    const etag = pool.headers.get('etag') ?? '';
    const change = poolInput({ name: 'changed', total_capacity: 16 });
    const changed = await invoke('owner', 'PUT', `${POOLS}/${id}`, change, { 'If-Match': etag });
    expect([changed.status, changed.body]).toMatchObject([200, { ...change, available_capacity: 13 }]);
    expect(changed.headers.get('etag')).not.toBe(etag);
    expect(codeOf(await invoke('owner', 'PUT', `${POOLS}/${id}`, change, { 'If-Match': etag }))).toBe(
      '412 request.precondition_failed',
    );

    expect(codeOf(await invoke('owner', 'DELETE', `${POOLS}/${id}`))).toBe('409 pool.in_use');
    expect((await invoke('service', 'DELETE', `allocation${location}`)).status).toBe(204);
    expect(codeOf(await invoke('service', 'GET', `allocation${location}`))).toBe('404 allocation.not_found');
    expect(codeOf(await invoke('owner', 'DELETE', `${POOLS}/${id}`, undefined, { 'If-Match': etag }))).toBe(
      '412 request.precondition_failed',
    );
    expect((await invoke('owner', 'DELETE', `${POOLS}/${id}`)).status).toBe(204);
    expect(codeOf(await invoke('user', 'GET', `${POOLS}/${id}`))).toBe('404 pool.not_found');
    expect(codeOf(await invoke('service', 'POST', allocationsOf(id), allocation()))).toBe('404 pool.not_found');
  });

  const roles: [string, string, (id: string) => [string, unknown?], Role[]][] = [
    ['create a pool', 'POST', () => [POOLS, poolInput()], ['admin', 'owner']],
    ['list pools', 'GET', () => [`${POOLS}?limit=1`], ROLES],
    ['see a pool', 'GET', (id) => [`${POOLS}/${id}`], ROLES],
    ['change a pool', 'PUT', (id) => [`${POOLS}/${id}`, poolInput()], ['admin', 'owner']],
    ['allocate', 'POST', (id) => [allocationsOf(id), allocation()], ['admin', 'service']],
    ['list allocations', 'GET', (id) => [allocationsOf(id)], ['admin', 'owner', 'service']],
    ['see what was released', 'GET', (id) => [historyOf(id)], ['admin', 'owner', 'service']],
    [
      'release all of a service',
      'DELETE',
      (id) => [`${allocationsOf(id)}?service_id=${SERVICE}`],
      ['admin', 'owner', 'service'],
    ],
    ['see an allocation', 'GET', (id) => [`${allocationsOf(id)}/${id}`], ['admin', 'owner', 'service']],
    ['release an allocation', 'DELETE', (id) => [`${allocationsOf(id)}/${id}`], ['admin', 'owner', 'service']],
    ['delete a pool', 'DELETE', () => [`${POOLS}/${randomUUID()}`], ['admin', 'owner']],
  ];
  test.each(roles)('who may %s', async (_what, method, request, allowed) => {
    const id = await createPool();
    const let_in: Role[] = [];
    for (const role of ROLES) {
      const [to, body] = request(id);
      const answer = await invoke(role, method, to, body);
      expect(answer.status).toBeLessThan(500);
      if (answer.status !== 403) let_in.push(role);
    }
    expect(let_in).toEqual(allowed);
  });

  test('an error is a problem document with the request’s id', async () => {
    const answer = await invoke('user', 'GET', `${POOLS}/${randomUUID()}`, undefined, { 'x-request-id': 'e2e-1' });
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(answer.body).toMatchObject({
      status: 404,
      code: 'pool.not_found',
      request_id: 'e2e-1',
      type: expect.stringContaining('pool.not_found') as string,
    });
  });
});

describe('lists', () => {
  test('pools are filtered by name, type and location, and paged to the end', async () => {
    const place = `e2e ${randomUUID()}`;
    const ids: string[] = [];
    for (const [name, type] of [
      ['a', 'GPU'],
      ['b', 'CPU'],
      ['a', 'CPU'],
      ['c', 'GPU'],
      ['a', 'GPU'],
    ]) {
      ids.push(idOf(await as('owner', 'POST', POOLS, poolInput({ name, resource_type: type, location: place }))));
    }
    const here = `/resource_pools?location=${encodeURIComponent(place)}`;
    const [one, two, three, four, five] = ids;
    expect(await pages('resource-pool', here)).toEqual([ids]);
    expect(await pages('resource-pool', `${here}&limit=2`)).toEqual([[one, two], [three, four], [five]]);
    expect(await pages('resource-pool', `${here}&name=a&limit=2`)).toEqual([[one, three], [five]]);
    expect(await pages('resource-pool', `${here}&resource_type=CPU`)).toEqual([[two, three]]);
    expect((await as('user', 'GET', `${POOLS}?limit=1000`)).status).toBe(200);
  });

  test('allocations are filtered by service, and paged to the end while others come and go', async () => {
    const id = await createPool();
    const path = `/resource_pools/${id}/allocations`;
    const mine: string[] = [];
    for (let index = 0; index < 5; index += 1)
      mine.push(idOf(await as('service', 'POST', allocationsOf(id), allocation())));
    const other = await as('service', 'POST', allocationsOf(id), { ...allocation(), service_id: randomUUID() });
    expect((await pages('allocation', `${path}?limit=4`)).map((page) => page.length)).toEqual([4, 2]);
    expect(await pages('allocation', `${path}?limit=3&service_id=${SERVICE}`)).toEqual([
      mine.slice(0, 3),
      mine.slice(3),
    ]);
    const first = await as('admin', 'GET', `allocation${path}?limit=3`);
    const next = /^<(.*)>/.exec(first.headers.get('link') ?? '')?.[1];
    await as('service', 'DELETE', `${allocationsOf(id)}/${mine[0]}`);
    const rest = await as('admin', 'GET', `allocation${next}`);
    expect((rest.body as { id: string }[]).map((row) => row.id)).toEqual([mine[3], mine[4], idOf(other)]);
  });
});

describe('Idempotency-Key', () => {
  test('ten parallel requests to both replicas are one allocation; another body is refused', async () => {
    const id = await createPool();
    const { services, replicas } = system();
    const urls = [services['allocation']!.url, replicas['allocation-2']!.url];
    const key = { 'Idempotency-Key': randomUUID() };
    const send = (index: number, capacity = 5) =>
      as('service', 'POST', `${urls[index % 2]}/resource_pools/${id}/allocations`, allocation(capacity), key);
    const answers = await Promise.all(Array.from({ length: 10 }, (_, index) => send(index)));
    expect(tally(answers)).toEqual({ '201': 10 });
    expect(new Set(answers.map(idOf)).size).toBe(1);
    expect(codeOf(await send(0, 6))).toBe('422 request.idempotency_key_reused');
    expect((await as('user', 'GET', `${POOLS}/${id}`)).body).toMatchObject({ available_capacity: 95 });
  });

  test('ten parallel requests are one pool', async () => {
    const key = { 'Idempotency-Key': randomUUID() };
    const answers = await Promise.all(Array.from({ length: 10 }, () => as('owner', 'POST', POOLS, poolInput(), key)));
    expect(tally(answers)).toEqual({ '201': 10 });
    expect(new Set(answers.map(idOf)).size).toBe(1);
    expect(codeOf(await as('owner', 'POST', POOLS, poolInput({ name: 'other' }), key))).toBe(
      '422 request.idempotency_key_reused',
    );
  });

  test('is remembered for 24 hours, with the pool and with the allocation', async () => {
    const key = { 'Idempotency-Key': randomUUID() };
    const id = idOf(await as('owner', 'POST', POOLS, poolInput(), key));
    const allocated = idOf(
      await as('service', 'POST', `allocation/resource_pools/${id}/allocations`, allocation(1), key),
    );
    const rows = await sql<{ app: string; hours: number }>(
      `SELECT split_part(key, '||', 1) AS app,
           round(extract(epoch FROM expires_at - coalesce(updated_at, created_at)) / 3600)::int AS hours
         FROM state WHERE key LIKE '%||idempotency:%' AND convert_from(value, 'UTF8') ~ $1 ORDER BY key`,
      [`${id}|${allocated}`],
    );
    expect(rows).toEqual([
      { app: 'allocation', hours: 24 },
      { app: 'resource-pool', hours: 24 },
    ]);
  });
});
