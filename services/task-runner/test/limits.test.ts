import { randomUUID } from 'node:crypto';
import { bearer } from '../../../shared/testing/api';
import { buildProcess, buildServiceType, openApi } from './support/build';

const user = randomUUID();
const open = () => openApi(bearer('user', user), 100_000);

describe('limits on open tasks', () => {
  test.each([
    ['user_and_service_type', { tasks: 9, tasksPerUser: 3 }, { tasks: 9, tasksPerUser: 9 }],
    ['user', { tasks: 9, tasksPerUser: 9 }, { tasks: 9, tasksPerUser: 3 }],
    ['service_type', { tasks: 3, tasksPerUser: 9 }, { tasks: 9, tasksPerUser: 9 }],
    ['all', { tasks: 9, tasksPerUser: 9 }, { tasks: 3, tasksPerUser: 9 }],
  ])(
    'when eight are asked for at once and three of scope %s are allowed, then three run and five get 429 with the facts',
    async (scope, ofType, ofAll) => {
      const { world, start } = await open();
      world.types.set('small', buildServiceType({ name: 'small', limits: ofType }));
      Object.assign(world.limits, ofAll);
      const answers = await Promise.all(Array.from({ length: 8 }, () => start({ userId: user, serviceType: 'small' })));
      expect(answers.map(({ status }) => status).sort()).toEqual([201, 201, 201, 429, 429, 429, 429, 429]);
      const refused = answers.find(({ status }) => status === 429);
      expect(refused?.body).toMatchObject({ code: 'task.limit_reached', scope, limit: 3, open: 3 });
      expect(refused?.headers['retry-after']).toBe('10');
      expect(world.store.all()).toHaveLength(3);
      expect(world.capacity.held.size).toBe(3);
    },
  );

  test('when the places of one user are taken, then others and other types start all the same', async () => {
    const { world, start } = await open();
    world.types.set('small', buildServiceType({ name: 'small', limits: { tasks: 9, tasksPerUser: 1 } }));
    await start({ userId: user, serviceType: 'small' }).expect(201);
    await start({ userId: user, serviceType: 'small' }).expect(429);
    await start({ userId: user, serviceType: 'demo' }).expect(201);
    const other = randomUUID();
    await start({ userId: other, serviceType: 'small' }, bearer('user', other)).expect(201);
  });

  test('when a task ends, however, or is refused, then its place is free', async () => {
    const { world, service, start, stop } = await open();
    world.limits.tasksPerUser = 1;
    const again = async (): Promise<string> => {
      const { body } = await start({ userId: user, serviceType: 'demo' }).expect(201);
      return (body as { taskId: string }).taskId;
    };
    await stop(await again()).expect(200);
    const crashed = await again();
    world.runtime.exit(crashed, 3);
    await service.endTask.ofDeadContainer(crashed);
    await start({ userId: user, serviceType: 'no-image' }).expect(502);
    await stop(await again()).expect(200);
  });

  test('when a start is abandoned by a crash, then it has its place until it is found, and no longer', async () => {
    const { world, start } = await open();
    world.limits.tasksPerUser = 1;
    world.store.interfere = (when, task) => {
      if (when === 'after' && task.status === 'Pending') throw new Error('killed');
    };
    await start({ userId: user, serviceType: 'demo' }).expect(500);
    world.store.interfere = () => undefined;
    await start({ userId: user, serviceType: 'demo' }).expect(429);
    world.pass(11_000);
    await buildProcess(world).reconcile();
    await start({ userId: user, serviceType: 'demo' }).expect(201);
  });

  test('when the request that took the last place comes again with its key, then it is the same task and no 429', async () => {
    const { world, start } = await open();
    world.limits.tasksPerUser = 1;
    const ask = () => start({ userId: user, serviceType: 'demo' }).set('Idempotency-Key', 'k');
    const answers = await Promise.all([ask(), ask(), ask()]);
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    expect(answers[0]?.status).toBe(201);
    expect(world.store.all()).toHaveLength(1);
  });
});
