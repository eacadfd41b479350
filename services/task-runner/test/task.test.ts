import { hasCode } from '../../../shared/errors';
import { outcomeOfExit, outcomeOfStop } from '../domain/outcome';
import { ended, hasEnded, isLegal, isOpen, running, starting, stopping, TASK_STATUSES } from '../domain/task';
import { fillIn, unknownPlaceholders } from '../domain/service-type';
import { startFailed } from '../domain/errors';
import { buildTask } from './build-task';

const AT = '2026-11-23T09:00:00.000Z';
const LATER = '2026-11-23T09:05:00.000Z';
const seen = { containerId: 'c', port: 1, iframeUrl: 'http://x/', at: AT };
const gone = { at: LATER, finishedAt: null, exitCode: null, capacityState: 'returned' as const };

describe('the life of a task', () => {
  test('when it moves, then only along the written transitions', () => {
    const legal = TASK_STATUSES.flatMap((from) =>
      TASK_STATUSES.filter((to) => isLegal(from, to)).map((to) => `${from} -> ${to}`),
    );
    expect(legal).toEqual([
      'Pending -> Pulling',
      'Pending -> Starting',
      'Pending -> Stopping',
      'Pulling -> Starting',
      'Pulling -> Stopping',
      'Starting -> Running',
      'Starting -> Stopping',
      'Running -> Stopping',
      'Stopping -> Stopped',
      'Stopping -> Error',
    ]);
    expect(() => running(buildTask(), seen)).toThrow('cannot go from Pending to Running');
  });

  test('when it runs and is stopped, then its history tells each step, and it stays open until its capacity is back', () => {
    const task = buildTask({ createdAt: AT });
    const stopped = ended(stopping(running(starting(task, AT), seen), outcomeOfStop(task, task.userId, LATER)), {
      ...gone,
      capacityState: 'held',
    });
    expect(stopped).toMatchObject({ status: 'Stopped', startTime: AT, stopTime: LATER });
    expect(stopped.history.map(({ status, reason }) => `${status} ${reason}`)).toEqual([
      'Pending requested',
      'Starting capacity_taken',
      'Running ready',
      'Stopping stopped_by_user',
      'Stopped stopped_by_user',
    ]);
    expect([hasEnded(stopped), isOpen(stopped), isOpen({ ...stopped, capacityState: 'returned' })]).toEqual([
      true,
      true,
      false,
    ]);
  });

  test("when the container's clock is behind, then the use does not end before it began", () => {
    const task = running(starting(buildTask(), AT), { ...seen, at: LATER });
    const outcome = outcomeOfExit({ exitCode: 0, finishedAt: AT, oomKilled: false }, LATER);
    expect(ended(stopping(task, outcome), gone).stopTime).toBe(LATER);
  });

  test.each([
    [{ exitCode: 0, finishedAt: AT, oomKilled: false }, 'Stopped', 'exited'],
    [{ exitCode: 3, finishedAt: AT, oomKilled: false }, 'Error', 'crashed'],
    [{ exitCode: 137, finishedAt: AT, oomKilled: true }, 'Error', 'oom_killed'],
    [undefined, 'Error', 'container_lost'],
  ])('when a container ends with %j, then the task is %s: %s', (exit, status, reason) => {
    expect(outcomeOfExit(exit, LATER)).toMatchObject({ status, reason, actor: 'system' });
  });
});

test('when a template names a value of the task, then it is filled in, and JSON braces stay', () => {
  const values = { taskId: 't', userId: 'u', token: 's', frameAncestors: "'self'" };
  expect(fillIn('{"a":{"csp":"frame-ancestors {frameAncestors}"}} {token}', values)).toBe(
    `{"a":{"csp":"frame-ancestors 'self'"}} s`,
  );
  expect(unknownPlaceholders('{taskId} {tokn} {"json":1}')).toEqual(['tokn']);
});

test('when an error is made, then its code is one of the published', () => {
  expect(hasCode(startFailed('x'), 'task.start_failed')).toBe(true);
});
