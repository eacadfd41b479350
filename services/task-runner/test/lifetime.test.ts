import { hasCode } from '../../../shared/errors';
import { active, dueOf, endOf, extended, shownStay, warned } from '../domain/lifetime';
import { samplingSeconds } from '../domain/service-type';
import { running, starting, type Task } from '../domain/task';
import { isActivity, rateBetween, type Counters } from '../domain/usage';
import { buildLifetime, buildTask } from './build-task';

/** So many seconds after the task began to run. */
const at = (seconds: number): string => new Date(Date.parse('2026-11-23T09:00:00.000Z') + seconds * 1000).toISOString();

const BOTH = buildLifetime({ idleTimeout: 600, maxAge: 3600, warnBefore: 120, maxExtension: 1800 });
const IDLE = buildLifetime({ idleTimeout: 600, warnBefore: 120 });
const AGE = buildLifetime({ maxAge: 3600 });
const FOR_EVER = buildLifetime();

function runs(stay: Partial<Task['stay']> = {}): Task {
  const seen = { containerId: 'c', port: 1, iframeUrl: 'http://x/', at: at(0) };
  const task = running(starting(buildTask(), at(0)), seen);
  return { ...task, stay: { ...task.stay, ...stay } };
}

describe('when a task ends unless something happens', () => {
  test.each([
    ['idle from its start', BOTH, {}, { at: at(600), reason: 'idle_timeout' }],
    ['idle from when it was last active', IDLE, { activeUntil: at(100) }, { at: at(700), reason: 'idle_timeout' }],
    ['too old before it is idle for too long', BOTH, { activeUntil: at(3001) }, { at: at(3600), reason: 'max_age' }],
    ['both at once: it is idle', BOTH, { activeUntil: at(3000) }, { at: at(3600), reason: 'idle_timeout' }],
    ['old, and activity ends nothing', AGE, { activeUntil: at(9000) }, { at: at(3600), reason: 'max_age' }],
    ['kept longer than it would stay', BOTH, { keptUntil: at(700) }, { at: at(700), reason: 'idle_timeout' }],
    ['kept shorter than it stays anyway', BOTH, { keptUntil: at(500) }, { at: at(600), reason: 'idle_timeout' }],
    ['nothing limits it', FOR_EVER, { keptUntil: at(700) }, undefined],
  ])('%s', (_, lifetime, stay, end) => {
    expect(endOf(runs(stay), lifetime)).toEqual(end);
  });

  test('a task that has not begun to run has no end, and none to be warned of', () => {
    expect(endOf(buildTask(), BOTH)).toBeUndefined();
    expect(dueOf(buildTask(), BOTH, at(9000))).toBe('nothing');
    expect(() => warned(buildTask(), BOTH, at(0))).toThrow('has no end to be warned of');
  });
});

describe('what is due', () => {
  test.each([
    ['before the warning', IDLE, {}, 479, 'nothing'],
    ['two minutes before the end', IDLE, {}, 480, 'warning'],
    ['after the end, but nobody warned', IDLE, {}, 5000, 'warning'],
    ['warned of, and not there yet', IDLE, { warnedOf: at(600) }, 599, 'nothing'],
    ['warned of, and there', IDLE, { warnedOf: at(600) }, 600, 'end'],
    ['another end was warned of', IDLE, { warnedOf: at(500) }, 600, 'warning'],
    ['without warnings, before the end', AGE, {}, 3599, 'nothing'],
    ['without warnings, at the end', AGE, {}, 3600, 'end'],
  ])('%s', (_, lifetime, stay, now, due) => {
    expect(dueOf(runs(stay), lifetime, at(now))).toBe(due);
  });

  test('a warning that comes late leaves its whole time all the same, and tells which end it is', () => {
    const late = warned(runs(), IDLE, at(550));
    expect(late.stay).toMatchObject({ keptUntil: at(670), warnedOf: at(670) });
    expect(late.history.at(-1)).toEqual({ status: 'Running', at: at(550), reason: 'idle_soon', actor: 'system' });
    expect(warned(runs(), AGE, at(10)).history.at(-1)?.reason).toBe('expires_soon');
  });
});

describe('activity', () => {
  test('is written a tenth of the idle time ahead, at most a minute, and only once it is over', () => {
    expect(active(runs(), IDLE, at(10))?.stay.activeUntil).toBe(at(70));
    expect(active(runs(), buildLifetime({ idleTimeout: 100 }), at(10))?.stay.activeUntil).toBe(at(20));
    expect(active(runs({ activeUntil: at(70) }), IDLE, at(70))).toBeUndefined();
    expect(active(runs({ activeUntil: at(70) }), IDLE, at(71))?.stay.activeUntil).toBe(at(131));
  });

  test('counts for nothing where it ends nothing, or before the task runs', () => {
    expect(active(runs(), AGE, at(10))).toBeUndefined();
    expect(active(buildTask(), IDLE, at(10))).toBeUndefined();
  });

  test('is more CPU or more network than nobody uses, on average between two samples', () => {
    const before: Counters = { at: at(0), cpuNanos: 5e9, networkRxBytes: 1000, networkTxBytes: 2000 };
    const after = (cpuNanos: number, rx = 0, tx = 0, seconds = 10): Counters => ({
      ...{ at: at(seconds), cpuNanos: 5e9 + cpuNanos },
      ...{ networkRxBytes: 1000 + rx, networkTxBytes: 2000 + tx },
    });
    expect(rateBetween(before, after(2e9, 300, 200))).toEqual({ cpuCores: 0.2, networkRate: 50 });
    expect(rateBetween(before, after(0))).toEqual({ cpuCores: 0, networkRate: 0 });
    // the later sample is not later, or the container was started anew
    const none = [after(1e9, 0, 0, 0), after(1e9, 0, 0, -1), after(-1), after(0, -1)];
    expect(none.map((each) => rateBetween(before, each))).toEqual(none.map(() => undefined));
    expect(isActivity(before, after(0.5e9), IDLE)).toBe(false);
    expect(isActivity(before, after(0.51e9), IDLE)).toBe(true);
    expect(isActivity(before, after(0, 5120, 5120), IDLE)).toBe(false);
    expect(isActivity(before, after(0, 5120, 5130), IDLE)).toBe(true);
    expect(isActivity(before, after(9e9, 0, 0, 0), IDLE)).toBe(false);
  });

  test.each([
    [{}, 30],
    [{ idleTimeout: 600, maxAge: 3600 }, 30],
    [{ idleTimeout: 100 }, 10],
    [{ maxAge: 50 }, 5],
    [{ maxAge: 600, warnBefore: 20 }, 10],
    [{ idleTimeout: 3 }, 1],
  ])('of tasks that may stay %j it is looked for every %d s', (lifetime, seconds) => {
    expect(samplingSeconds(buildLifetime(lifetime))).toBe(seconds);
  });
});

describe('an end that is put off', () => {
  const asked = (seconds: number) => ({ seconds, key: null });
  const by = { at: at(60), actor: 'somebody' };

  test('is so much later, and its history tells by whom', () => {
    const task = extended(runs(), BOTH, asked(300), by);
    expect(endOf(task, BOTH)?.at).toBe(at(900));
    expect(task.history.at(-1)).toEqual({ status: 'Running', at: at(60), reason: 'extended', actor: 'somebody' });
  });

  test('is put off by no more than the operator allows, all times together', () => {
    const once = extended(runs(), BOTH, asked(1200), by);
    const twice = extended(once, BOTH, asked(600), by);
    expect(twice.stay.extensions).toEqual([asked(1200), asked(600)]);
    expect(endOf(twice, BOTH)?.at).toBe(at(2400));
    expect(() => extended(once, BOTH, asked(660), by)).toThrow(
      expect.objectContaining({
        code: 'task.extension_refused',
        facts: { minutes: 11, leftMinutes: 10, maxExtension: 1800, extended: 1200 },
      }),
    );
  });

  test('that is not there is not put off', () => {
    let refusal: unknown;
    try {
      extended(runs(), FOR_EVER, asked(60), by);
    } catch (error) {
      refusal = error;
    }
    expect(hasCode(refusal, 'task.never_expires')).toBe(true);
  });
});

describe('what its owner is shown', () => {
  test.each([
    ['just started', {}, 0, { expiresAt: at(600), idleSince: at(0) }],
    ['active a moment ago', { activeUntil: at(100) }, 99, { expiresAt: at(700), idleSince: null }],
    ['idle again', { activeUntil: at(100) }, 100, { expiresAt: at(700), idleSince: at(100) }],
  ])('%s', (_, stay, now, shown) => {
    expect(shownStay(runs(stay), IDLE, at(now))).toEqual(shown);
  });

  test('nothing of a task that does not run, whose type is gone, or that may stay for ever', () => {
    const nothing = { expiresAt: null, idleSince: null };
    expect(shownStay({ ...runs(), status: 'Stopping' }, IDLE, at(9))).toEqual(nothing);
    expect(shownStay(runs(), undefined, at(9))).toEqual(nothing);
    expect(shownStay(runs(), FOR_EVER, at(9))).toEqual(nothing);
    expect(shownStay(runs(), AGE, at(9))).toEqual({ expiresAt: at(3600), idleSince: null });
  });
});
