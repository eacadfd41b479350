/**
 * What can go wrong, said in the words of the domain. `kind` decides the HTTP status (shared/http/problem.ts holds the one
 * table); `code` is a published contract that never changes; `detail` is a sentence that says what to do.
 */
export type ErrorKind =
  | 'invalid'
  | 'unauthenticated'
  | 'forbidden'
  | 'not_found'
  | 'not_acceptable'
  | 'conflict'
  | 'precondition_failed'
  | 'too_large'
  | 'unsupported_media_type'
  | 'unprocessable'
  | 'rate_limited'
  | 'upstream_failed'
  | 'unavailable';

/** What a field held that it may not. `field` is a path such as `body.capacity`. */
export interface FieldFault {
  field: string;
  message: string;
}

export interface ErrorOptions {
  /** Members that are added to the problem document, for example `{ requested: 5, available: 2 }`. */
  facts?: Record<string, unknown>;
  /** Seconds after which another try makes sense; sent as `Retry-After`. */
  retryAfter?: number;
  cause?: unknown;
}

export class AppError extends Error {
  readonly kind: ErrorKind;
  readonly code: string;
  readonly facts: Record<string, unknown>;
  readonly retryAfter: number | undefined;

  constructor(kind: ErrorKind, code: string, detail: string, options: ErrorOptions = {}) {
    super(detail, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'AppError';
    this.kind = kind;
    this.code = code;
    this.facts = options.facts ?? {};
    this.retryAfter = options.retryAfter;
  }
}

/** A part that this service needs does not answer; the caller may try again after `retryAfter` seconds. */
export function unavailable(code: string, detail: string, cause?: unknown, retryAfter = 2): AppError {
  return new AppError('unavailable', code, detail, { retryAfter, ...(cause === undefined ? {} : { cause }) });
}

export function invalid(faults: FieldFault[]): AppError {
  const names = faults.map((fault) => fault.field).join(', ');
  return new AppError('invalid', 'request.invalid', `Correct these fields and send the request again: ${names}.`, {
    facts: { errors: faults },
  });
}

/** An Idempotency-Key stands for one content: with another one it is refused, wherever that is found out. */
export function idempotencyKeyReused(): AppError {
  return new AppError(
    'unprocessable',
    'request.idempotency_key_reused',
    'This Idempotency-Key was used for another request; use a new key for new content.',
  );
}

/** True for an error of ours with that code. */
export function hasCode(error: unknown, code: string): error is AppError {
  return error instanceof AppError && error.code === code;
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
