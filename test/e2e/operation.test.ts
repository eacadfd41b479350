import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Validator } from '@seriousme/openapi-schema-validator';
import { openSeqReceiver, type SeqReceiver } from '../../shared/testing/seq-receiver';
import { instanceSecrets } from '../../tools/secrets';
import { ROUTES } from '../architecture/route-tables';
import { e2eInstance } from './support/e2e-instance';
import { logLines, logTexts } from './support/logs';
import { BLOCKCHAIN_SERVICE, SEQ } from './support/outside-world';
import { call, eventually, system, tokenFor } from './support/system';

/** Issue 3, F16 to F18: what an operator sees of the running system. */

jest.setTimeout(120_000);

const admin = tokenFor(randomUUID(), 'admin');
const SERVICES = Object.keys(ROUTES);

/** One story that goes through every service, under one trace id. */
async function story(traceId: string): Promise<{ sub: string; poolId: string; allocationId: string; taskId: string }> {
  const sub = randomUUID();
  const token = tokenFor(sub, 'admin');
  const headers = () => ({ traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01` });
  const pool = { name: `operation-${sub}`, resource_type: 'GPU', total_capacity: 4, location: 'here' };
  const { id: poolId } = (await call('POST', 'resource-pool/resource_pools', { token, headers: headers(), body: pool }))
    .body as { id: string };
  const allocations = `allocation/resource_pools/${poolId}/allocations`;
  const made = await call('POST', allocations, { token, headers: headers(), body: { service_id: sub, capacity: 2 } });
  const allocationId = (made.body as { id: string }).id;
  expect((await call('DELETE', `${allocations}/${allocationId}`, { token, headers: headers() })).status).toBe(204);
  const task = await call('POST', 'task-runner/api/tasks', {
    token,
    headers: headers(),
    body: { userId: sub, serviceType: 'demo' },
  });
  expect(task.status).toBe(201);
  const { taskId } = task.body as { taskId: string };
  expect((await call('DELETE', `task-runner/api/tasks/${taskId}`, { token, headers: headers() })).status).toBe(200);
  expect((await call('DELETE', `resource-pool/resource_pools/${poolId}`, { token, headers: headers() })).status).toBe(
    204,
  );
  return { sub, poolId, allocationId, taskId };
}

describe('with a Seq that takes what it gets', () => {
  const traceId = randomBytes(16).toString('hex');
  let seq: SeqReceiver;
  let told: Awaited<ReturnType<typeof story>>;
  beforeAll(async () => {
    seq = await openSeqReceiver(SEQ);
    told = await story(traceId);
  });
  afterAll(() => seq.close());

  const ofTrace = () => logLines().filter(({ trace_id: id }) => id === traceId);
  const hasAll = (activities: (string | undefined)[]) =>
    [
      'POST /resource_pools',
      'POST /resource_pools/{pool_id}/allocations',
      'POST /api/tasks',
      'event task.stopped',
      'event allocation.released',
    ].every((activity) => activities.includes(activity));

  test('one trace id finds the whole story at the console: in every service, with invocations and events', async () => {
    await eventually('the story is in the logs', () => hasAll(ofTrace().map(({ activity }) => String(activity))));
    const lines = ofTrace();
    expect([...new Set(lines.map(({ service }) => service))].sort()).toEqual([...SERVICES].sort());
    const of = (service: string) => lines.filter((line) => line.service === service).map(({ activity }) => activity);
    // resource-pool asked allocation to open the pool, task-runner asked for the capacity of the task
    expect(of('allocation')).toEqual(
      expect.arrayContaining([
        'PUT /internal/inventories/{pool_id}',
        'POST /internal/allocations',
        'DELETE /internal/allocations/{allocation_id}',
      ]),
    );
    // it asks resource-pool for the pool's id too, but only when it does not know it yet
    expect(of('resource-pool')).toEqual(expect.arrayContaining(['POST /resource_pools']));
  });

  test('each activity is one line that says who, what, which resource, the result, the time and both ids', () => {
    const lines = ofTrace().filter(({ activity }) => activity === 'POST /resource_pools/{pool_id}/allocations');
    expect(lines).toEqual([
      expect.objectContaining({
        service: 'allocation',
        level: 'info',
        who: told.sub,
        resource: `/resource_pools/${told.poolId}/allocations`,
        result: 'ok',
        status: 201,
        created: expect.stringContaining('/allocations/'),
        ms: expect.any(Number),
        request_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        trace_id: traceId,
        timestamp: expect.stringMatching(/Z$/),
      }),
    ]);
    const event = ofTrace().find(({ activity }) => activity === 'event task.stopped');
    expect(event).toMatchObject({ service: 'blockchain-forwarder', who: 'task-runner', result: 'ok' });
  });

  test('a refused request is a line too, with its code', async () => {
    const requestId = `refused-${randomUUID()}`;
    await call('POST', 'resource-pool/resource_pools', { headers: { 'x-request-id': requestId }, body: {} });
    const found = () => logLines().filter(({ request_id: id }) => id === requestId);
    await eventually('the line is there', () => found().length > 0);
    expect(found()).toEqual([expect.objectContaining({ result: 'auth.token_missing', status: 401, who: 'unknown' })]);
  });

  test('the same story is in Seq, with level, time and trace id as Seq knows them', async () => {
    const inSeq = () => seq.events.filter(({ Properties }) => Properties['trace_id'] === traceId);
    await eventually('the story is in Seq', () =>
      hasAll(inSeq().map(({ Properties }) => String(Properties['activity']))),
    );
    expect([...new Set(inSeq().map(({ Properties }) => Properties['service']))].sort()).toEqual([...SERVICES].sort());
    expect(inSeq().every(({ TraceId, Level }) => TraceId === traceId && Level === 'Information')).toBe(true);
    expect(Math.abs(Date.parse(inSeq()[0]!.Timestamp) - Date.now())).toBeLessThan(60_000);
    expect(seq.faults).toEqual([]);
  });

  test('no line anywhere holds a token, a secret or an Authorization header', async () => {
    const instance = e2eInstance();
    const secrets = Object.values(instanceSecrets(instance, {}));
    const { tokens, daprApiToken } = system();
    const signatures = [admin, ...Object.values(tokens)].map((token) => token.split('.')[2]!);
    const chainKey = /[0-9a-f]{64}/.exec(readFileSync(join(instance.runDir, 'secrets.json'), 'utf8'))?.[0] ?? '';
    const hidden = [...secrets, ...signatures, daprApiToken, chainKey, BLOCKCHAIN_SERVICE.token, SEQ.apiKey].filter(
      Boolean,
    );
    const texts = [...logTexts(), ['Seq', JSON.stringify(seq.events)] as const];
    for (const [name, text] of texts) {
      expect([name, hidden.filter((secret) => text.includes(secret)).map((secret) => secret.slice(0, 4))]).toEqual([
        name,
        [],
      ]);
      expect([
        name,
        /eyJ[\w-]{10,}\.eyJ/.exec(text)?.[0],
        /bearer\s+(?!\[redacted])[\w-]{8,}/i.exec(text)?.[0],
      ]).toEqual([name, undefined, undefined]);
    }
  });
});

async function metricOf(appId: string, name: string): Promise<number | undefined> {
  const { body } = await call('GET', `${appId}/metrics`);
  const values = [...String(body).matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? ([\\d.e+-]+)$`, 'gm'))];
  return values.length === 0 ? undefined : values.reduce((sum, match) => sum + Number(match[1]), 0);
}

describe.each(['hangs', 'fails'] as const)('with a Seq that %s', (behaviour) => {
  let seq: SeqReceiver;
  beforeAll(async () => {
    seq = await openSeqReceiver(SEQ);
    seq.behaviour = behaviour;
  });
  afterAll(() => seq.close());

  test('requests are answered as ever, and memory does not grow with what cannot be shipped', async () => {
    const lines = 2_000;
    const ask = () => call('GET', 'resource-pool/resource_pools', { headers: { 'x-request-id': 'x'.repeat(100) } });
    const many = async (count: number) => {
      for (let done = 0; done < count; done += 50) await Promise.all(Array.from({ length: 50 }, ask));
    };
    await many(500);
    const before = (await metricOf('resource-pool', 'process_resident_memory_bytes'))!;
    const started = Date.now();
    await many(lines);
    const grown = (await metricOf('resource-pool', 'process_resident_memory_bytes'))! - before;
    console.log(
      `Seq ${behaviour}: ${lines} requests in ${Date.now() - started} ms, memory ${(grown / 2 ** 20).toFixed(1)} MB more`,
    );
    expect(seq.posts).toBeGreaterThan(0);
    expect(grown).toBeLessThan(80 * 2 ** 20);
    expect((await call('GET', 'resource-pool/resource_pools', { token: admin })).status).toBe(200);
    expect((await call('GET', 'resource-pool/readyz')).status).toBe(200);
  });
});

describe.each(SERVICES)('%s', (appId) => {
  test('/livez and /readyz answer without a token; readiness names its dependencies', async () => {
    expect((await call('GET', `${appId}/livez`)).status).toBe(200);
    const ready = await call('GET', `${appId}/readyz`);
    expect(ready.status).toBe(200);
    expect(ready.body).toMatchObject({ status: 'ok', checks: { sidecar: 'ok', schema: 'ok' } });
  });

  test('/metrics tells of requests by route, and of events relayed and waiting', async () => {
    await call('GET', `${appId}${ROUTES[appId]![0]!.path}`);
    expect(await metricOf(appId, 'http_request_duration_seconds_count')).toBeGreaterThan(0);
    expect(await metricOf(appId, 'process_resident_memory_bytes')).toBeGreaterThan(0);
    if (appId === 'allocation' || appId === 'task-runner') {
      expect(await metricOf(appId, 'outbox_events_relayed_total')).toBeGreaterThan(0);
      expect(await metricOf(appId, 'outbox_events_waiting')).toBeGreaterThanOrEqual(0);
    }
    if (appId === 'blockchain-forwarder') {
      await eventually(
        'the backlog is counted',
        async () => (await metricOf(appId, 'ledger_sink_backlog')) !== undefined,
      );
    }
  });

  test('/openapi.json is OpenAPI 3.1, lists every public route with its permission, and /docs shows it', async () => {
    const { body } = await call('GET', `${appId}/openapi.json`);
    const document = body as { openapi: string; paths: Record<string, Record<string, { description?: string }>> };
    const checked = await new Validator().validate({ ...document });
    expect(checked.errors ?? []).toEqual([]);
    expect(document.openapi).toMatch(/^3\.1/);
    for (const { path, method, access } of ROUTES[appId]!) {
      if (access === 'public') expect(document.paths[path]?.[method]).not.toHaveProperty('security');
      else if ('callers' in access) expect(document.paths[path]).toBeUndefined();
      else expect(document.paths[path]?.[method]?.description).toContain(access.permission);
    }
    const page = await call('GET', `${appId}/docs`);
    expect([page.status, page.headers.get('content-type')]).toEqual([200, expect.stringContaining('text/html')]);
    const script = /src="(docs\/[^"]*bundle[^"]*)"/.exec(String(page.body))![1]!;
    expect((await call('GET', `${appId}/${script}`)).status).toBe(200);
  });
});
