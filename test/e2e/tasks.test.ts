import { randomUUID } from 'node:crypto';
import Docker from 'dockerode';
import { call, eventually, system, tokenFor } from './support/system';
import { containersOf, freeUnits, startTask, stopTask, taskOf, type Started } from './support/tasks';
import { e2eInstance } from './support/e2e-instance';

/** Issue 3, C8 to C10: tasks on the real Docker Engine, through the real sidecars. */

jest.setTimeout(120_000);

const user = randomUUID();
const asUser = tokenFor(user, 'user');
const asAdmin = tokenFor(randomUUID(), 'admin');

async function started(token = asUser, userId = user): Promise<Started> {
  const answer = await startTask(token, userId, 'demo');
  expect(answer.status).toBe(201);
  return answer.body as Started;
}

afterAll(async () => {
  const { body } = await call('GET', 'task-runner/api/tasks?status=Running&limit=1000', { token: asUser });
  await Promise.all((body as { id: string }[]).map(({ id }) => stopTask(asAdmin, id)));
});

describe('the life of a task', () => {
  test('when a user starts one, then its page is served, GET shows it running, and DELETE leaves no container and its duration', async () => {
    const free = await freeUnits('local-cpu');
    const { taskId, containerPort, iframeUrl } = await started();
    expect(new URL(iframeUrl).port).toBe(String(containerPort));
    const page = await fetch(iframeUrl);
    expect(page.headers.get('content-security-policy')).toContain('frame-ancestors');
    expect(await page.text()).toContain(taskId);

    const running = await call('GET', `task-runner/api/tasks/${taskId}`, { token: asUser });
    expect(running.body).toMatchObject({
      id: taskId,
      userId: user,
      status: 'Running',
      port: containerPort,
      stopTime: null,
    });
    expect(Date.now() - Date.parse((running.body as { startTime: string }).startTime)).toBeLessThan(60_000);
    expect(await freeUnits('local-cpu')).toBe(free - 100);

    const stopped = await stopTask(asUser, taskId);
    expect(stopped).toMatchObject({ status: 200, body: { success: true, duration: expect.stringMatching(/^PT\d/) } });
    expect(await containersOf([taskId])).toEqual([]);
    expect(await freeUnits('local-cpu')).toBe(free);
    expect(await taskOf(asUser, taskId)).toMatchObject({
      status: 'Stopped',
      reason: 'stopped_by_user',
      exitCode: 0,
      duration: (stopped.body as { duration: string }).duration,
    });
    expect((await stopTask(asUser, taskId)).body).toEqual(stopped.body);
  });

  test('when it is read with its ETag, then DELETE honours If-Match', async () => {
    const { taskId } = await started();
    const stale = await call('DELETE', `task-runner/api/tasks/${taskId}`, {
      token: asUser,
      headers: { 'if-match': '"x"' },
    });
    expect(stale).toMatchObject({ status: 412, body: { code: 'request.precondition_failed' } });
    const { headers } = await call('GET', `task-runner/api/tasks/${taskId}`, { token: asUser });
    const ifMatch = { 'if-match': headers.get('etag') ?? '' };
    expect((await call('DELETE', `task-runner/api/tasks/${taskId}`, { token: asUser, headers: ifMatch })).status).toBe(
      200,
    );
  });

  test('when the same request comes twice with an Idempotency-Key, then one task', async () => {
    const headers = { 'idempotency-key': randomUUID() };
    const send = (serviceType: string) =>
      call('POST', 'task-runner/api/tasks', { token: asUser, headers, body: { userId: user, serviceType } });
    const [one, two] = await Promise.all([send('demo'), send('demo')]);
    expect([one.status, two.status]).toEqual([201, 201]);
    expect(one.body).toEqual(two.body);
    expect(await send('jupyter')).toMatchObject({ status: 422, body: { code: 'request.idempotency_key_reused' } });
    await stopTask(asUser, (one.body as Started).taskId);
  });

  test('when another app calls through its own sidecar, then the same answer as over HTTP', async () => {
    const { daprHttpUrl } = system().services['allocation'] ?? { daprHttpUrl: '' };
    const answer = await call('GET', `${daprHttpUrl}/v1.0/invoke/task-runner/method/api/tasks?limit=1`, {
      token: asUser,
      headers: { 'dapr-api-token': system().daprApiToken },
    });
    expect(answer.status).toBe(200);
    expect(answer.body).toHaveLength(1);
  });
});

describe('whose tasks', () => {
  test('when others ask, then a user sees and stops its own only, and an admin anyone’s, by user and status', async () => {
    const other = randomUUID();
    const asOther = tokenFor(other, 'user');
    const { taskId } = await started(asOther, other);
    expect((await call('GET', `task-runner/api/tasks/${taskId}`, { token: asUser })).status).toBe(404);
    expect((await stopTask(asUser, taskId)).status).toBe(404);
    expect((await call('GET', `task-runner/api/tasks?userId=${other}`, { token: asUser })).status).toBe(403);
    expect((await startTask(asUser, other, 'demo')).status).toBe(403);

    const listed = async (query: string): Promise<string[]> => {
      const { body } = await call('GET', `task-runner/api/tasks?userId=${other}&${query}`, { token: asAdmin });
      return (body as { id: string }[]).map(({ id }) => id);
    };
    expect(await listed('status=Running&serviceType=demo')).toEqual([taskId]);
    expect((await stopTask(asAdmin, taskId)).status).toBe(200);
    expect(await listed('status=Running')).toEqual([]);
    expect(await listed('status=Stopped')).toEqual([taskId]);
  });
});

describe('what is started', () => {
  test('when the type is unknown, then 400 that lists the known ones', async () => {
    const answer = await startTask(asUser, user, 'is-not-there');
    expect(answer).toMatchObject({
      status: 400,
      body: { code: 'task.unknown_service_type', known: ['demo', 'jupyter'] },
    });
    const types = await call('GET', 'task-runner/api/service-types', { token: asUser });
    expect((types.body as { name: string }[]).map(({ name }) => name)).toEqual(['demo', 'jupyter']);
  });

  test('when a task runs, then its container is fenced in and says whose it is', async () => {
    const { label } = e2eInstance();
    const { taskId } = await started();
    const found = await new Docker().getContainer(`task-${taskId}`).inspect();
    expect(found.HostConfig).toMatchObject({
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      PidsLimit: 32,
      Memory: 64 * 1024 * 1024,
      MemorySwap: 64 * 1024 * 1024,
      NanoCpus: 100_000_000,
      NetworkMode: `resource-manager-${label}-closed`,
      ReadonlyRootfs: true,
    });
    expect(found.Config.User).toBe('65532:65532');
    expect(found.Config.Labels).toMatchObject({
      'resource-manager.task': taskId,
      'resource-manager.user': user,
      'resource-manager.service-type': 'demo',
      'resource-manager.instance': label,
    });
    expect(found.NetworkSettings.Ports['8080/tcp']).toMatchObject([{ HostIp: '127.0.0.1' }]);
    await stopTask(asUser, taskId);
  });

  test('when ten are started at once, then all serve their own page on ports of their own', async () => {
    const tasks = await Promise.all(Array.from({ length: 10 }, () => started()));
    expect(new Set(tasks.map(({ containerPort }) => containerPort)).size).toBe(10);
    const pages = await Promise.all(tasks.map(async ({ iframeUrl }) => (await fetch(iframeUrl)).text()));
    tasks.forEach(({ taskId }, index) => expect(pages[index]).toContain(taskId));
    const stops = await Promise.all(tasks.map(({ taskId }) => stopTask(asUser, taskId)));
    expect(stops.map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect(await containersOf(tasks.map(({ taskId }) => taskId))).toEqual([]);
  });

  test('when the pool is full, then 409 with what is free, and there is no further task', async () => {
    const taken = await call('POST', `allocation/resource_pools/${await poolId()}/allocations`, {
      token: tokenFor(user, 'service'),
      body: { service_id: user, capacity: (await freeUnits('local-cpu')) - 50 },
    });
    expect(taken.status).toBe(201);
    try {
      const answer = await startTask(asUser, user, 'demo');
      expect(answer).toMatchObject({
        status: 409,
        body: { code: 'allocation.insufficient_capacity', requested: 100, available: 50 },
      });
    } finally {
      const { id } = taken.body as { id: string };
      const path = `allocation/resource_pools/${await poolId()}/allocations/${id}`;
      expect((await call('DELETE', path, { token: tokenFor(user, 'service') })).status).toBe(204);
    }
  });
});

describe('what ends by itself', () => {
  test.each([
    [0, 'Stopped', 'exited'],
    [3, 'Error', 'crashed'],
  ])(
    'when the program exits with %d, then within 2 s its task is %s and its capacity back',
    async (code, status, reason) => {
      const free = await freeUnits('local-cpu');
      const { taskId, iframeUrl } = await started();
      await fetch(`${iframeUrl}exit?code=${code}`, { method: 'POST' });
      const told = Date.now();
      await eventually(`task is ${status}`, async () => (await taskOf(asUser, taskId))['status'] === status, 5_000);
      // the program itself takes a moment to end
      expect(Date.now() - told).toBeLessThan(2_500);
      expect(await taskOf(asUser, taskId)).toMatchObject({ reason, exitCode: code, actor: 'system' });
      expect(await containersOf([taskId])).toEqual([]);
      expect(await freeUnits('local-cpu')).toBe(free);
    },
  );

  test('when somebody removes the container, then its task ends', async () => {
    const { taskId } = await started();
    await new Docker().getContainer(`task-${taskId}`).remove({ force: true });
    await eventually('task is Error', async () => (await taskOf(asUser, taskId))['status'] === 'Error', 5_000);
  });
});

test('when tasks are read by SQL, then the view has the columns and types of the source document', async () => {
  const { Client } = await import('pg');
  const client = new Client({ connectionString: system().databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ column_name: string; data_type: string }>(
      `SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'tasks' ORDER BY ordinal_position`,
    );
    expect(rows.slice(0, 9).map(({ column_name: name, data_type: type }) => `${name} ${type}`)).toEqual([
      'id uuid',
      'user_id uuid',
      'service_type character varying',
      'container_id character varying',
      'port integer',
      'start_time timestamp without time zone',
      'stop_time timestamp without time zone',
      'duration interval',
      'status character varying',
    ]);
    const ended = await client.query(`SELECT duration::text FROM tasks WHERE user_id = $1 AND status = 'Stopped'`, [
      user,
    ]);
    expect(ended.rowCount).toBeGreaterThan(0);
  } finally {
    await client.end();
  }
});

async function poolId(): Promise<string> {
  const { body } = await call('GET', 'resource-pool/resource_pools?name=local-cpu', { token: asAdmin });
  return (body as { id: string }[])[0]?.id ?? '';
}
