import { z } from 'zod';
import { invalid } from '../errors';
import type { Input, Output } from './route';

/** Query fields of every list. */
export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  cursor: z.string().max(500).optional().meta({ description: 'From the `Link` header of the page before.' }),
};

/**
 * Keyset of the last row of a page: the list goes on behind it, so rows that come or go meanwhile neither repeat nor
 * hide others. `at` is the sort time, `id` breaks ties.
 */
export interface Keyset {
  at: string;
  id: string;
}

const keysetSchema = z.tuple([z.iso.datetime(), z.uuid()]);

export function encodeCursor(keyset: Keyset): string {
  return Buffer.from(JSON.stringify([keyset.at, keyset.id])).toString('base64url');
}

/** @throws AppError `request.invalid` for a cursor that we did not make */
export function decodeCursor(cursor: string | undefined): Keyset | undefined {
  if (cursor === undefined) return undefined;
  let raw: unknown;
  try {
    raw = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    raw = undefined;
  }
  const parsed = keysetSchema.safeParse(raw);
  if (!parsed.success) throw invalid([{ field: 'query.cursor', message: 'is not a cursor of this list' }]);
  return { at: parsed.data[0], id: parsed.data[1] };
}

/**
 * Answers a list. `rows` holds up to `limit + 1` entries: the extra one only tells that there is a next page (RFC 8288).
 */
export function pageOutput<T>(
  input: Pick<Input<unknown, unknown, unknown>, 'url'>,
  limit: number,
  rows: readonly T[],
  keysetOf: (row: T) => Keyset,
  present: (row: T) => unknown,
): Output {
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  if (rows.length <= limit || last === undefined) return { status: 200, body: page.map(present) };
  const next = new URL(input.url);
  next.searchParams.set('cursor', encodeCursor(keysetOf(last)));
  return {
    status: 200,
    headers: { Link: `<${next.pathname}${next.search}>; rel="next"` },
    body: page.map(present),
  };
}
