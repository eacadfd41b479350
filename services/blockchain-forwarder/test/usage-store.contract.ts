import { randomUUID } from 'node:crypto';
import { canonicalHash } from '../domain/canonical-hash';
import type { DeadLetter } from '../domain/dead-letter';
import { claimed, newDelivery, settled, type Delivery } from '../domain/delivery';
import type { StoredUsage } from '../domain/usage-record';
import type { UsageFilter, UsageStore } from '../ports/usage-store';
import { usageRecord } from './support/samples';

const T0 = new Date('2026-11-23T10:00:00.000Z');
const BACK_OFF = { firstMs: 1_000, capMs: 30_000, rejectedMs: 3_600_000 };
const at = (seconds: number): string => new Date(T0.getTime() + seconds * 1_000).toISOString();
const instant = (seconds: number): Date => new Date(at(seconds));

async function storedUsage(data: Parameters<typeof usageRecord>[0] = {}): Promise<StoredUsage> {
  const record = usageRecord(data);
  const hash = await canonicalHash(record);
  return { record, usageHash: hash, contentHash: hash, receivedAt: T0.toISOString(), traceparent: null };
}

/** What every store keeps to: ports/usage-store.ts. Users and sinks are new in each test, so that a store may be shared. */
export function describeUsageStore(name: string, current: () => UsageStore): void {
  describe(`${name} as a usage store`, () => {
    let store: UsageStore;
    let sink: string;
    beforeEach(() => {
      store = current();
      sink = `sink-${randomUUID().slice(0, 8)}`;
    });

    async function insertDue(count: number): Promise<StoredUsage[]> {
      const usages = await Promise.all(Array.from({ length: count }, () => storedUsage()));
      const deliveries = usages.map((usage, index) => newDelivery(usage.record.id, sink, instant(index)));
      expect(await store.insert(usages, deliveries)).toBe(true);
      return usages;
    }
    const open = async (seconds: number, limit = 10) =>
      (await store.due(sink, { now: at(seconds), until: at(seconds) }, limit)).map(({ usage }) => usage.record.id);

    describe('records', () => {
      it('when a record is inserted, then it is found with its deliveries, and an unknown id is not', async () => {
        const usage = await storedUsage();
        const delivery = newDelivery(usage.record.id, sink, T0);
        expect(await store.insert([usage], [delivery])).toBe(true);
        const unknown = randomUUID();
        expect(await store.find([usage.record.id, unknown])).toEqual(new Map([[usage.record.id, usage]]));
        expect(await store.get(usage.record.id)).toEqual({ usage, deliveries: [delivery] });
        expect(await store.get(unknown)).toBeNull();
      });

      it('when one of several records is there already, then nothing is written', async () => {
        const [known, fresh] = [await storedUsage(), await storedUsage()];
        await store.insert([known], []);
        const other = { ...known, contentHash: fresh.contentHash };
        expect(await store.insert([other, fresh], [newDelivery(fresh.record.id, sink, T0)])).toBe(false);
        expect(await store.find([known.record.id, fresh.record.id])).toEqual(new Map([[known.record.id, known]]));
        expect(await open(60)).toEqual([]);
      });
    });

    describe('lists', () => {
      const list = async (filter: UsageFilter, limit = 10, after?: { at: string; id: string }) =>
        (await store.list(filter, { limit, after })).map(({ usage }) => usage);

      it('when paged, then every record comes once, newest end first, ties by id', async () => {
        const userId = randomUUID();
        const ends = [3, 1, 2, 2, 2, 5];
        const usages = await Promise.all(ends.map((end) => storedUsage({ userId, stopTime: at(end) })));
        await store.insert(usages, []);
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
        const usage = await storedUsage({ userId, serviceType: 'jupyter', stopTime: at(0) });
        const demo = await storedUsage({ userId, serviceType: 'demo', stopTime: at(0) });
        const later = await storedUsage({ userId, serviceType: 'jupyter', stopTime: at(60) });
        await store.insert([usage, demo, later], []);
        expect(await list({ userId, serviceType: 'jupyter', from: at(0), to: at(60) })).toEqual([usage]);
        expect(await list({ userId, kind: 'task' })).toHaveLength(3);
        expect(await list({ userId, kind: 'allocation' })).toEqual([]);
        expect(await list({ userId: randomUUID() })).toEqual([]);
      });

      it('when a record has deliveries, then they come with it', async () => {
        const userId = randomUUID();
        const usage = await storedUsage({ userId });
        const delivery = newDelivery(usage.record.id, sink, T0);
        await store.insert([usage], [delivery]);
        expect(await store.list({ userId }, { limit: 1 })).toEqual([{ usage, deliveries: [delivery] }]);
      });
    });

    describe('deliveries', () => {
      it('when some are due, then they come longest due first, with their records and not more than asked', async () => {
        const usages = await insertDue(3);
        const ids = usages.map((usage) => usage.record.id);
        expect(await open(1)).toEqual(ids.slice(0, 2));
        expect(await open(60, 2)).toEqual(ids.slice(0, 2));
        const [first] = await store.due(sink, { now: at(60), until: at(60) }, 1);
        expect(first).toMatchObject({ usage: usages[0], delivery: { sink, usageId: ids[0], attempts: 0 } });
      });

      it('when one is claimed, then it is due again only when its lease ends, also for who looks ahead', async () => {
        await insertDue(1);
        const [row] = await store.due(sink, { now: at(0), until: at(0) }, 1);
        expect(await store.update([{ ...row!, delivery: claimed(row!.delivery, 'me', instant(0), 60_000) }])).toBe(
          true,
        );
        expect(await store.due(sink, { now: at(59), until: at(89) }, 10)).toEqual([]);
        expect(await open(60)).toHaveLength(1);
      });

      it('when one waits for its back-off, then who looks ahead gets it', async () => {
        await insertDue(1);
        const [row] = await store.due(sink, { now: at(0), until: at(0) }, 1);
        const waiting = settled(
          row!.delivery,
          { kind: 'retry', error: 'x', retryAfterMs: 20_000 },
          instant(0),
          BACK_OFF,
          0,
        );
        await store.update([{ ...row!, delivery: waiting }]);
        expect(await open(19)).toEqual([]);
        expect(await store.due(sink, { now: at(1), until: at(31) }, 10)).toHaveLength(1);
      });

      it('when two write the same version, then the second is refused whole', async () => {
        await insertDue(2);
        const rows = await store.due(sink, { now: at(9), until: at(9) }, 2);
        const mine = rows.map((row) => ({ ...row, delivery: claimed(row.delivery, 'mine', instant(9), 60_000) }));
        const theirs = rows.map((row) => ({ ...row, delivery: claimed(row.delivery, 'theirs', instant(9), 60_000) }));
        expect(await store.update(mine.slice(0, 1))).toBe(true);
        expect(await store.update(theirs)).toBe(false);
        const now = await store.deliveries(
          sink,
          rows.map(({ delivery }) => delivery.usageId),
        );
        const claims = rows.map(({ delivery }) => now.get(delivery.usageId)?.delivery.claim);
        expect(claims).toEqual(['mine', null]);
      });

      it('when one is read and written again and again, then each version fits the next write', async () => {
        const [usage] = await insertDue(1);
        let delivery: Delivery | undefined;
        for (let attempts = 1; attempts <= 3; attempts += 1) {
          const row = (await store.deliveries(sink, [usage!.record.id])).get(usage!.record.id)!;
          expect(await store.update([{ ...row, delivery: { ...row.delivery, attempts } }])).toBe(true);
          delivery = row.delivery;
        }
        expect(delivery?.attempts).toBe(2);
      });

      it('when one is delivered, then it is due no more and not in the backlog', async () => {
        await insertDue(3);
        const [row] = await store.due(sink, { now: at(9), until: at(9) }, 1);
        expect((await store.backlog())[sink]).toBe(3);
        const done = settled(row!.delivery, { kind: 'delivered', receipt: { n: 1 } }, instant(9), BACK_OFF, 0);
        await store.update([{ ...row!, delivery: done }]);
        expect((await store.backlog())[sink]).toBe(2);
        expect(await open(9_999)).toHaveLength(2);
        expect((await store.get(done.usageId))?.deliveries).toEqual([done]);
      });
    });

    describe('dead letters', () => {
      function letter(seconds: number): DeadLetter {
        return {
          id: randomUUID(),
          topic: 'task.stopped',
          eventId: 'e',
          reason: 'event.invalid',
          detail: 'data.userId: Invalid UUID',
          // what no jsonb takes
          event: JSON.stringify({ reason: 'nul \u0000, half a pair \ud800' }),
          receivedAt: new Date(Date.parse('2100-01-01T00:00:00.000Z') + seconds * 1_000).toISOString(),
        };
      }

      it('when kept, twice too, then each is listed once, newest first, and pages go on behind the last', async () => {
        const base = Math.floor(Math.random() * 1e9);
        const letters = [letter(base), letter(base + 1)];
        await store.keepDeadLetters(letters);
        await store.keepDeadLetters(letters.slice(0, 1));
        const from = { at: letter(base + 2).receivedAt, id: randomUUID() };
        const first = await store.listDeadLetters({ limit: 1, after: from });
        expect(first).toEqual([letters[1]]);
        const next = { at: first[0]!.receivedAt, id: first[0]!.id };
        expect(await store.listDeadLetters({ limit: 1, after: next })).toEqual([letters[0]]);
      });
    });
  });
}
