import { extensionRefused, neverExpires } from './errors';
import type { Lifetime } from './service-type';
import type { EndReason, Extension } from './stay';
import type { Task } from './task';

/** How long a running task may stay: until it has been idle for too long, or is too old. Pure; time is an input. */

export type Staying = Pick<Task, 'startTime' | 'stay'>;

export interface End {
  at: string;
  reason: EndReason;
}

export const WARNING_OF = { idle_timeout: 'idle_soon', max_age: 'expires_soon' } as const;

/** By so much of the idle timeout, and no more than so many seconds, activity is written ahead. */
const EAGERNESS = { share: 0.1, seconds: 60 };

/** When and why it will end unless something happens; undefined when nothing limits it, or it has not begun to run. */
export function endOf({ startTime, stay }: Staying, { idleTimeout, maxAge }: Lifetime): End | undefined {
  if (startTime === null) return undefined;
  const idle = idleTimeout === null ? null : plus(stay.activeUntil ?? startTime, idleTimeout);
  const old = maxAge === null ? null : plus(startTime, maxAge);
  if (idle !== null && (old === null || idle <= old))
    return { at: later(idle, stay.keptUntil), reason: 'idle_timeout' };
  return old === null ? undefined : { at: later(old, stay.keptUntil), reason: 'max_age' };
}

/** What its owner is shown of it. */
export interface ShownStay {
  /** When it ends unless something happens; null when nothing limits it, or it does not run. */
  expiresAt: string | null;
  /** Null while it counts as active, and where that ends nothing. */
  idleSince: string | null;
}

export function shownStay(
  task: Staying & Pick<Task, 'status'>,
  lifetime: Lifetime | undefined,
  now: string,
): ShownStay {
  if (task.status !== 'Running' || !lifetime) return { expiresAt: null, idleSince: null };
  const idle = lifetime.idleTimeout === null ? null : (task.stay.activeUntil ?? task.startTime);
  return {
    expiresAt: endOf(task, lifetime)?.at ?? null,
    idleSince: idle !== null && idle <= now ? idle : null,
  };
}

/** What is to be done about its end now. An end that was not warned of in time is warned of first. */
export function dueOf(task: Staying, lifetime: Lifetime, now: string): 'nothing' | 'warning' | 'end' {
  const end = endOf(task, lifetime);
  if (!end) return 'nothing';
  if (lifetime.warnBefore === 0 || task.stay.warnedOf === end.at) return now >= end.at ? 'end' : 'nothing';
  return now >= plus(end.at, -lifetime.warnBefore) ? 'warning' : 'nothing';
}

/** Something was done in it, or for it. @returns undefined when nothing needs to be written for that */
export function active<T extends Staying>(task: T, { idleTimeout }: Lifetime, at: string): T | undefined {
  const counted = task.stay.activeUntil ?? task.startTime;
  if (idleTimeout === null || counted === null || at <= counted) return undefined;
  const ahead = Math.min(idleTimeout * EAGERNESS.share, EAGERNESS.seconds);
  return { ...task, stay: { ...task.stay, activeUntil: plus(at, ahead) } };
}

/** Its owner is told of its end, which is then `warnBefore` away, however late that was noticed. */
export function warned(task: Task, lifetime: Lifetime, at: string): Task {
  const end = endOf(task, lifetime);
  if (!end) throw new Error(`task ${task.id} has no end to be warned of`);
  const kept = later(end.at, plus(at, lifetime.warnBefore));
  const { status, history } = task;
  return {
    ...task,
    stay: { ...task.stay, keptUntil: kept, warnedOf: kept },
    history: [...history, { status, at, reason: WARNING_OF[end.reason], actor: 'system' }],
  };
}

/**
 * Its end is put off.
 * @throws `task.never_expires`, `task.extension_refused` beyond what the operator allows in all
 */
export function extended(
  task: Task,
  lifetime: Lifetime,
  extension: Extension,
  by: { at: string; actor: string },
): Task {
  const end = endOf(task, lifetime);
  if (!end) throw neverExpires();
  const before = task.stay.extensions.reduce((sum, { seconds }) => sum + seconds, 0);
  const left = lifetime.maxExtension - before;
  if (extension.seconds > left) {
    throw extensionRefused({
      minutes: extension.seconds / 60,
      maxExtension: lifetime.maxExtension,
      extended: before,
      left,
    });
  }
  const { status, history } = task;
  return {
    ...task,
    stay: {
      ...task.stay,
      keptUntil: plus(end.at, extension.seconds),
      extensions: [...task.stay.extensions, extension],
    },
    history: [...history, { status, at: by.at, reason: 'extended', actor: by.actor }],
  };
}

function plus(time: string, seconds: number): string {
  return new Date(Date.parse(time) + seconds * 1000).toISOString();
}

function later(a: string, b: string | null): string {
  return b !== null && b > a ? b : a;
}
