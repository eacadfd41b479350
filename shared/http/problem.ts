import { z } from 'zod';
import { AppError, type ErrorKind } from '../errors';

/** The one place where a kind of error gets its status: a new kind without one does not compile. */
export const STATUS: Record<ErrorKind, number> = {
  invalid: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  not_acceptable: 406,
  conflict: 409,
  precondition_failed: 412,
  too_large: 413,
  unsupported_media_type: 415,
  unprocessable: 422,
  rate_limited: 429,
  upstream_failed: 502,
  unavailable: 503,
};

const TITLE: Record<number, string> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  406: 'Not Acceptable',
  409: 'Conflict',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
};

/** RFC 9457 problem document; `code` is stable, further members depend on it. */
export const problemSchema = z
  .looseObject({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.string().meta({ example: 'pool.not_found' }),
    detail: z.string(),
    request_id: z.string(),
    errors: z
      .array(z.object({ field: z.string(), message: z.string() }))
      .optional()
      .meta({ description: 'Every bad field, with code `request.invalid`.' }),
  })
  .meta({ id: 'Problem' });

export interface Problem {
  status: number;
  headers: Record<string, string>;
  body: Record<string, unknown>;
}

/** What the caller is told of an error. Of one that is not ours it learns nothing but the request id. */
export function toProblem(error: unknown, requestId: string): Problem {
  const known = error instanceof AppError ? error : undefined;
  const status = known ? STATUS[known.kind] : 500;
  const code = known?.code ?? 'internal';
  return {
    status,
    headers: {
      ...(known?.retryAfter === undefined ? {} : { 'Retry-After': String(Math.ceil(known.retryAfter)) }),
      ...(status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {}),
    },
    body: {
      ...known?.facts,
      type: `urn:resource-manager:error:${code}`,
      title: TITLE[status] ?? 'Error',
      status,
      code,
      detail: known?.message ?? 'Something went wrong on our side; report the request_id if it happens again.',
      request_id: requestId,
    },
  };
}
