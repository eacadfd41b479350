import { AppError, messageOf, unavailable } from '../errors';

/** A write lost against another one, or a key exists that must not: read again and decide anew. */
export class ConflictError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ConflictError';
  }
}

/** An answer of the sidecar that is no success. */
export class SidecarError extends Error {
  constructor(
    readonly part: string,
    readonly status: number | undefined,
    readonly text: string,
  ) {
    super(`${part}: ${status ?? 'no answer'}: ${text.slice(0, 500)}`);
    this.name = 'SidecarError';
  }
}

/**
 * The one place where Dapr's answers are told apart, by its texts where it has no codes: a transaction with a stale ETag
 * is a 500 (test/e2e/state.test.ts holds this against the real store).
 */
const CONFLICT = /etag mismatch|no item was updated|invalid etag|40001|40P01|deadlock detected|could not serialize/i;

/** What nats.go says of a connection that it will not make again; while it still tries, the text is another. */
export const isForGood = (text: string): boolean => text.includes('nats: connection closed');

/** Turns whatever a call of the sidecar threw into a ConflictError, the called app's own error, or a 503. */
export function classify(part: string, error: unknown): Error {
  if (error instanceof AppError || error instanceof ConflictError) return error;
  const answer = error instanceof SidecarError ? error : sdkError(part, error);
  if (part === 'state store' && (CONFLICT.test(answer.text) || answer.status === 409))
    return new ConflictError(answer.text);
  return (
    problemOf(answer) ??
    unavailable(
      `${part.replaceAll(/[\s-]/g, '_')}.unavailable`,
      `The ${part} does not answer now; try again shortly.`,
      answer,
    )
  );
}

/** The SDK throws Error(JSON of {error, error_msg, status}). */
function sdkError(part: string, error: unknown): SidecarError {
  try {
    const { status, error_msg: text } = JSON.parse(messageOf(error)) as { status?: number; error_msg?: string };
    if (typeof status === 'number') return new SidecarError(part, status, text ?? '');
  } catch {
    // not of the SDK's form: a network error, whose message says it
  }
  return new SidecarError(part, undefined, messageOf(error));
}

/** An invoked app's problem document, as the error that it was there. */
function problemOf(answer: SidecarError): AppError | undefined {
  if (answer.status === undefined || answer.status >= 500) return undefined;
  try {
    const {
      type,
      title: _title,
      status: _status,
      code,
      detail,
      request_id: _id,
      ...facts
    } = JSON.parse(answer.text) as Record<string, unknown>;
    if (typeof type !== 'string' || typeof code !== 'string' || typeof detail !== 'string') return undefined;
    const kind =
      answer.status === 404
        ? 'not_found'
        : answer.status === 409
          ? 'conflict'
          : answer.status === 400
            ? 'invalid'
            : undefined;
    return kind && new AppError(kind, code, detail, { facts });
  } catch {
    return undefined;
  }
}
