import type { Request, Response } from 'express';
import { AppError } from '../errors';
import type { Route } from './route';

/**
 * The media type to answer in: of those that the route offers, the one that `Accept` prefers (RFC 9110 §12.5.1), the
 * first where it says nothing. A route that offers only one answers in that, whatever `Accept` says.
 * @throws AppError `request.not_acceptable` (406)
 */
export function negotiate(route: Route, request: Request, response: Response): string {
  const first = route.mediaType ?? 'application/json';
  if (!route.alternatives) return first;
  response.vary('Accept');
  const offered = [first, ...Object.keys(route.alternatives)];
  // a client that names the charset as well asks for the same
  const chosen = request.accepts(offered.map((type) => `${type}; charset=utf-8`));
  if (chosen === false) {
    throw new AppError('not_acceptable', 'request.not_acceptable', `Accept one of these: ${offered.join(', ')}.`, {
      facts: { offered },
    });
  }
  return String(chosen).split(';')[0] ?? first;
}
