import { randomUUID } from 'node:crypto';
import { handled, type DeadLetter } from '../domain/dead-letter';
import { newSinkState } from '../domain/delivery';
import type { DeadLetterFilter, DeadLetterStore } from '../ports/dead-letter-store';
import type { SinkStore } from '../ports/sink-store';
import type { Page, UsageStore } from '../ports/usage-store';

export interface LetterStores {
  letters: DeadLetterStore;
  usage: UsageStore;
  sinks: SinkStore;
}

/** What every store of dead letters keeps to. Event ids are new in each test, so that a store may be shared. */
export function describeDeadLetterStore(name: string, current: () => LetterStores): void {
  describe(`${name} as a store of dead letters`, () => {
    let stores: LetterStores;
    let eventId: string;
    beforeEach(() => {
      stores = current();
      eventId = randomUUID();
    });

    function letter(second: number, fields: Partial<DeadLetter> = {}): DeadLetter {
      return {
        id: randomUUID(),
        topic: 'task.stopped',
        eventId,
        reason: 'event.invalid',
        detail: 'data.userId: Invalid UUID',
        // what no jsonb takes
        event: JSON.stringify({ reason: 'nul \u0000, half a pair \ud800' }),
        receivedAt: new Date(Date.parse('2026-11-23T10:00:00.000Z') + second * 1_000).toISOString(),
        ...fields,
      };
    }

    const keep = (...letters: DeadLetter[]) => stores.usage.keepDeadLetters(letters);
    const list = (filter: DeadLetterFilter = {}, page: Page = { limit: 10 }) =>
      stores.letters.listDeadLetters({ eventId, ...filter }, page);
    const act = { by: 'somebody', at: '2026-11-24T00:00:00.000Z', detail: 'why' };

    async function change(id: string, to: (letter: DeadLetter) => DeadLetter): Promise<DeadLetter> {
      const found = (await stores.letters.deadLetter(id))!;
      expect(await stores.letters.changeDeadLetter(to(found.value), found.version)).toBe(true);
      return to(found.value);
    }
    const drop = (id: string) => change(id, (each) => handled(each, { ...act, action: 'drop', result: 'dropped' }));
    const replay = (id: string) =>
      change(id, (each) => handled(each, { ...act, action: 'replay', result: 'recorded' }));

    it('when letters are kept, then each is listed once, newest first, and pages go on behind the last', async () => {
      const [older, newer] = [letter(0), letter(1)];
      await keep(older, newer, newer);
      const first = await list({}, { limit: 1 });
      expect(first).toMatchObject([{ id: newer.id, event: newer.event }]);
      const after = { at: first[0]!.receivedAt, id: first[0]!.id };
      expect(await list({}, { limit: 1, after })).toEqual([older]);
      expect(await stores.letters.countDeadLetters({ eventId })).toBe(2);
      expect(await stores.letters.countDeadLetters({ eventId }, after)).toBe(1);
      expect((await stores.letters.deadLetter(older.id))?.value).toEqual(older);
      expect(await stores.letters.deadLetter(randomUUID())).toBeNull();
    });

    it('when filtered by state, reason and sink, then only what fits all of them comes; without a state it is open', async () => {
      const sink = `sink-${randomUUID()}`;
      const refused = letter(0, { reason: 'sink.refused', refusedBy: { sink, batchId: 1 } });
      const [open, dropped] = [letter(1), letter(2)];
      await keep(refused, open, dropped);
      await drop(dropped.id);
      const ids = async (filter: DeadLetterFilter) => (await list(filter)).map(({ id }) => id);
      expect(await ids({ state: 'open' })).toEqual([open.id, refused.id]);
      expect(await ids({ state: 'dropped' })).toEqual([dropped.id]);
      expect(await ids({ state: 'replayed' })).toEqual([]);
      expect(await ids({ reason: 'event.invalid' })).toEqual([dropped.id, open.id]);
      expect(await ids({ sink })).toEqual([refused.id]);
      expect(await ids({ sink, state: 'dropped' })).toEqual([]);
    });

    it('when a letter comes again after a drop, then it stays dropped, in its place, and its last time moves', async () => {
      const first = letter(0);
      await keep(first);
      const dropped = await drop(first.id);
      const again = letter(60, { id: first.id });
      await keep(again);
      expect(await list()).toEqual([{ ...dropped, lastSeenAt: again.receivedAt }]);
    });

    it('when a letter comes again after a replay, then it is open again with what was done with it', async () => {
      const first = letter(0);
      await keep(first);
      await replay(first.id);
      await keep(letter(60, { id: first.id, detail: 'another' }));
      expect(await list()).toMatchObject([
        { state: 'open', detail: 'another', receivedAt: first.receivedAt, handling: [{ action: 'replay' }] },
      ]);
    });

    it('when two change a letter at once, then the second is told so and nothing of it is written', async () => {
      const kept = letter(0);
      await keep(kept);
      const { value, version } = (await stores.letters.deadLetter(kept.id))!;
      const dropped = handled(value, { ...act, action: 'drop', result: 'dropped' });
      const write = () => stores.letters.changeDeadLetter(dropped, version);
      expect((await Promise.all([write(), write()])).sort()).toEqual([false, true]);
      expect((await stores.letters.deadLetter(kept.id))?.value).toEqual(dropped);
    });

    it('when a sink is written with a handled letter that was changed meanwhile, then neither is written', async () => {
      const kept = letter(0);
      await keep(kept);
      const stale = (await stores.letters.deadLetter(kept.id))!;
      const replayed = handled(stale.value, { ...act, action: 'replay', result: 'reopened' });
      await drop(kept.id);
      const state = newSinkState(`sink-${randomUUID()}`, 'here');
      const write = (handledLetter: { value: DeadLetter; version: string | null }) =>
        stores.sinks.write(state, null, { handled: [handledLetter] });
      expect(await write({ ...stale, value: replayed })).toBe(false);
      expect((await stores.sinks.state(state.sink)).value).toBeNull();
      const fresh = (await stores.letters.deadLetter(kept.id))!;
      expect(await write({ ...fresh, value: replayed })).toBe(true);
      expect((await stores.letters.deadLetter(kept.id))?.value).toEqual(replayed);
    });

    it('when a step of a sink refuses a record once more, then its letter is one, and open', async () => {
      const state = newSinkState(`sink-${randomUUID()}`, 'here');
      const refused = letter(0, { reason: 'sink.refused', refusedBy: { sink: state.sink, batchId: 1 } });
      expect(await stores.sinks.write(state, null, { letters: [refused] })).toBe(true);
      await replay(refused.id);
      const { version } = await stores.sinks.state(state.sink);
      expect(await stores.sinks.write(state, version, { letters: [{ ...refused, detail: 'still' }] })).toBe(true);
      expect(await list({ sink: state.sink })).toMatchObject([{ state: 'open', detail: 'still' }]);
    });
  });
}
