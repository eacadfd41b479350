import { HttpLedgerSink } from '../adapters/sinks/http';
import { startBlockchainService, type FakeBlockchainService } from './support/blockchain-service';
import { ledgerOf, type ClosedBatch } from './support/ledger';
import { MISBEHAVIOURS } from './support/misbehaviour';
import { SinkDriver } from './support/sink-driver';

const TOKEN = 'token-of-the-service';
jest.setTimeout(30_000);

let service: FakeBlockchainService;
beforeEach(async () => {
  service = await startBlockchainService();
});
afterEach(() => service.stop());

const newSink = (options = {}) => new HttpLedgerSink({ url: service.url, token: TOKEN, timeoutMs: 500, ...options });

/** The service answers these alone in its way, and takes all others. */
function misbehaveFor(hashes: readonly string[], name: string): void {
  service.answer((response, log) => {
    if (hashes.includes(log.usageHash)) return MISBEHAVIOURS[name]!(response, log, service);
    response.writeHead(201).end(JSON.stringify(service.accept(log)));
  });
}

async function turns(driver: SinkDriver, count: number): Promise<void> {
  for (let turn = 0; turn < count && !driver.done; turn += 1) await driver.stepAndPersist(newSink());
}

const hashesOf = (ledger: readonly ClosedBatch[]) =>
  ledger.flatMap(({ records }) => records.map(({ usageHash }) => usageHash));

describe('a record that the service refuses', () => {
  it.each([400, 413, 415, 422])(
    'when it answers %d, then the record is refused at once, and others pass',
    async (status) => {
      const ledger = await ledgerOf(3);
      const { usageHash, record } = ledger[0]!.records[1]!;
      service.answer((response, log) => {
        if (log.usageHash === usageHash)
          return response.writeHead(status).end(`no\n\u0007 field of ${TOKEN}: ${'x'.repeat(999)}`);
        return response.writeHead(201).end(JSON.stringify(service.accept(log)));
      });
      const driver = new SinkDriver(ledger);
      await driver.stepAndPersist(newSink());
      expect(driver.done).toBe(true);
      expect(driver.refusals).toMatchObject([{ batchId: 1, recordId: record.id }]);
      expect(driver.refusals[0]!.detail).toMatch(
        new RegExp(`^the service answered ${status}: no field of …: x{100,200}$`),
      );
      expect(driver.receipts(newSink(), 1).map((receipt) => receipt !== null)).toEqual([true, false, true]);
    },
  );

  it('when it is tried again, then only it is posted, and it is delivered or refused anew', async () => {
    const ledger = await ledgerOf(3);
    const { usageHash, record } = ledger[0]!.records[1]!;
    const refuse = () =>
      service.answer((response, log) =>
        log.usageHash === usageHash
          ? response.writeHead(422).end()
          : response.writeHead(201).end(JSON.stringify(service.accept(log))),
      );
    const driver = new SinkDriver(ledger);
    refuse();
    await driver.untilDone(newSink);
    service.requests.length = 0;
    driver.reopen(newSink(), 1, record.id);
    await driver.untilDone(newSink);
    expect(service.requests.map((each) => each.usageHash)).toEqual([usageHash]);
    expect(driver.refusals).toHaveLength(2);
    service.answer(null);
    driver.reopen(newSink(), 1, record.id);
    await driver.untilDone(newSink);
    expect(driver.receipts(newSink(), 1)).not.toContain(null);
    expect(driver.refusals).toHaveLength(2);
    expect(service.accepted.sort()).toEqual(hashesOf(ledger).sort());
  });
});

describe('a record that fails while others pass', () => {
  const NAMES = [
    '500',
    '503 with Retry-After',
    '401',
    'hangs',
    'resets half-way',
    '200 with a page',
    'never ends its answer',
  ];
  it.each(NAMES)(
    'when it answers %s to one, then that one is refused after twelve tries, and others do not wait',
    async (name) => {
      const ledger = await ledgerOf(6, 1, 2);
      const bad = ledger[0]!.records[0]!;
      misbehaveFor([bad.usageHash], name);
      const driver = new SinkDriver(ledger);
      await driver.stepAndPersist(newSink());
      expect(hashesOf(ledger).filter((hash) => !service.accepted.includes(hash))).toEqual(
        service.accepted.includes(bad.usageHash) ? [] : [bad.usageHash],
      );
      await turns(driver, 40);
      expect(driver.done).toBe(true);
      expect(driver.refusals).toMatchObject([{ batchId: 1, recordId: bad.record.id }]);
      expect(driver.refusals[0]!.detail).toMatch(/^the service .*, 12 times while others passed$/);
      expect(service.requests.filter(({ usageHash }) => usageHash === bad.usageHash)).toHaveLength(12);
    },
  );

  it('when many of them come first, then those behind pass all the same', async () => {
    const ledger = await ledgerOf(40);
    const hashes = hashesOf(ledger);
    const driver = new SinkDriver(ledger);
    misbehaveFor(hashes.slice(0, 30), '500');
    await turns(driver, 8);
    expect(hashes.slice(30).filter((hash) => !service.accepted.includes(hash))).toEqual([]);
    await turns(driver, 200);
    expect(driver.refusals).toHaveLength(30);
  });

  it('when the whole service fails after some passed, then no further record is blamed, however long it lasts', async () => {
    const driver = new SinkDriver(await ledgerOf(10));
    await driver.stepAndPersist(newSink({ perStep: 4 }));
    service.answer((response) => response.writeHead(500).end());
    for (let turn = 0; turn < 20; turn += 1) {
      const { trouble, refusals, advances } = await driver.stepAndPersist(newSink());
      expect({ refusals, advances, error: trouble?.error }).toEqual({
        refusals: [],
        advances: [],
        error: 'the service answered 500',
      });
      driver.now = new Date(driver.now.getTime() + 60_000);
    }
    service.answer(null);
    await driver.untilDone(newSink);
    expect(driver.receipts(newSink(), 1)).not.toContain(null);
  });

  it('when the service takes only some a second, then that is no trouble and nobody is blamed: it goes on when asked to', async () => {
    const ledger = await ledgerOf(60);
    let left = 0;
    service.answer((response, log) => {
      left -= 1;
      if (left < 0) return response.writeHead(429, { 'retry-after': '1' }).end();
      return response.writeHead(201).end(JSON.stringify(service.accept(log)));
    });
    const driver = new SinkDriver(ledger);
    let steps = 0;
    for (; !driver.done && steps < 100; steps += 1) {
      left = 10;
      const { trouble, nextMs } = await driver.stepAndPersist(newSink());
      expect(trouble).toBeUndefined();
      if (!driver.done) expect(nextMs).toBe(1_000);
    }
    expect(steps).toBeLessThanOrEqual(8);
    expect(driver.refusals).toEqual([]);
  });

  it('when the records cannot be read, then that is trouble', async () => {
    const [first] = await ledgerOf(1);
    const records = () => Promise.reject(new Error('the store is away'));
    const open = [{ batch: first!.batch, stage: 'pending' as const, progress: null }];
    const { trouble, advances } = await newSink().step(open, { now: new Date(), records });
    expect(trouble?.error).toContain('the store is away');
    expect(advances).toEqual([]);
  });
});
