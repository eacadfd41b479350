import { randomUUID } from 'node:crypto';
import { AppError } from '../../../shared/errors';
import { bearer } from '../../../shared/testing/api';
import { LEASE_MS } from '../adapters/memory-capacity';
import { fromTaskRow, toTaskRow } from '../adapters/task-row';
import { waiting } from '../domain/task';
import { expectBalance } from './support/balance';
import { buildProcess, buildTask, eventually, NO_LIMITS, openApi } from './support/build';
import { heldBy, reasons } from './support/lease-world';

/** Tasks that wait for capacity. The pool has room for one. */

const user = randomUUID();
const asUser = bearer('user', user);
const body = { userId: user, serviceType: 'demo' };
const requester = { sub: user, admin: false };
const WAIT_MS = 200_000;

async function open() {
  const api = await openApi(asUser, 150);
  const first = (await api.start(body).expect(201)).body.taskId as string;
  const task = (id: string) => api.world.store.all().find((one) => one.id === id)!;
  const show = async (id: string) => (await api.get(`/api/tasks/${id}`).expect(200)).body;
  return {
    ...api,
    first,
    task,
    show,
    until: (id: string, status: string) => eventually(() => task(id).status === status),
    /** Starts one that waits. */
    wait: async (more: object = {}) => {
      const answer = await api.start({ ...body, waitSeconds: WAIT_MS / 1000, ...more }).expect(202);
      await eventually(async () => (await show(answer.body.taskId)).waiting?.position !== null);
      return answer.body.taskId as string;
    },
  };
}

describe('a task that may wait for capacity', () => {
  test('when the capacity is there, then it starts as any other', async () => {
    const api = await open();
    await api.stop(api.first).expect(200);
    const { taskId } = (await api.start({ ...body, waitSeconds: 60 }).expect(201)).body;
    expect(reasons(api.task(taskId))).toEqual(['Pending requested', 'Starting capacity_taken', 'Running ready']);
    expect((await api.show(taskId)).waiting).toBeNull();
  });

  test('when it is not, then 202 at once, and GET tells that it waits, where, for what, and until when', async () => {
    const api = await open();
    const answer = await api.start({ ...body, waitSeconds: 600 }).expect(202);
    const { taskId } = answer.body;
    expect([answer.headers['location'], answer.body.status]).toEqual([`/api/tasks/${taskId}`, 'Pending']);
    await eventually(async () => (await api.show(taskId)).waiting.position === 1);
    const { waiting, createdAt, history, status } = await api.show(taskId);
    expect([status, waiting]).toEqual([
      'Pending',
      { until: expect.any(String), position: 1, reason: 'allocation.insufficient_capacity' },
    ]);
    expect(Date.parse(waiting.until) - Date.parse(createdAt)).toBe(600_000);
    expect(history.at(-1)).toMatchObject({ status: 'Pending', reason: 'waiting_for_capacity', actor: 'system' });
    await api.stop(taskId).expect(200);
  });

  test('when a place becomes free, then it starts under the id that it asked with, leased from then on', async () => {
    const api = await open();
    const second = await api.wait({ waitSeconds: 3_600 });
    const { allocationId } = api.task(second);
    // longer than a lease: it begins with the grant
    api.world.pass(LEASE_MS - 1_000);
    await api.service.renewLeases();
    api.world.pass(LEASE_MS - 1_000);
    await api.stop(api.first).expect(200);
    await api.until(second, 'Running');
    expect(reasons(api.task(second))).toEqual([
      'Pending requested',
      'Pending waiting_for_capacity',
      'Starting capacity_taken',
      'Running ready',
    ]);
    expect(heldBy(api.world, second)).toEqual([allocationId]);
    api.world.pass(LEASE_MS - 1_000);
    expect(heldBy(api.world, second)).toEqual([allocationId]);
    await expectBalance(api.world);
  });

  test('when several wait, then the larger priority goes first, then who came first', async () => {
    const api = await open();
    const [early, late, urgent] = [await api.wait(), await api.wait(), await api.wait({ priority: 5 })];
    await eventually(async () => (await api.show(late)).waiting.position === 3);
    expect([(await api.show(urgent)).waiting.position, (await api.show(early)).waiting.position]).toEqual([1, 2]);
    await api.stop(api.first).expect(200);
    await api.until(urgent, 'Running');
    await eventually(async () => (await api.show(early)).waiting.position === 1);
    expect(api.task(late).status).toBe('Pending');
    await Promise.all([early, late].map((id) => api.stop(id).expect(200)));
    await expectBalance(api.world);
  });

  test('when its wait is over, then it ends in Error with the code of the 409 and what is free', async () => {
    const api = await open();
    const second = await api.wait();
    api.world.pass(WAIT_MS + 1_000);
    await api.until(second, 'Error');
    const { reason, error, waiting } = await api.show(second);
    expect([reason, error.code, waiting]).toEqual(['insufficient_capacity', 'allocation.insufficient_capacity', null]);
    expect(error.detail).toContain('100 units were asked for, 50 are free.');
    expect(api.world.store.events.at(-1)).toMatchObject({
      type: 'task.failed',
      data: { taskId: second, reason: 'insufficient_capacity', allocationId: null },
    });
    expect(api.world.capacity.waiting).toEqual([]);
  });

  test('when it is deleted, then it waits no longer, and nothing is left in the line', async () => {
    const api = await open();
    const [second, third] = [await api.wait(), await api.wait()];
    expect((await api.stop(second).expect(200)).body).toEqual({ success: true, duration: 'PT0S' });
    expect(api.task(second)).toMatchObject({ status: 'Stopped', outcome: { reason: 'stopped_by_user' } });
    expect(api.world.capacity.waiting).toEqual([api.task(third).allocationId]);
    await api.stop(api.first).expect(200);
    await api.until(third, 'Running');
    expect(heldBy(api.world, second)).toEqual([]);
  });

  test('when it is deleted just as it is granted, then the grant is given back', async () => {
    const api = await open();
    const second = await api.wait();
    // the grant is there, and nobody has heard of it yet
    let deleted: Promise<unknown> | undefined;
    api.world.store.interfere = (when, task) => {
      if (when !== 'before' || task.id !== second || task.status !== 'Starting' || deleted) return;
      deleted = buildProcess(api.world).stopTask({ taskId: second, requester, checkVersion: () => undefined });
      return deleted.then(() => undefined);
    };
    await api.stop(api.first).expect(200);
    await eventually(() => deleted !== undefined);
    await deleted;
    await eventually(() => !api.service.settler.isUnderWay(second));
    expect(api.task(second).status).toBe('Stopped');
    expect([api.world.capacity.held.size, api.world.capacity.waiting]).toEqual([0, []]);
  });

  test('when it waits, then it has its place among the tasks of its user', async () => {
    const api = await open();
    api.world.limits.tasksPerUser = 2;
    const second = await api.wait();
    const refused = await api.start({ ...body, waitSeconds: 60 });
    expect([refused.status, refused.body.code]).toEqual([429, 'task.limit_reached']);
    await api.stop(second).expect(200);
    await api.stop(await api.wait()).expect(200);
  });

  test('when nobody says waitSeconds, then 409 as ever, also for what is free while others wait', async () => {
    const api = await open();
    for (const more of [{}, { waitSeconds: 0 }, { priority: 3 }]) {
      const answer = await api.start({ ...body, ...more });
      expect([answer.status, answer.body.code, answer.body.available]).toEqual([
        409,
        'allocation.insufficient_capacity',
        50,
      ]);
    }
    expect(api.world.store.all()).toHaveLength(1);
  });

  test('when so many wait already that nobody more may, then 429 and nothing is left', async () => {
    const api = await open();
    api.world.capacity.refusal = new AppError('rate_limited', 'allocation.queue_full', 'Too many wait.', {
      retryAfter: 5,
    });
    const answer = await api.start({ ...body, waitSeconds: 60 });
    expect([answer.status, answer.body.code, answer.headers['retry-after']]).toEqual([
      429,
      'allocation.queue_full',
      '5',
    ]);
    expect(api.world.store.all()).toHaveLength(1);
  });

  test.each([{ waitSeconds: -1 }, { waitSeconds: 86_401 }, { waitSeconds: 1.5 }, { priority: 1_001 }])(
    '%j: 400',
    async (more) => {
      const answer = await (await open()).start({ ...body, ...more });
      expect([answer.status, answer.body.errors[0].field]).toEqual([400, `body.${Object.keys(more)[0]}`]);
    },
  );

  test('when the same request comes again under its key, then 202 for the same task', async () => {
    const api = await open();
    const asked = { ...body, waitSeconds: 60 };
    const one = await api.start(asked).set('Idempotency-Key', 'k').expect(202);
    const other = await api.start(asked).set('Idempotency-Key', 'k').expect(202);
    expect(other.body.taskId).toBe(one.body.taskId);
    expect(api.world.capacity.waiting).toHaveLength(1);
    await api.stop(one.body.taskId).expect(200);
  });
});

test('a row from before tasks could wait is that of one that does not', () => {
  const { priority: _, wait: __, ...old } = toTaskRow(buildTask());
  expect(fromTaskRow(old)).toMatchObject({ priority: 0, wait: null });
});

describe('whatever dies while a task waits', () => {
  /** A task in the row of a process that is gone: its request stands in the line, or never came. */
  async function leftBehind(stored: 'before asking' | 'before the answer' | 'in line') {
    const api = await open();
    const task = buildTask({ ...body, waitSeconds: WAIT_MS / 1000, createdAt: api.world.now(), createdBy: user });
    await api.world.store.insert(task, NO_LIMITS);
    const asked = { ...task, units: task.capacity, taskId: task.id, waitSeconds: WAIT_MS / 1000 };
    if (stored !== 'before asking') await api.world.capacity.take(asked);
    if (stored === 'in line') {
      const found = await api.world.store.get(task.id);
      await api.world.store.save(waiting(task, api.world.now()), found!.version);
    }
    return { ...api, id: task.id, allocationId: task.allocationId };
  }

  test.each(['before asking', 'before the answer', 'in line'] as const)(
    'when task-runner is killed %s, then the next one waits on in the same place, and starts it',
    async (stored) => {
      const api = await leftBehind(stored);
      const behind = await api.wait();
      if (stored === 'before asking') await api.stop(behind).expect(200);
      if (stored !== 'in line') api.world.pass(11_000);
      const [next, other] = [buildProcess(api.world), buildProcess(api.world)];
      await Promise.all([next.reconcile(), other.reconcile()]);
      await eventually(() => api.world.capacity.waiting[0] === api.allocationId);
      expect(reasons(api.task(api.id))).toEqual(['Pending requested', 'Pending waiting_for_capacity']);
      await api.stop(api.first).expect(200);
      await api.until(api.id, 'Running');
      expect(heldBy(api.world, api.id)).toEqual([api.allocationId]);
      if (stored !== 'before asking') await api.stop(behind).expect(200);
      await eventually(() => [next, other].every(({ settler }) => !settler.isUnderWay(api.id)));
      await expectBalance(api.world);
    },
  );

  test('when it is granted and nobody hears of it for a lease, then the capacity is back and the task says so', async () => {
    const api = await leftBehind('in line');
    await api.stop(api.first).expect(200);
    expect(heldBy(api.world, api.id)).toEqual([api.allocationId]);
    api.world.pass(LEASE_MS);
    expect(api.world.capacity.held.size).toBe(0);
    await buildProcess(api.world).reconcile();
    await api.until(api.id, 'Error');
    expect(api.task(api.id).outcome?.problem?.code).toBe('task.start_interrupted');
    expect([api.world.capacity.held.size, api.world.capacity.waiting]).toEqual([0, []]);
  });

  test('when it is granted and the next process hears of it late in the lease, then it has a whole one', async () => {
    const api = await leftBehind('in line');
    await api.stop(api.first).expect(200);
    api.world.pass(LEASE_MS - 1_000);
    await buildProcess(api.world).reconcile();
    await api.until(api.id, 'Running');
    api.world.pass(LEASE_MS - 1_000);
    expect(heldBy(api.world, api.id)).toEqual([api.allocationId]);
  });

  test('when nobody looked before its wait was over, then it ends as one that waited in vain', async () => {
    const api = await leftBehind('before the answer');
    api.world.pass(WAIT_MS + 1_000);
    await buildProcess(api.world).reconcile();
    await api.until(api.id, 'Error');
    expect(api.task(api.id).outcome?.problem?.code).toBe('allocation.insufficient_capacity');
  });

  test('when allocation is away, then it waits on, and starts when that is back', async () => {
    const api = await open();
    const second = await api.wait();
    api.world.capacity.away = true;
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(api.task(second).status).toBe('Pending');
    api.world.capacity.away = false;
    await api.stop(api.first).expect(200);
    await api.until(second, 'Running');
  });

  test('when allocation does not answer the first request, then 503, and nothing of it stays in the line', async () => {
    const api = await open();
    api.world.capacity.losesAnswers = true;
    const answer = await api.start({ ...body, waitSeconds: 60 });
    expect([answer.status, answer.body.code]).toEqual([503, 'task.capacity_unavailable']);
    expect(api.world.capacity.waiting).toEqual([]);
  });
});
