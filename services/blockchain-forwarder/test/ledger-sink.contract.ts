import type { LedgerSink } from '../ports/ledger-sink';
import { SinkUnavailable } from '../ports/ledger-sink';
import { ledgerOf, type ClosedBatch } from './support/ledger';
import { seededRandom } from './support/random';
import { SinkDriver } from './support/sink-driver';

export interface LedgerSinkUnderTest {
  /** A sink as another process has it: configured the same, with nothing of the others in memory. */
  newSink(): LedgerSink;
  /** What the place behind the sinks holds, each thing as often as it holds it. */
  held(): Promise<string[]>;
  /** What it has to hold of a batch: its root, or its records' hashes, whatever is handed over. */
  thingsOf(batch: ClosedBatch): string[];
  /** The place stops answering, and answers again. */
  goAway(): Promise<void>;
  comeBack(): Promise<void>;
  /** Between steps, for instance until the chain has another block. */
  pause?(): Promise<void>;
  /** Never in `place` nor in what a sink says. */
  secrets?: readonly string[];
}

/**
 * What every sink of the ledger keeps to: ports/ledger-sink.ts.
 * @param fresh a place that holds nothing; called before each test
 */
export function describeLedgerSink(name: string, fresh: () => Promise<LedgerSinkUnderTest>): void {
  describe(`${name} as a ledger sink`, () => {
    let place: LedgerSinkUnderTest;
    let ledger: ClosedBatch[];
    let driver: SinkDriver;
    beforeEach(async () => {
      place = await fresh();
      ledger = await ledgerOf(3, 1, 2, 4, 1, 2);
      driver = new SinkDriver(ledger);
    });
    const newSink = () => place.newSink();
    const pause = () => place.pause?.() ?? Promise.resolve();

    async function expectEachOnce(): Promise<void> {
      expect((await place.held()).sort()).toEqual(ledger.flatMap((batch) => place.thingsOf(batch)).sort());
      const sink = newSink();
      for (const { batch } of ledger) expect(driver.receipts(sink, batch.batchId)).not.toContain(null);
      expect(driver.refusals).toEqual([]);
    }

    it('when all goes well, then the place has each batch once, and each record has a receipt', async () => {
      await newSink().check();
      await driver.untilDone(newSink, undefined, pause);
      await expectEachOnce();
      const sink = newSink();
      for (const { batch } of ledger) {
        expect(await sink.confirm(batch, driver.progressOf(batch.batchId))).not.toBe(false);
      }
    });

    it('when one sink lives on, then it comes to the same as one that is new at each step', async () => {
      const sink = newSink();
      await driver.untilDone(() => sink, undefined, pause);
      await expectEachOnce();
    });

    it('when a process dies after each step, before anything is written down, then nothing is there twice', async () => {
      const turn = async (sink: LedgerSink) => {
        await driver.step(sink);
        await pause();
        await driver.stepAndPersist(newSink());
      };
      await driver.untilDone(newSink, turn, pause);
      await expectEachOnce();
    });

    it.each(['the first', 'the second', 'both'])(
      'when two make every step at once, and what %s came to is written down, then nothing is there twice',
      async (written) => {
        const turn = async (sink: LedgerSink) => {
          const [first, second] = await Promise.all([driver.step(sink), driver.step(newSink())]);
          if (written !== 'the second') driver.persist(first);
          if (written !== 'the first') driver.persist(second);
        };
        await driver.untilDone(newSink, turn, pause);
        await expectEachOnce();
      },
    );

    it('when one is late by some steps, then what it does changes nothing', async () => {
      const late = new SinkDriver(ledger);
      await driver.untilDone(newSink, undefined, pause);
      for (let steps = 0; steps < 3; steps += 1) {
        await late.stepAndPersist(newSink());
        await pause();
      }
      await expectEachOnce();
    });

    it('when there is nothing to do, then nothing comes of it', async () => {
      const { advances, refusals, trouble } = await new SinkDriver([]).step(newSink());
      expect({ advances, refusals, trouble }).toEqual({ advances: [], refusals: [], trouble: undefined });
      expect(await place.held()).toEqual([]);
    });

    it('when the place does not answer, then it is in trouble, refuses nothing, and goes on once it answers', async () => {
      await driver.stepAndPersist(newSink());
      await pause();
      await place.goAway();
      for (let turns = 0; turns < 3; turns += 1) {
        const { refusals, trouble } = await driver.stepAndPersist(newSink());
        expect(refusals).toEqual([]);
        expect(trouble?.error).toEqual(expect.stringMatching(/\w/));
      }
      await place.comeBack();
      await driver.untilDone(newSink, undefined, pause);
      await expectEachOnce();
    });

    it('when the place does not answer, then it is not called misconfigured, and nothing is said of what it has', async () => {
      const one = new SinkDriver(ledger.slice(0, 1));
      await one.untilDone(newSink, undefined, pause);
      await place.goAway();
      const answer = newSink().confirm(ledger[0]!.batch, one.progressOf(1));
      const told = await answer.catch((error: unknown) => error);
      if (told !== null) expect(told).toBeInstanceOf(SinkUnavailable);
      const checked = await newSink()
        .check()
        .catch((error: unknown) => error);
      if (checked !== undefined) expect(checked).toBeInstanceOf(SinkUnavailable);
      await place.comeBack();
    });

    it('when a record is to be tried again that the place has, then it is still there once', async () => {
      await driver.untilDone(newSink, undefined, pause);
      for (const { batch, records } of ledger) driver.reopen(newSink(), batch.batchId, records[0]!.record.id);
      await driver.untilDone(newSink, undefined, pause);
      await expectEachOnce();
    });

    it('when asked for its name and place, then they stay the same, and tell no secret', async () => {
      const [one, two] = [newSink(), newSink()];
      expect([one.name, one.place]).toEqual([two.name, two.place]);
      expect(one.window).toBeGreaterThanOrEqual(1);
      await place.goAway();
      const { trouble } = await driver.stepAndPersist(newSink());
      await place.comeBack();
      for (const secret of place.secrets ?? []) expect(`${one.place} ${trouble?.error ?? ''}`).not.toContain(secret);
    });

    it.each([1, 2, 3, 4, 5])(
      'when crashes, twins and outages come as seed %d has them, then each batch is there once',
      async (seed) => {
        const random = seededRandom(seed);
        const turn = async (sink: LedgerSink) => {
          const isAway = random() < 0.2;
          if (isAway) await place.goAway();
          const results = await Promise.all(
            random() < 0.4 ? [driver.step(sink), driver.step(newSink())] : [driver.step(sink)],
          );
          if (isAway) await place.comeBack();
          for (const result of results) if (random() < 0.6) driver.persist(result);
        };
        await driver.untilDone(newSink, turn, pause);
        await expectEachOnce();
      },
    );
  });
}
