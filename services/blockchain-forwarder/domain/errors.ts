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

/** @param why ends the sentence "There is no receipt yet: …" */
export function notAnchored(why: string): AppError {
  return new AppError('conflict', 'usage.not_anchored', `There is no receipt of this record yet: ${why}.`);
}

export function noSuchState(latest: number): AppError {
  return new AppError(
    'invalid',
    'ledger.no_such_state',
    `The ledger never was in such a state: from and to are numbers of batches, 1 <= from <= to <= ${latest}.`,
  );
}

export function noSuchBatch(): AppError {
  return new AppError(
    'not_found',
    'ledger.no_such_batch',
    'There is no such batch; /api/ledger tells how many there are.',
  );
}
