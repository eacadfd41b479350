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

/** What `parseCursor` reads. */
export function writeCursor(content: unknown): string {
  return Buffer.from(JSON.stringify(content)).toString('base64url');
}

export function encodeCursor(keyset: Keyset): string {
  return writeCursor([keyset.at, keyset.id]);
}

/** @throws AppError `request.invalid` for a cursor that we did not make */
export function decodeCursor(cursor: string | undefined): Keyset | undefined {
  if (cursor === undefined) return undefined;
  const parsed = keysetSchema.safeParse(parseCursor(cursor));
  if (!parsed.success) throw invalid([{ field: 'query.cursor', message: 'is not a cursor of this list' }]);
  return { at: parsed.data[0], id: parsed.data[1] };
}

/** Where a page of a list that is read both ways begins: behind one row, or in front of one; neither: at the start. */
export interface Position {
  after?: Keyset | undefined;
  before?: Keyset | undefined;
}

const BEFORE = 'before';
const beforeSchema = z.tuple([z.literal(BEFORE), z.string()]);

function encodeBefore(keyset: Keyset): string {
  return writeCursor([BEFORE, encodeCursor(keyset)]);
}

/** @throws AppError `request.invalid` for a cursor that we did not make */
export function decodePosition(cursor: string | undefined): Position {
  const before = beforeSchema.safeParse(parseCursor(cursor));
  return before.success ? { before: decodeCursor(before.data[1]) } : { after: decodeCursor(cursor) };
}

/** Undefined for one that nobody made. */
export function parseCursor(cursor: string | undefined): unknown {
  try {
    return cursor === undefined ? undefined : JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
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
  return pageByCursor(input, limit, rows, (row) => encodeCursor(keysetOf(row)), present);
}

/** As `pageOutput`, for a list with a cursor of its own. */
export function pageByCursor<T>(
  input: Pick<Input<unknown, unknown, unknown>, 'url'>,
  limit: number,
  rows: readonly T[],
  cursorOf: (row: T) => string,
  present: (row: T) => unknown,
): Output {
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  const links = rows.length > limit && last !== undefined ? [linkTo(input.url, 'next', cursorOf(last))] : [];
  return answer(page.map(present), links);
}

/**
 * Answers a list that is read both ways. `rows` holds, in the list's order, up to `limit + 1` entries nearest to
 * `position`: the extra one, at the far end, only tells that the list goes on there.
 */
export function pageBothWays<T>(
  input: Pick<Input<unknown, unknown, unknown>, 'url'>,
  limit: number,
  position: Position,
  rows: readonly T[],
  keysetOf: (row: T) => Keyset,
  present: (row: T) => unknown,
): Output {
  const backwards = position.before !== undefined;
  const goesOn = rows.length > limit;
  const page = backwards ? rows.slice(-limit) : rows.slice(0, limit);
  const [first, last] = [page[0], page.at(-1)];
  if (first === undefined || last === undefined) return answer([], []);
  // the row that the cursor names lies on the side that we came from
  const next = backwards || goesOn ? [linkTo(input.url, 'next', encodeCursor(keysetOf(last)))] : [];
  const prev = (backwards ? goesOn : position.after !== undefined)
    ? [linkTo(input.url, 'prev', encodeBefore(keysetOf(first)))]
    : [];
  return answer(page.map(present), [...next, ...prev]);
}

function linkTo(url: URL, rel: string, cursor: string): string {
  const target = new URL(url);
  target.searchParams.set('cursor', cursor);
  return `<${target.pathname}${target.search}>; rel="${rel}"`;
}

function answer(body: unknown[], links: string[]): Output {
  return { status: 200, ...(links.length > 0 ? { headers: { Link: links.join(', ') } } : {}), body };
}
