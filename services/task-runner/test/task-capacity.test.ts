import {
  waitOver,
  isRefusal,
  isSpent,
  limitReached,
  noContainer,
  pullFailed,
  imageMissing,
  startFailed,
} from '../domain/errors';
import {
  outcomeOfExit,
  outcomeOfFailure,
  outcomeOfLostCapacity,
  outcomeOfStay,
  outcomeOfStop,
} from '../domain/outcome';
import { changed, checkPlaces, NO_PLACES } from '../domain/places';
import * as life from '../domain/task';
import { AppError } from '../../../shared/errors';
import { buildTask } from './build-task';

const AT = '2026-11-23T09:00:00.000Z';
const LATER = '2026-11-23T09:05:00.000Z';
const seen = { containerId: 'c', port: 8, iframeUrl: 'http://x/', at: AT };
const waiter = () => buildTask({ createdAt: AT, waitSeconds: 300, priority: 3 });
const lastStep = ({ history }: life.Task) => history.at(-1);

describe('capacity of a task', () => {
  test('when it may wait, then it says until when, and waits once its pool has put it into its line', () => {
    expect(waiter()).toMatchObject({ priority: 3, wait: { until: LATER, inLine: false }, capacityState: 'wanted' });
    expect(life.isWaiting(waiter())).toBe(false);
    const inLine = life.waiting(waiter(), LATER);
    expect(inLine.wait).toEqual({ until: LATER, inLine: true });
    expect(lastStep(inLine)).toEqual({ status: 'Pending', at: LATER, reason: 'waiting_for_capacity', actor: 'system' });
    expect(life.isWaiting(inLine)).toBe(true);
    expect(life.isWaiting(life.starting(inLine, LATER))).toBe(false);
  });

  test('when it may not wait, or has begun already, then it does not', () => {
    expect(buildTask()).toMatchObject({ priority: 0, wait: null });
    expect(life.isWaiting(buildTask())).toBe(false);
    expect(() => life.waiting(buildTask(), AT)).toThrow('cannot wait in state Pending');
    expect(() => life.waiting(life.starting(waiter(), AT), AT)).toThrow('cannot wait in state Starting');
  });

  test('when it is granted, then it is held, whether its image is there or has to be fetched first', () => {
    const pulling = life.pulling(buildTask(), AT);
    expect(pulling).toMatchObject({ status: 'Pulling', capacityState: 'held' });
    expect(lastStep(pulling)).toMatchObject({ reason: 'capacity_taken', actor: 'system', at: AT });
    expect(life.starting(buildTask(), AT)).toMatchObject({ status: 'Starting', capacityState: 'held' });
    expect(lastStep(life.starting(buildTask(), AT))).toMatchObject({ reason: 'capacity_taken', actor: 'system' });
    // it may have been lost during the pull
    const lost = life.starting(life.capacityLost(pulling, 'next', AT), LATER);
    expect(lost).toMatchObject({ status: 'Starting', capacityState: 'lost' });
    expect(lastStep(lost)).toEqual({ status: 'Starting', at: LATER, reason: 'image_pulled', actor: 'system' });
  });

  test('when its lease ran out, then it asks under another id, which it holds from then on', () => {
    const task = life.running(life.starting(buildTask({ allocationId: 'first' }), AT), seen);
    expect(life.wantedAllocation(task)).toBe('first');
    const lost = life.capacityLost(task, 'second', AT);
    expect(lost).toMatchObject({ status: 'Running', capacityState: 'lost', allocationId: 'first' });
    expect(lastStep(lost)).toEqual({ status: 'Running', at: AT, reason: 'lease_expired', actor: 'system' });
    expect(life.wantedAllocation(lost)).toBe('second');
    const again = life.capacityRetaken(lost, LATER);
    expect(again).toMatchObject({ capacityState: 'held', allocationId: 'second', nextAllocationId: null });
    expect(lastStep(again)).toEqual({ status: 'Running', at: LATER, reason: 'capacity_taken', actor: 'system' });
  });

  test('when a container of it may run, then it needs its capacity, and only then', () => {
    const uses = life.TASK_STATUSES.filter((status) => life.usesCapacity({ status }));
    expect(uses).toEqual(['Pulling', 'Starting', 'Running']);
    expect(life.mayHaveContainer(life.pulling(buildTask(), AT))).toBe(false);
    expect(life.mayHaveContainer(life.starting(buildTask(), AT))).toBe(true);
  });
});

describe('how a task ends', () => {
  const running = () => life.running(life.starting(buildTask(), AT), seen);
  const gone = { at: LATER, finishedAt: null, exitCode: null, capacityState: 'returned' as const };
  const exit = { exitCode: 137, finishedAt: AT, oomKilled: true };

  test('when it runs, then where it is to be found is known', () => {
    expect(running()).toMatchObject({ containerId: 'c', port: 8, iframeUrl: 'http://x/', startTime: AT });
    expect(lastStep(running())).toEqual({ status: 'Running', at: AT, reason: 'ready', actor: 'system' });
  });

  test('when it is Stopped or Error, then it has ended; it is open until its capacity is back, and has its place from the start', () => {
    expect(life.TASK_STATUSES.filter((status) => life.hasEnded({ status }))).toEqual(['Stopped', 'Error']);
    expect(life.isOpen({ ...running(), capacityState: 'returned' })).toBe(true);
    expect(buildTask().placed).toBe(true);
  });

  test('when a person stops it, then its reason tells whether that was its user', () => {
    const by = (actor: string) => outcomeOfStop({ userId: 'me' }, actor, AT);
    expect(by('me')).toMatchObject({ status: 'Stopped', reason: 'stopped_by_user', actor: 'me', problem: null });
    expect(by('other')).toMatchObject({ status: 'Stopped', reason: 'stopped_by_admin', actor: 'other', problem: null });
  });

  test('when the outcome is decided, then only what the container tells on its way is added', () => {
    const outcome = outcomeOfStay('max_age', AT);
    expect(outcome).toEqual({
      ...{ status: 'Stopped', reason: 'max_age', actor: 'system', at: AT },
      ...{ finishedAt: null, exitCode: null, problem: null },
    });
    const stopping = life.stopping(running(), outcome);
    expect(stopping.outcome).toBe(outcome);
    const ended = life.ended(stopping, { ...gone, finishedAt: LATER, exitCode: 143 });
    expect(ended).toMatchObject({ stopTime: LATER, capacityState: 'returned', outcome: { exitCode: 143 } });
    const crashed = life.stopping(running(), outcomeOfExit({ ...exit, exitCode: 3, finishedAt: LATER }, LATER));
    expect(life.ended(crashed, { ...gone, finishedAt: AT, exitCode: 0 })).toMatchObject({
      ...{ status: 'Error', stopTime: LATER, outcome: { exitCode: 3 } },
    });
    expect(() => life.ended(running(), gone)).toThrow('ends without an outcome');
  });

  test('when it never ran, then its end is that of its outcome', () => {
    const failed = outcomeOfFailure({ kind: 'upstream_failed', code: 'runtime.pull_failed', detail: 'no' }, AT, ['x']);
    expect(failed).toEqual({
      ...{ status: 'Error', reason: 'pull_failed', actor: 'system', at: AT, finishedAt: null, exitCode: null },
      problem: { kind: 'upstream_failed', code: 'runtime.pull_failed', detail: 'no', logTail: ['x'] },
    });
    expect(life.ended(life.stopping(buildTask(), failed), gone).stopTime).toBe(AT);
  });

  test.each([
    ['memory ran out for a child, and the program ended well', { ...exit, exitCode: 0 }, 'exited'],
    ['memory ran out, and nobody knows with which code', { ...exit, exitCode: null }, 'oom_killed'],
    ['it ended, and nobody knows with which code', { ...exit, exitCode: null, oomKilled: false }, 'container_lost'],
  ])('when %s, then it is %s', (_, how, reason) => {
    expect(outcomeOfExit(how, LATER)).toMatchObject({ reason, at: LATER, finishedAt: AT, exitCode: how.exitCode });
  });

  test('when it failed, then the problem has its code and the last that the program wrote', () => {
    const { problem } = outcomeOfExit({ ...exit, oomKilled: false }, LATER, ['oops']);
    expect(problem).toMatchObject({ kind: 'upstream_failed', code: 'task.crashed', logTail: ['oops'] });
    expect(problem?.detail).toContain('137');
    expect(outcomeOfExit(undefined, LATER)).toMatchObject({
      finishedAt: null,
      exitCode: null,
      problem: { logTail: [] },
    });
    const lost = outcomeOfLostCapacity('pool.cordoned', AT);
    expect(lost).toMatchObject({ status: 'Error', reason: 'capacity_lost', problem: { code: 'task.capacity_lost' } });
    expect(lost.problem).toMatchObject({ kind: 'upstream_failed', logTail: [] });
    expect(lost.problem?.detail).toContain('pool.cordoned');
  });
});

describe('places of open tasks', () => {
  const limits = { all: { tasks: 4, tasksPerUser: 3 }, type: { tasks: 3, tasksPerUser: 2 } };
  const none = NO_PLACES;

  test.each([
    ['user', { total: 3, byType: { demo: 2 } }, { total: 4, byType: { demo: 3 } }, 3, 3],
    ['user_and_service_type', { total: 2, byType: { demo: 2 } }, { total: 4, byType: { demo: 3 } }, 2, 2],
    ['all', none, { total: 4, byType: { demo: 3 } }, 4, 4],
    ['service_type', none, { total: 3, byType: { demo: 3 } }, 3, 3],
  ])('when several are full, then the nearest is named: %s', (scope, own, everybody, limit, open) => {
    expect(() => checkPlaces(limits, 'demo', everybody, own)).toThrow(
      expect.objectContaining({ code: 'task.limit_reached', facts: { scope, limit, open } }),
    );
  });

  test('when one is left everywhere, then it may start', () => {
    const own = { total: 2, byType: { demo: 1, other: 1 } };
    expect(() => checkPlaces(limits, 'demo', { total: 3, byType: { demo: 2, other: 1 } }, own)).not.toThrow();
    expect(() => checkPlaces(limits, 'demo', none, none)).not.toThrow();
  });

  test('when tasks come and go, then they are counted by type, and nothing is kept of a type without any', () => {
    const one = changed(NO_PLACES, 'demo', 1);
    expect(one).toEqual({ total: 1, byType: { demo: 1 } });
    expect(changed(changed(one, 'demo', 1), 'other', 1)).toEqual({ total: 3, byType: { demo: 2, other: 1 } });
    expect(changed(one, 'demo', -1)).toEqual(NO_PLACES);
    expect(changed(NO_PLACES, 'demo', -1)).toEqual(NO_PLACES);
  });
});

describe('what is said', () => {
  test.each([
    ['user', 'open tasks of one user,'],
    ['user_and_service_type', 'open tasks of type "demo" of one user,'],
    ['all', 'open tasks in all,'],
    ['service_type', 'open tasks of type "demo" in all,'],
  ])('when the limit of scope %s is reached, then whose it is', (scope, words) => {
    const { message, retryAfter } = limitReached({ scope, limit: 3, open: 3, serviceType: 'demo' });
    expect(message).toContain(words);
    expect(retryAfter).toBe(10);
  });

  test('when it waited in vain, then until when, and the numbers where its pool names them', () => {
    const refusal = (facts: object) =>
      waitOver(
        new AppError('conflict', 'allocation.insufficient_capacity', 'Too few.', { facts: { ...facts } }),
        LATER,
      );
    expect(refusal({ requested: 4, available: 1 })).toMatchObject({
      kind: 'conflict',
      code: 'allocation.insufficient_capacity',
      message: `It waited until ${LATER}. 4 units were asked for, 1 are free. Too few.`,
    });
    for (const facts of [{}, { requested: 4 }, { available: 1 }]) {
      expect(refusal(facts).message).toBe(`It waited until ${LATER}. Too few.`);
    }
  });

  test('when a pool refuses, then that is told from what is spent and from what is broken', () => {
    const error = (code: string) => new AppError('conflict', code, '');
    const codes = ['pool.cordoned', 'allocation.queue_full', 'allocation.given_back', 'allocation.unavailable'];
    expect(codes.filter((code) => isRefusal(error(code)))).toEqual(['pool.cordoned', 'allocation.queue_full']);
    expect(codes.filter((code) => isSpent(error(code)))).toEqual(['allocation.given_back']);
  });

  test('when a registry says why, then its words are passed on', () => {
    expect(pullFailed('web:1', 'denied').message).toContain('fetched (denied);');
    expect(imageMissing('web:1').message).toContain('its registry;');
  });

  test.each([
    [(cause?: unknown) => pullFailed('web:1', 'denied', cause), 'runtime.pull_failed'],
    [(cause?: unknown) => startFailed('It did not become ready.', cause), 'task.start_failed'],
  ])('when a start fails (%#), then what it was caused by is kept for the log, where there is one', (failed, code) => {
    const cause = new Error('EOF');
    expect(failed(cause)).toMatchObject({ kind: 'upstream_failed', code, cause });
    expect('cause' in failed()).toBe(false);
  });

  test('when there is no container, then whether to wait for one', () => {
    expect(noContainer('Pulling', false)).toMatchObject({
      ...{ kind: 'conflict', code: 'task.no_container', facts: { status: 'Pulling' } },
      message: expect.stringContaining('try again') as string,
    });
    expect(noContainer('Error', true).message).toContain('error.logTail');
  });
});
