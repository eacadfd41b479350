import { AppError, messageOf } from '../../../shared/errors';
import { runtimeUnavailable, startFailed } from '../domain/errors';

/** Beyond it an engine counts as away. Making or stopping a container may take longer. */
export const ANSWER_MS = 5_000;
export const START_MS = 60_000;

/** An engine that is refused, cut off or silent is away; what it answers itself keeps its status. */
export async function ask<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const cut = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(runtimeUnavailable(`no answer in ${ms} ms`));
      cut.abort();
    }, ms);
  });
  try {
    return await Promise.race([work(cut.signal), late]);
  } catch (error) {
    throw error instanceof AppError || statusOf(error) !== undefined ? error : runtimeUnavailable(error);
  } finally {
    clearTimeout(timer);
  }
}

/** The engine's HTTP status, when it answered at all. */
export function statusOf(error: unknown): number | undefined {
  const status: unknown = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
  return typeof status === 'number' ? status : undefined;
}

export function refusedStart(error: unknown): unknown {
  if (error instanceof AppError) return error;
  if (statusOf(error) === undefined) return runtimeUnavailable(error);
  // Docker's own words may hold paths of the host: they go to the log as the cause, not to the caller
  return startFailed(`The container could not be started; an operator finds the reason in the log.`, messageOf(error));
}
