// Slow: 54 kills, after each of which the service starts again.
import { randomUUID } from 'node:crypto';
import { StepProxy, type Point } from './support/step-proxy';
import { allReady, call, eventually, kill, tokenFor } from './support/system';
import { atRest, expectBalance, expectEventsOnce, stopAllTasks, tasksIn } from './support/task-books';
import { TaskRunnerReplica } from './support/task-runner-replica';
import { containersOf, type Started } from './support/tasks';

/**
 * Issue 5, proof: kill -9 of task-runner at every numbered step of a start and a stop, 54 rounds. The instance's own one is
 * held down meanwhile, so that nobody else carries on what the killed one left.
 */

jest.setTimeout(300_000);

/** Each changes something; between two of them there is nothing to lose. */
const START = [
  ...['store Pending', 'take', 'store Starting', 'create', 'start', 'store Running'],
  ...['publish task.started', 'forget task.started'],
];
const STOP = [
  ...['store Stopping', 'stop', 'remove', 'give back', 'store Stopped'],
  ...['publish task.stopped', 'publish usage.ended', 'forget task.stopped'],
];

/** Killed at the first point, and every next process at its own; the use ends by DELETE, or because the program exits. */
interface Round {
  ends: 'deleted' | 'exited';
  kills: Point[];
}

const both = (step: string): Point[] => [
  { step, moment: 'before' },
  { step, moment: 'after' },
];
const once = (ends: Round['ends'], points: Point[]): Round[] => points.map((point) => ({ ends, kills: [point] }));
const twice = (...[step1, moment1, step2, moment2]: [string, Point['moment'], string, Point['moment']]): Round => ({
  ends: 'deleted',
  kills: [
    { step: step1, moment: moment1 },
    { step: step2, moment: moment2 },
  ],
});

/** The task stays Pending: nobody knows whether its caller still waits, until 10 s have passed. They come last. */
const abandons = ({ kills: [first] }: Round): boolean =>
  ['store Pending after', 'take before', 'take after', 'store Starting before'].includes(
    `${first?.step} ${first?.moment}`,
  );

const ALL: Round[] = [
  ...once('deleted', [...START, ...STOP].flatMap(both)),
  ...once('exited', STOP.flatMap(both)),
  twice('store Starting', 'after', 'create', 'after'),
  twice('create', 'after', 'start', 'before'),
  twice('start', 'after', 'store Running', 'before'),
  twice('store Stopping', 'after', 'stop', 'after'),
  twice('stop', 'after', 'remove', 'after'),
  twice('remove', 'before', 'give back', 'after'),
];
const ROUNDS = [...ALL.filter((round) => !abandons(round)), ...ALL.filter(abandons)];

const proxy = new StepProxy();
const users: string[] = [];
let own: { release: () => void } | undefined;
let replica: TaskRunnerReplica;

beforeAll(async () => {
  await stopAllTasks();
  own = kill('task-runner', { hold: true });
  await proxy.start();
  replica = await TaskRunnerReplica.start(proxy.env);
});
afterAll(async () => {
  await replica.stop();
  proxy.stop();
  own?.release();
  await eventually('everything is ready', allReady, 60_000);
});

/** A start, and, when its event is told, its end. */
async function live(user: string, ends: Round['ends']): Promise<void> {
  const token = tokenFor(user, 'user');
  const { url } = replica;
  const from = proxy.steps.length;
  const { body } = await call('POST', `${url}/api/tasks`, { token, body: { userId: user, serviceType: 'demo' } });
  const { taskId, iframeUrl } = body as Started;
  await eventually('its start is told', () => proxy.steps.slice(from).includes('forget task.started'));
  if (ends === 'exited') await fetch(`${iframeUrl}exit?code=0`, { method: 'POST' });
  else await call('DELETE', `${url}/api/tasks/${taskId}`, { token });
}

test('when nothing happens, then a start and a stop have these steps, in this order', async () => {
  users.push(randomUUID());
  const from = proxy.steps.length;
  await live(users[0]!, 'deleted');
  await eventually('its end is told', () => proxy.steps.at(-1) === 'forget task.stopped');
  expect(proxy.steps.slice(from)).toEqual([...START, ...STOP]);
  await expectBalance(users);
});

describe(`kill -9 at every step, ${ROUNDS.length} rounds`, () => {
  const told = ({ ends, kills }: Round): string =>
    `${ends}, ${kills.map(({ step, moment }) => `${moment} "${step}"`).join(', then ')}`;

  test.each(ROUNDS.map((round) => [told(round), round] as const))(
    '%s: what is stored becomes true',
    async (_, round) => {
      const user = randomUUID();
      users.push(user);
      const [first, ...others] = round.kills;
      const struck = proxy.strikeAt(first!, () => void replica.kill());
      live(user, round.ends).catch(() => undefined); // its service dies, which is the point
      await within(20_000, struck);
      for (const point of others) {
        await replica.stop();
        const again = proxy.strikeAt(point, () => void replica.kill());
        replica = await TaskRunnerReplica.spawn(proxy.env);
        await within(20_000, again);
      }
      await replica.stop();
      replica = await TaskRunnerReplica.start(proxy.env);
      if (abandons(round)) {
        expect([(await tasksIn([user])).length, await containersOf()]).toEqual([1, []]);
        return;
      }
      const hasEnded = async (): Promise<boolean> => (await tasksIn([user]))[0]?.status === 'Stopped';
      await eventually('the task rests', round.ends === 'exited' ? hasEnded : () => atRest([user]));
      const tasks = await tasksIn([user]);
      expect(tasks).toHaveLength(first?.step === 'store Pending' ? 0 : 1);
      await expectBalance([user]);
      const token = tokenFor(user, 'user');
      for (const { id } of tasks) {
        expect((await call('DELETE', `${replica.url}/api/tasks/${id}`, { token })).status).toBe(200);
      }
      await expectBalance([user]);
    },
  );

  test('afterwards the starts whose callers are gone are given up, and every start and end was told exactly once', async () => {
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    await replica.stop();
    replica = await TaskRunnerReplica.start(proxy.env);
    await eventually('all tasks rest', () => atRest(users), 40_000);
    const tasks = await tasksIn(users);
    expect(tasks.filter(({ status }) => status === 'Error').length).toBe(ROUNDS.filter(abandons).length);
    expect(tasks.filter(({ status }) => status === 'Stopped')).toHaveLength(
      ROUNDS.length - ROUNDS.filter(abandons).length,
    );
    await expectBalance(users);
    await expectEventsOnce(users);
  });
});

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`not within ${ms / 1000} s; steps: ${proxy.steps.slice(-10).join(', ')}`)),
      ms,
    );
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
