import type { UsageSink } from '../ports/usage-sink';
import { SinkUnavailable } from '../ports/usage-sink';
import { sealedRecord, sealedRecords } from './support/samples';

export interface SinkUnderTest {
  sink: UsageSink;
  /** Usage hashes that the place behind the sink holds, each as often as it holds it. */
  stored(): Promise<string[]>;
  /** The place stops answering, and answers again. */
  goAway(): Promise<void>;
  comeBack(): Promise<void>;
}

/** What every sink keeps to: ports/usage-sink.ts. */
export function describeUsageSink(name: string, current: () => SinkUnderTest): void {
  describe(`${name} as a usage sink`, () => {
    it('when records are delivered, then each has a receipt and is there once', async () => {
      const { sink, stored } = current();
      const records = await sealedRecords(5);
      const outcomes = await sink.deliver(records);
      expect(outcomes.map((outcome) => outcome.kind)).toEqual(Array(5).fill('delivered'));
      const there = await stored();
      for (const { usageHash } of records) expect(there.filter((hash) => hash === usageHash)).toHaveLength(1);
    });

    it('when the same record is delivered again, alone or among new ones, then it is still there once', async () => {
      const { sink, stored } = current();
      const records = await sealedRecords(3);
      const [first] = await sink.deliver(records.slice(0, 1));
      const outcomes = await sink.deliver(records);
      expect(outcomes.map((outcome) => outcome.kind)).toEqual(['delivered', 'delivered', 'delivered']);
      expect(outcomes[0]).toEqual(first);
      const there = await stored();
      for (const { usageHash } of records) expect(there.filter((hash) => hash === usageHash)).toHaveLength(1);
    });

    it('when nothing is handed over, then nothing comes back', async () => {
      expect(await current().sink.deliver([])).toEqual([]);
    });

    it('when the place does not answer, then every record is to be tried again, and is taken once it answers', async () => {
      const { sink, goAway, comeBack } = current();
      const records = await sealedRecords(3);
      await goAway();
      const outcomes = await sink.deliver(records);
      expect(outcomes.map((outcome) => outcome.kind)).toEqual(['retry', 'retry', 'retry']);
      await comeBack();
      expect((await sink.deliver(records)).map((outcome) => outcome.kind)).toEqual(Array(3).fill('delivered'));
    });

    it('when asked for a hash, then it says what it holds, or that it cannot be asked', async () => {
      const { sink, goAway, comeBack } = current();
      const [known, unknown] = [await sealedRecord(), await sealedRecord()];
      const [outcome] = await sink.deliver([known]);
      const finding = await sink.find(known.usageHash);
      if (finding === null) return;
      expect(outcome).toMatchObject({ kind: 'delivered', receipt: finding.found ? finding.receipt : 'found' });
      expect(await sink.find(unknown.usageHash)).toEqual({ found: false });
      await goAway();
      await expect(sink.find(known.usageHash)).rejects.toThrow(SinkUnavailable);
      await comeBack();
    });
  });
}
