import { AppError, unavailable } from '../../../shared/errors';

/** Also where the caller may not know that the record exists. */
export function usageNotFound(): AppError {
  return new AppError(
    'not_found',
    'usage.not_found',
    'There is no usage record of yours with this id; list /api/usage to see yours.',
  );
}

export function sinkUnavailable(sink: string, cause: unknown): AppError {
  return unavailable('usage.sink_unavailable', `The sink ${sink} cannot be asked now; try again shortly.`, cause, 10);
}
