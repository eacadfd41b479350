import { REFUSED_GRANTS } from '../../../shared/contracts/inventory';
import { AppError, hasCode, unavailable } from '../../../shared/errors';

/** Everything that can go wrong with a task. The codes are a published contract. */

export function taskNotFound(id: string): AppError {
  return new AppError('not_found', 'task.not_found', `There is no task ${id} that you may see.`);
}

export function unknownServiceType(name: string, known: readonly string[]): AppError {
  const detail =
    known.length === 0
      ? `There is no service type "${name}"; the operator has not configured any yet.`
      : `There is no service type "${name}"; use one of: ${known.join(', ')}.`;
  return new AppError('invalid', 'task.unknown_service_type', detail, { facts: { known } });
}

export function notForOthers(): AppError {
  return new AppError(
    'forbidden',
    'task.not_for_others',
    'Only an administrator starts tasks for, or lists tasks of, other users.',
  );
}

export function poolMissing(pool: string, serviceType: string): AppError {
  return unavailable(
    'task.pool_missing',
    `Service type "${serviceType}" takes its capacity from a pool named "${pool}", which does not exist; an administrator creates it.`,
    undefined,
    30,
  );
}

export function runtimeUnavailable(cause: unknown): AppError {
  return unavailable('runtime.unavailable', 'The container runtime does not answer now; try again shortly.', cause, 5);
}

export function capacityUnavailable(cause: unknown): AppError {
  return unavailable(
    'task.capacity_unavailable',
    'Capacity cannot be taken or given back now; try again shortly.',
    cause,
    2,
  );
}

/** @param words what the registry said, fit to be shown; empty when none was asked */
export function imageMissing(image: string, words = ''): AppError {
  return new AppError(
    'upstream_failed',
    'runtime.image_missing',
    `The image ${image} is neither on the container host nor to be had from its registry${saying(words)}; an operator brings it there, or corrects the service type.`,
  );
}

/** @param words what the registry said, fit to be shown */
export function pullFailed(image: string, words: string, cause?: unknown): AppError {
  return new AppError(
    'upstream_failed',
    'runtime.pull_failed',
    `The image ${image} could not be fetched${saying(words)}; try again, or ask an operator.`,
    cause === undefined ? {} : { cause },
  );
}

function saying(words: string): string {
  return words === '' ? '' : ` (${words})`;
}

/** The pool gives no capacity for the task, and holds none for it. */
export function isRefusal(error: unknown): error is AppError {
  return [...REFUSED_GRANTS, 'allocation.queue_full'].some((code) => hasCode(error, code));
}

/** What was, or might have been, taken under this id has ended; the id is never granted again. */
export function isSpent(error: unknown): boolean {
  return hasCode(error, 'allocation.given_back');
}

/** The container could not be made, ended before it was ready, or did not become ready in time. */
export function startFailed(detail: string, cause?: unknown): AppError {
  return new AppError('upstream_failed', 'task.start_failed', detail, cause === undefined ? {} : { cause });
}

/** @param refusal what its pool says at the end of the wait */
export function waitOver({ kind, code, message, facts }: AppError, until: string): AppError {
  const { requested, available } = facts;
  const known = typeof requested === 'number' && typeof available === 'number';
  const numbers = known ? ` ${requested} units were asked for, ${available} are free.` : '';
  return new AppError(kind, code, `It waited until ${until}.${numbers} ${message}`);
}

/** Nobody carried its start on for too long. */
export function startInterrupted(): AppError {
  const detail = 'The service was interrupted before the container was made; start a new task.';
  return new AppError('upstream_failed', 'task.start_interrupted', detail);
}

/** Somebody stopped the task before it was ready. */
export function startCancelled(): AppError {
  return new AppError('conflict', 'task.cancelled', 'The task was stopped before it was ready.');
}

/**
 * There may be no more open tasks of that kind now.
 * @param reached.open how many there are
 */
export function limitReached(reached: { scope: string; limit: number; open: number; serviceType: string }): AppError {
  const whose = reached.scope.startsWith('user') ? 'of one user' : 'in all';
  const which = reached.scope.endsWith('service_type') ? ` of type "${reached.serviceType}"` : '';
  const detail = `There may be ${reached.limit} open tasks${which} ${whose}, and there are ${reached.open}; stop one, or try again later.`;
  const { serviceType: _, ...facts } = reached;
  return new AppError('rate_limited', 'task.limit_reached', detail, { facts, retryAfter: 10 });
}

/** Only a running task can be active, or has an end that can be put off. */
export function notRunning(status: string): AppError {
  return new AppError('conflict', 'task.not_running', `The task is ${status}, not Running.`, { facts: { status } });
}

/** @param ended what is left of it then is told by the task itself */
export function noContainer(status: string, ended: boolean): AppError {
  const detail = ended
    ? 'The task has ended and its container is gone; the last that a failed one wrote is in `error.logTail` of the task.'
    : 'The task has no container that runs now; try again when it is Running.';
  return new AppError('conflict', 'task.no_container', detail, { facts: { status } });
}

export function neverExpires(): AppError {
  return new AppError(
    'conflict',
    'task.never_expires',
    'Nothing ends a task of this type, so there is no end to put off.',
  );
}

/** @param asked all but `minutes` in seconds */
export function extensionRefused(asked: {
  minutes: number;
  maxExtension: number;
  extended: number;
  left: number;
}): AppError {
  const left = Math.floor(asked.left / 60);
  const detail = `Its end can be put off by ${left} more minutes, not by ${asked.minutes}; save your work, or ask an operator.`;
  const { minutes, maxExtension, extended } = asked;
  return new AppError('conflict', 'task.extension_refused', detail, {
    facts: { minutes, leftMinutes: left, maxExtension, extended },
  });
}

export function volumeNotFound(name: string): AppError {
  return new AppError('not_found', 'volume.not_found', `There is no volume ${name} that you may see.`);
}

export function volumeInUse(): AppError {
  return new AppError('conflict', 'volume.in_use', 'A task uses the volume; stop it first.');
}

/** The stored row is not the one that was read; whoever gets it reads again. */
export function versionConflict(): AppError {
  return new AppError('conflict', 'task.version_conflict', 'The task changed meanwhile; read it again.');
}
