import { randomUUID } from 'node:crypto';
import { canonicalHash } from '../domain/canonical-hash';
import type { FirstRecord, UsageRecord } from '../domain/usage-record';
import type { Grouping, SumPosition, UsageSum } from '../domain/usage-summary';
import type { UsageReports } from '../ports/usage-reports';
import type { UsageFilter, UsageStore } from '../ports/usage-store';
import { chunkOf, stored, usageRecord } from './support/samples';

const POOL = 'b7a1c1de-9d0f-4d11-8c62-52f0a3a0d7aa';

/** What all reports keep to: ports/usage-reports.ts. Users are new in each test, so that a store may be shared. */
export function describeUsageReports(name: string, current: () => { store: UsageStore; reports: UsageReports }): void {
  describe(`${name} as usage reports`, () => {
    let userId: string;
    let store: UsageStore;
    let reports: UsageReports;
    beforeEach(() => {
      userId = randomUUID();
      ({ store, reports } = current());
    });

    /** A use of this test's user, `seconds` long. */
    const use = (endedAt: string, seconds: number, fields: Partial<FirstRecord> = {}): FirstRecord => ({
      ...usageRecord(),
      userId,
      startedAt: new Date(Date.parse(endedAt) - seconds * 1000).toISOString(),
      endedAt,
      capacity: 2,
      ...fields,
    });
    const keep = async (...records: UsageRecord[]) => {
      const { chunk, usages } = chunkOf(await Promise.all(records.map(stored)));
      expect(await store.insert(chunk, usages)).toBe(true);
    };
    const summary = (by: Grouping, filter: UsageFilter = {}, limit = 100, after?: SumPosition) =>
      reports.summary({ userId, ...filter }, by, { limit, after });
    const short = (sums: UsageSum[]) =>
      sums.map((sum) => [sum.key, sum.count, Number(sum.milliseconds), Number(sum.unitMilliseconds)]);

    it('when there is nothing, then there is no group', async () => {
      expect(await summary('user')).toEqual([]);
    });

    it('when uses are summed up by user, then count, time and units × time come, to the millisecond', async () => {
      await keep(use('2026-11-23T10:00:00.000Z', 0.25), use('2026-11-23T11:00:00.000Z', 3.5, { capacity: 3 }));
      expect(await summary('user')).toEqual([
        { key: userId, count: 2, milliseconds: 3750n, unitMilliseconds: 11_000n },
      ]);
    });

    it('when a use has no capacity, or a clock went backwards, then it counts no unit-seconds, or no time', async () => {
      await keep(use('2026-11-23T10:00:00.000Z', 60, { capacity: null }), use('2026-11-23T11:00:00.000Z', -5));
      expect(short(await summary('user'))).toEqual([[userId, 2, 60_000, 0]]);
    });

    it('when a sum is beyond 2^53, then it is exact all the same', async () => {
      const capacity = Number.MAX_SAFE_INTEGER;
      await keep(use('2026-11-23T10:00:00.000Z', 3600.001, { capacity }), use('2026-11-23T10:00:00.000Z', 1));
      const [sum] = await summary('user');
      expect(sum?.unitMilliseconds).toBe(BigInt(capacity) * 3_600_001n + 2_000n);
    });

    it('when summed up by day or month, then it is that of the end in UTC, in order of time', async () => {
      await keep(
        use('2026-12-01T00:00:00.000Z', 7200),
        use('2026-11-30T23:59:59.999Z', 1),
        use('2026-11-02T12:00:00.000Z', 1),
      );
      expect((await summary('day')).map(({ key }) => key)).toEqual(['2026-11-02', '2026-11-30', '2026-12-01']);
      expect(short(await summary('month'))).toEqual([
        ['2026-11', 2, 2_000, 4_000],
        ['2026-12', 1, 7_200_000, 14_400_000],
      ]);
    });

    it('when summed up by what only some have, then the most unit-seconds come first and the rest is under null', async () => {
      const serviceId = randomUUID();
      await keep(
        use('2026-11-23T10:00:00.000Z', 1, { serviceType: 'demo' }),
        use('2026-11-23T10:00:00.000Z', 3, { serviceType: 'jupyter' }),
        use('2026-11-23T10:00:00.000Z', 2, { kind: 'allocation', serviceType: null, serviceId }),
      );
      expect((await summary('serviceType')).map(({ key }) => key)).toEqual(['jupyter', null, 'demo']);
      expect(short(await summary('service'))).toEqual([
        [null, 2, 4_000, 8_000],
        [serviceId, 1, 2_000, 4_000],
      ]);
      expect(short(await summary('pool'))).toEqual([[POOL, 3, 6_000, 12_000]]);
    });

    it('when filtered, then from is included and to is not, and type and kind are honoured', async () => {
      const at = (second: number) => `2026-11-23T10:00:0${second}.000Z`;
      await keep(use(at(1), 1), use(at(2), 1), use(at(3), 1, { kind: 'allocation', serviceType: null }));
      const count = async (filter: UsageFilter) => (await summary('user', filter))[0]?.count ?? 0;
      expect(await count({ from: at(2) })).toBe(2);
      expect(await count({ to: at(2) })).toBe(1);
      expect(await count({ from: at(2), to: at(2) })).toBe(0);
      expect(await count({ kind: 'allocation' })).toBe(1);
      expect(await count({ serviceType: 'jupyter' })).toBe(2);
    });

    it.each<Grouping>(['serviceType', 'day'])(
      'when the groups by %s are paged, then each comes once, ties and null included',
      async (by) => {
        const types = ['b', 'a', null, 'ä', 'Z', '=1'];
        await keep(
          ...types.map((serviceType, n) => use(`2026-11-0${n + 1}T10:00:00.000Z`, n === 3 ? 9 : 1, { serviceType })),
        );
        const whole = await summary(by);
        const paged: UsageSum[] = [];
        for (let page = await summary(by, {}, 2); page.length > 0; page = await summary(by, {}, 2, paged.at(-1))) {
          paged.push(...page);
        }
        expect(paged).toEqual(whole);
        expect(whole.map(({ key }) => key)).toEqual(
          by === 'day' ? types.map((_, n) => `2026-11-0${n + 1}`) : ['ä', null, '=1', 'Z', 'a', 'b'],
        );
      },
    );

    it('when a record corrects another, even of another month, then only the last of them is summed up', async () => {
      const first = use('2026-10-31T10:00:00.000Z', 100);
      const second = { ...use('2026-11-01T10:00:00.000Z', 10), version: 2 as const, corrects: first.id };
      const third = { ...use('2026-11-02T10:00:00.000Z', 1), version: 2 as const, corrects: second.id };
      await keep(first, second, third);
      expect(short(await summary('month'))).toEqual([['2026-11', 1, 1_000, 2_000]]);
      expect(await summary('user', { to: '2026-11-01T00:00:00.000Z' })).toEqual([]);
    });

    it('when records are read page by page, then all come, newest end first, with what they correct', async () => {
      const first = use('2026-11-23T10:00:00.000Z', 1);
      const correction = { ...use('2026-11-23T11:00:00.000Z', 1), version: 2 as const, corrects: first.id };
      await keep(first, correction);
      const [newest] = await reports.records({ userId }, { limit: 1 });
      expect(newest).toEqual({
        record: correction,
        usageHash: await canonicalHash(correction),
        receivedAt: expect.any(String) as string,
        corrects: first.id,
      });
      const after = { at: correction.endedAt, id: correction.id };
      expect(await reports.records({ userId }, { limit: 9, after })).toMatchObject([{ record: first, corrects: null }]);
      const count = async (filter: UsageFilter, behind?: typeof after) =>
        (await reports.records({ userId, ...filter }, { limit: 9, after: behind })).length;
      expect(await count({ from: correction.endedAt })).toBe(1);
      expect(await count({ to: correction.endedAt })).toBe(1);
      expect(await count({ to: correction.endedAt }, after)).toBe(1);
      expect(await count({ to: first.endedAt }, after)).toBe(0);
      expect(await count({ from: correction.endedAt }, after)).toBe(0);
    });
  });
}
