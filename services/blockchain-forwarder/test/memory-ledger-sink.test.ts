import { MemoryLedgerSink, MemoryPlace } from '../adapters/sinks/memory';
import { describeLedgerSink } from './ledger-sink.contract';
import { ledgerOf } from './support/ledger';
import { SinkDriver } from './support/sink-driver';

describe.each([['delivered'], ['submitted', 'mined', 'finalized']] as const)(
  'with the stages %s %s %s',
  (...stages) => {
    describeLedgerSink('memory', () => {
      const memory = new MemoryPlace();
      const switched = (down: boolean) => async () => {
        memory.down = down;
      };
      return Promise.resolve({
        newSink: () => new MemoryLedgerSink(memory, { stages }),
        held: async () => [...memory.batches.values()].map(({ batch }) => batch.root),
        thingsOf: ({ batch }) => [batch.root],
        goAway: switched(true),
        comeBack: switched(false),
      });
    });
  },
);

describe('the memory sink', () => {
  it('when it is told to refuse a record, then that one is refused once and has no receipt, until it is reopened', async () => {
    const ledger = await ledgerOf(2);
    const [first, second] = ledger[0]!.records.map(({ record }) => record.id);
    const memory = new MemoryPlace();
    const sink = new MemoryLedgerSink(memory);
    const driver = new SinkDriver(ledger);
    memory.refuses.add(first!);
    await driver.untilDone(() => sink);
    expect(driver.refusals).toEqual([{ batchId: 1, recordId: first, detail: expect.any(String) as string }]);
    expect(driver.receipts(sink, 1)).toEqual([null, { id: second }]);
    memory.refuses.clear();
    driver.reopen(sink, 1, first!);
    await driver.untilDone(() => sink);
    expect(driver.receipts(sink, 1)).toEqual([{ id: first }, { id: second }]);
  });
});
