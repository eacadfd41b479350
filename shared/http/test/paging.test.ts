import { z } from 'zod';
import { AppError } from '../../errors';
import { decodeCursor, encodeCursor, pageOutput, pageQuery, type Keyset } from '../paging';

const keyset: Keyset = { at: '2026-11-23T09:30:00.123456Z', id: '0b0f9a52-4c0e-4f5e-9a39-5d2a1a6f3c11' };

test('a cursor comes back as it was made, to the microsecond', () => {
  expect(decodeCursor(encodeCursor(keyset))).toEqual(keyset);
  expect(decodeCursor(undefined)).toBeUndefined();
});

test.each([
  ['nothing', ''],
  ['no base64', '***'],
  ['no JSON', Buffer.from('hello').toString('base64url')],
  ['no keyset', Buffer.from('{"at":1}').toString('base64url')],
  ['an SQL attempt', Buffer.from('["2026-11-23T09:30:00Z","\' OR 1=1"]').toString('base64url')],
])('a cursor that is %s: 400 that names it', (_name, cursor) => {
  expect(() => decodeCursor(cursor)).toThrow(AppError);
  expect(() => decodeCursor(cursor)).toThrow(/query\.cursor/);
});

test.each([
  [{}, 100],
  [{ limit: '1' }, 1],
  [{ limit: '1000' }, 1000],
])('limit of %p is %p', (query, limit) => {
  expect(z.object(pageQuery).parse(query).limit).toBe(limit);
});

test.each(['0', '-1', '1001', '1.5', 'many', ''])('limit %p is refused', (limit) => {
  expect(z.object(pageQuery).safeParse({ limit }).success).toBe(false);
});

describe('a page', () => {
  const url = new URL('http://localhost/resource_pools?name=a%20b&limit=2&cursor=old');
  const rows = [
    '0b0f9a52-4c0e-4f5e-9a39-5d2a1a6f3c11',
    '1b0f9a52-4c0e-4f5e-9a39-5d2a1a6f3c11',
    '2b0f9a52-4c0e-4f5e-9a39-5d2a1a6f3c11',
  ].map((id) => ({ id, at: keyset.at }));
  const page = (given: typeof rows) =>
    pageOutput(
      { url },
      2,
      given,
      (row) => row,
      ({ id }) => id,
    );

  test('links to the next one with the same filters, behind its own last row', () => {
    const output = page(rows);
    expect(output.body).toEqual([rows[0]!.id, rows[1]!.id]);
    const link = /^<(.*)>; rel="next"$/.exec(output.headers!['Link']!)![1]!;
    const next = new URL(link, 'http://localhost');
    expect(link.startsWith('/resource_pools?')).toBe(true);
    expect([next.searchParams.get('name'), next.searchParams.get('limit')]).toEqual(['a b', '2']);
    expect(next.searchParams.getAll('cursor').map(decodeCursor)).toEqual([{ at: keyset.at, id: rows[1]!.id }]);
  });

  test('that is the last has no link, even when it is full', () => {
    expect(page(rows.slice(0, 2)).headers).toBeUndefined();
    expect(page([])).toEqual({ status: 200, body: [] });
  });
});
