import { randomUUID } from 'node:crypto';
import { ConflictError } from '../../../shared/dapr/sidecar-error';
import { abandoned, newPool, redescribe, withPending, type Pool } from '../domain/pool';
import type { PoolCatalogue } from '../ports/pool-catalogue';
import { buildPool, describePool } from './support/builders';

/** What every adapter of PoolCatalogue promises. */
export function describePoolCatalogue(name: string, connect: () => PoolCatalogue): void {
  describe(`the pool catalogue: ${name}`, () => {
    let catalogue: PoolCatalogue;
    const made = new Set<string>();
    // others may use the same store: lists are looked at through a location of their own, and what is pending is pending
    // since a time that no sweeper will see
    const location = `contract ${randomUUID()}`;
    let second = 0;
    const later = () => new Date(Date.UTC(2999, 0, 1) + (second += 1) * 1000).toISOString();

    beforeAll(() => {
      catalogue = connect();
    });
    afterAll(async () => {
      for (const id of made) {
        const stored = await catalogue.get(id);
        if (stored) await catalogue.remove(stored);
      }
    });

    async function insert(overrides: Partial<Pool> = {}): Promise<Pool> {
      const pool = buildPool({ location, createdAt: later(), ...overrides });
      made.add(pool.id);
      await catalogue.insert(pool);
      return pool;
    }

    test('what was inserted is read back, whatever is pending', async () => {
      const now = later();
      const base = buildPool({ location });
      const opening = newPool(randomUUID(), describePool({ location }), now, randomUUID());
      const pools: Pool[] = [
        base,
        opening,
        abandoned({ ...opening, id: randomUUID() }, now),
        {
          ...redescribe(base, describePool({ location, totalCapacity: 9, labels: { a: 'b' } }), 'drain', now),
          id: randomUUID(),
        },
        withPending({ ...base, id: randomUUID() }, { kind: 'close' }, now),
      ];
      for (const pool of pools) {
        made.add(pool.id);
        await catalogue.insert(pool);
        expect((await catalogue.get(pool.id))?.pool).toEqual(pool);
      }
      expect(await catalogue.get(randomUUID())).toBeUndefined();
    });

    test('a replaced pool can be replaced again with what came back, and with what was read before it cannot', async () => {
      const pool = await insert();
      const first = (await catalogue.get(pool.id))!;
      const second = await catalogue.replace(first, { ...pool, version: 2 });
      expect(second.pool.version).toBe(2);
      await expect(catalogue.replace(first, { ...pool, version: 3 })).rejects.toBeInstanceOf(ConflictError);
      await expect(catalogue.remove(first)).rejects.toBeInstanceOf(ConflictError);
      const third = await catalogue.replace(second, { ...pool, version: 3 });
      await catalogue.remove(third);
      expect(await catalogue.get(pool.id)).toBeUndefined();
      await expect(catalogue.replace(third, pool)).rejects.toBeInstanceOf(ConflictError);
      await expect(catalogue.remove(third)).rejects.toBeInstanceOf(ConflictError);
    });

    test('a pool and what its Idempotency-Key stands for come and go together', async () => {
      const key = randomUUID();
      expect(await catalogue.remembered(key)).toBeUndefined();
      const [pool, other] = [buildPool({ location }), buildPool({ location })];
      made.add(pool.id);
      const answer = { key, fingerprint: 'a', poolId: pool.id };
      await catalogue.insert(pool, answer);
      expect(await catalogue.remembered(key)).toEqual(answer);
      await expect(catalogue.insert(other, { ...answer, poolId: other.id })).rejects.toBeInstanceOf(ConflictError);
      expect(await catalogue.get(other.id)).toBeUndefined();
      await catalogue.remove((await catalogue.get(pool.id))!, key);
      expect(await catalogue.remembered(key)).toBeUndefined();
    });

    test('an id that is taken is not inserted over', async () => {
      const pool = await insert();
      await expect(catalogue.insert({ ...pool, name: 'other' })).rejects.toBeInstanceOf(ConflictError);
      expect((await catalogue.get(pool.id))?.pool.name).toBe(pool.name);
    });

    test('a list holds what is visible, oldest first, filtered, and goes on behind a keyset', async () => {
      const place = `contract ${randomUUID()}`;
      const one = await insert({ location: place, name: 'one' });
      const two = await insert({ location: place, name: 'two', resourceType: 'CPU' });
      const three = await insert({ location: place, name: 'one', resourceType: 'CPU' });
      await insert({ location: place, pending: { kind: 'open', requestKey: null }, pendingSince: later() });
      await insert({ location: place, pending: { kind: 'abandon', requestKey: null }, pendingSince: later() });
      const closing = await insert({ location: place, pending: { kind: 'close' }, pendingSince: later() });
      const ids = async (filter: object) =>
        (await catalogue.list({ location: place, limit: 10, ...filter })).map(({ id }) => id);
      expect(await ids({})).toEqual([one.id, two.id, three.id, closing.id]);
      expect(await ids({ name: 'one' })).toEqual([one.id, three.id]);
      expect(await ids({ resourceType: 'CPU' })).toEqual([two.id, three.id]);
      expect(await ids({ name: 'one', resourceType: 'CPU' })).toEqual([three.id]);
      const labelled = await insert({ location: place, labels: { a: 'b', 'it’s': '"q"' }, state: 'cordoned' });
      expect(await ids({ labels: [['a', 'b']] })).toEqual([labelled.id]);
      expect(await ids({ state: 'cordoned', labels: [['it’s', '"q"']] })).toEqual([labelled.id]);
      expect(
        await ids({
          labels: [
            ['a', 'b'],
            ['a', 'c'],
          ],
        }),
      ).toEqual([]);
      expect(await ids({ state: 'open', labels: [['a', 'b']] })).toEqual([]);
      expect(await ids({ limit: 2 })).toEqual([one.id, two.id]);
      expect(await ids({ after: { at: two.createdAt, id: two.id } })).toEqual([three.id, closing.id, labelled.id]);
      expect(await ids({ name: "'; DROP TABLE state; --" })).toEqual([]);
      expect((await catalogue.list({ location: place, limit: 1 }))[0]).toEqual(one);
    });

    test('unsettled are those that have been pending since before, the longest first', async () => {
      const since = (month: number) => new Date(Date.UTC(2998, month, 1)).toISOString();
      const newer = await insert({ pending: { kind: 'close' }, pendingSince: since(2) });
      const older = await insert({ pending: { kind: 'close' }, pendingSince: since(1) });
      await insert({ pending: { kind: 'close' }, pendingSince: since(4) });
      await insert();
      const found = await catalogue.unsettled(since(3));
      expect(found.filter((id) => made.has(id))).toEqual([older.id, newer.id]);
    });
  });
}
