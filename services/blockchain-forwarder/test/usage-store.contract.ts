import { randomUUID } from 'node:crypto';
import type { StoredUsage } from '../domain/usage-record';
import type { UsageFilter, UsageStore } from '../ports/usage-store';
import { chunkOf, storedUsage } from './support/samples';

const at = (seconds: number): string =>
  new Date(Date.parse('2026-11-23T10:00:00.000Z') + seconds * 1_000).toISOString();

/** What every store keeps to: ports/usage-store.ts. Users are new in each test, so that a store may be shared. */
export function describeUsageStore(name: string, current: () => UsageStore): void {
  describe(`${name} as a usage store`, () => {
    let store: UsageStore;
    beforeEach(() => {
      store = current();
    });

    /** @returns the records as they are kept */
    async function insert(...usages: StoredUsage[]): Promise<StoredUsage[]> {
      const chunk = chunkOf(usages);
      expect(await store.insert(chunk.chunk, chunk.usages)).toBe(true);
      return chunk.usages;
    }

    describe('records', () => {
      it('when a record is inserted, then it is found, and an unknown id is not', async () => {
        const [usage] = await insert(await storedUsage());
        const id = usage!.record.id;
        const unknown = randomUUID();
        expect(await store.find([id, unknown])).toEqual(new Map([[id, usage]]));
        expect(await store.get(id)).toMatchObject({ usage });
        expect(await store.get(unknown)).toBeNull();
      });

      it('when one of several records is there already, then nothing is written', async () => {
        const [known] = await insert(await storedUsage());
        const fresh = await storedUsage();
        const { chunk, usages } = chunkOf([{ ...known!, contentHash: fresh.contentHash }, fresh]);
        expect(await store.insert(chunk, usages)).toBe(false);
        expect(await store.find([known!.record.id, fresh.record.id])).toEqual(new Map([[known!.record.id, known]]));
      });
    });

    describe('lists', () => {
      const list = async (filter: UsageFilter, limit = 10, after?: { at: string; id: string }) =>
        (await store.list(filter, { limit, after })).map(({ usage }) => usage);

      it('when paged, then every record comes once, newest end first, ties by id', async () => {
        const userId = randomUUID();
        const ends = [3, 1, 2, 2, 2, 5];
        const usages = await insert(
          ...(await Promise.all(ends.map((end) => storedUsage({ userId, stopTime: at(end) })))),
        );
        const expected = [...usages].sort((a, b) => {
          const [x, y] = [`${a.record.endedAt}${a.record.id}`, `${b.record.endedAt}${b.record.id}`];
          return x < y ? 1 : -1;
        });
        const seen: StoredUsage[] = [];
        for (let after: { at: string; id: string } | undefined; ;) {
          const page = await list({ userId }, 2, after);
          seen.push(...page);
          const last = page.at(-1);
          if (!last) break;
          after = { at: last.record.endedAt, id: last.record.id };
        }
        expect(seen).toEqual(expected);
      });

      it('when filtered by user, service type, kind and time, then only what fits all of them comes', async () => {
        const userId = randomUUID();
        const [usage] = await insert(
          await storedUsage({ userId, serviceType: 'jupyter', stopTime: at(0) }),
          await storedUsage({ userId, serviceType: 'demo', stopTime: at(0) }),
          await storedUsage({ userId, serviceType: 'jupyter', stopTime: at(60) }),
        );
        expect(await list({ userId, serviceType: 'jupyter', from: at(0), to: at(60) })).toEqual([usage]);
        expect(await list({ userId, kind: 'task' })).toHaveLength(3);
        expect(await list({ userId, kind: 'allocation' })).toEqual([]);
        expect(await list({ userId: randomUUID() })).toEqual([]);
      });
    });

    describe('corrections', () => {
      async function correctionOf(usage: StoredUsage): Promise<StoredUsage> {
        const fresh = await storedUsage();
        return { ...fresh, record: { ...fresh.record, version: 2, corrects: usage.record.id } };
      }

      it('when a record is corrected, then it stays as it is and tells by which', async () => {
        const [usage] = await insert(await storedUsage());
        const [correction] = await insert(await correctionOf(usage!));
        expect(await store.get(usage!.record.id)).toMatchObject({ usage, correctedBy: correction!.record.id });
        expect(await store.get(correction!.record.id)).toMatchObject({ usage: correction, correctedBy: null });
        const { userId } = usage!.record;
        const listed = await store.list({ userId }, { limit: 1_000 });
        expect(listed.find((each) => each.usage.record.id === usage!.record.id)?.correctedBy).toBe(
          correction!.record.id,
        );
      });

      it('when it is corrected once more, then nothing is written; the correction itself can be corrected', async () => {
        const [usage] = await insert(await storedUsage());
        const [correction] = await insert(await correctionOf(usage!));
        const { chunk, usages } = chunkOf([await correctionOf(usage!), await storedUsage()]);
        expect(await store.insert(chunk, usages)).toBe(false);
        expect((await store.find(usages.map(({ record }) => record.id))).size).toBe(0);
        await insert(await correctionOf(correction!));
      });
    });
  });
}
