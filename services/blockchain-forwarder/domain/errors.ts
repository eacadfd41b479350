import { AppError, unavailable } from '../../../shared/errors';

/** Also where the caller may not know that the record exists. */
export function usageNotFound(): AppError {
  return new AppError(
    'not_found',
    'usage.not_found',
    'There is no usage record of yours with this id; list /api/usage to see yours.',
  );
}

export function letterNotFound(): AppError {
  return new AppError('not_found', 'dead_letter.not_found', 'There is no such dead letter.');
}

export function letterNotOpen(state: string): AppError {
  return new AppError('conflict', 'dead_letter.not_open', `The letter is ${state} already.`, { facts: { state } });
}

export function sinkNotConfigured(sink: string): AppError {
  return new AppError(
    'conflict',
    'dead_letter.sink_not_configured',
    `The sink ${sink} is not configured any more; configure it again, or drop the letter.`,
  );
}

export function letterContended(): AppError {
  return unavailable('dead_letter.contended', 'Others write the same now; read the letter, and try again.');
}

export function alreadyCorrected(by: string | null): AppError {
  return new AppError(
    'conflict',
    'usage.already_corrected',
    'Another record corrects this one already; correct that one instead.',
    { facts: { correctedBy: by } },
  );
}

/** @param why ends the sentence "The correction is refused: …" */
export function correctionRefused(why: string): AppError {
  return new AppError('unprocessable', 'usage.correction_refused', `The correction is refused: ${why}.`);
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
