import { randomUUID } from 'node:crypto';
import { IdPlaces } from '../ledger-audit/id-places';

test('of many ids each is known with the place where it was seen first', () => {
  const places = new IdPlaces(4);
  const ids = Array.from({ length: 5_000 }, () => randomUUID());
  expect(ids.map((id, place) => places.put(id, place)).filter((before) => before !== null)).toEqual([]);
  expect(places.size).toBe(5_000);
  expect(ids.filter((id) => !places.has(id))).toEqual([]);
  expect(ids.map((id) => places.put(id, 7))).toEqual(ids.map((_, place) => place));
  expect(places.has(randomUUID())).toBe(false);
});
