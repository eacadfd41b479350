import { randomUUID } from 'node:crypto';
import { IdPlaces } from '../ledger-audit/id-places';

test('of many ids each is known with the place where it was seen first', () => {
  const places = new IdPlaces(4);
  const ids = Array.from({ length: 5_000 }, () => randomUUID());
  for (const [place, id] of ids.entries()) expect(places.put(id, place)).toBeNull();
  expect(places.size).toBe(5_000);
  for (const [place, id] of ids.entries()) expect([places.has(id), places.put(id, 7)]).toEqual([true, place]);
  expect(places.has(randomUUID())).toBe(false);
});
