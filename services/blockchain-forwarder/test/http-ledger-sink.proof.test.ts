// Slow: every misbehaviour of a real HTTP server, its time-outs too, at every step of a delivery.
import { HttpLedgerSink } from '../adapters/sinks/http';
import { SinkMisconfigured } from '../ports/ledger-sink';
import { describeLedgerSink } from './ledger-sink.contract';
import { startBlockchainService, type FakeBlockchainService } from './support/blockchain-service';
import { ledgerOf } from './support/ledger';
import { hangs, MISBEHAVIOURS, resets } from './support/misbehaviour';
import { seededRandom } from './support/random';
import { SinkDriver } from './support/sink-driver';

const TOKEN = 'token-of-the-service';
jest.setTimeout(30_000);

let service: FakeBlockchainService;
beforeEach(async () => {
  service = await startBlockchainService();
});
afterEach(() => service.stop());

const newSink = (options = {}) => new HttpLedgerSink({ url: service.url, token: TOKEN, timeoutMs: 2_000, ...options });

describeLedgerSink('http', () => {
  const url = new URL(service.url);
  url.search = 'key=hunter2';
  return Promise.resolve({
    newSink: () => newSink({ url: url.href }),
    held: async () => [...service.accepted],
    thingsOf: ({ records }) => records.map(({ usageHash }) => usageHash),
    goAway: async () => service.answer(resets),
    comeBack: async () => service.answer(null),
    secrets: [TOKEN, 'hunter2'],
  });
});

describe('what the http sink asks of the service', () => {
  it('when a record is handed over, then hash and record are posted with key and token, and the receipt is kept', async () => {
    const ledger = await ledgerOf(2);
    const driver = new SinkDriver(ledger);
    await driver.untilDone(newSink);
    const { usageHash, record } = ledger[0]!.records[0]!;
    const request = service.requests.find((each) => each.usageHash === usageHash);
    expect(request).toMatchObject({
      metadata: record,
      headers: { 'idempotency-key': usageHash, authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    });
    const transactionId = `tx-${usageHash.slice(2, 10)}`;
    expect(driver.receipts(newSink(), 1)[0]).toEqual({ status: 201, answer: { transactionId } });
  });

  it('when a batch is large, then it takes several steps, in the order of the ledger', async () => {
    const ledger = await ledgerOf(5, 5);
    const driver = new SinkDriver(ledger);
    const sink = newSink({ perStep: 4, parallel: 1 });
    const { advances, nextMs } = await driver.stepAndPersist(sink);
    expect(advances).toMatchObject([{ batchId: 1, stage: 'pending' }]);
    expect(nextMs).toBe(0);
    await driver.untilDone(() => sink);
    expect(service.accepted).toEqual(ledger.flatMap(({ records }) => records.map(({ usageHash }) => usageHash)));
  });

  it('when a batch of a thousand is on its way, then what is written down stays small', async () => {
    const driver = new SinkDriver(await ledgerOf(1_000));
    await driver.untilDone(newSink);
    expect(JSON.stringify(driver.progressOf(1)).length).toBeLessThan(120_000);
  });

  it.each([
    ['ftp://127.0.0.1/x', TOKEN, 'BLOCKCHAIN_SERVICE_URL must be an address with http or https'],
    ['nowhere', TOKEN, 'BLOCKCHAIN_SERVICE_URL must be an address with http or https'],
    ['http://me:hunter2@127.0.0.1/x', TOKEN, 'set BLOCKCHAIN_SERVICE_TOKEN instead'],
    ['http://127.0.0.1/x', 'two\nlines', 'BLOCKCHAIN_SERVICE_TOKEN must be one line'],
  ])('when it is to post to %s, then it says what is wrong with that', async (url, token, cure) => {
    const error = await newSink({ url, token })
      .check()
      .catch((each: unknown) => each);
    expect(error).toBeInstanceOf(SinkMisconfigured);
    expect((error as Error).message).toContain(cure);
    expect((error as Error).message).not.toMatch(/hunter2|two/);
  });

  it('when the address holds user, password and query, then its place tells none of them', () => {
    const { place } = newSink({ url: 'https://me:hunter2@ledger.example:8443/usage?key=1#part' });
    expect(place).toBe('https://ledger.example:8443/usage');
  });
});

const impatient = () => newSink({ timeoutMs: 150 });

describe('a service that misbehaves towards all', () => {
  it.each(Object.entries(MISBEHAVIOURS))(
    'when it answers %s, then that is trouble, no record is blamed, and each is taken once when it is over',
    async (_, misbehave) => {
      const ledger = await ledgerOf(12);
      const driver = new SinkDriver(ledger);
      service.answer((response, log) => misbehave(response, log, service));
      for (let turns = 0; turns < 3; turns += 1) {
        const { advances, refusals, trouble } = await driver.stepAndPersist(impatient());
        expect({ advances, refusals }).toEqual({ advances: [], refusals: [] });
        expect(trouble?.error).toMatch(/^the service (answered \d+|does not answer)/);
        expect(trouble?.error).not.toContain(TOKEN);
      }
      service.answer(null);
      await driver.untilDone(newSink);
      expect(service.accepted.sort()).toEqual(ledger[0]!.records.map(({ usageHash }) => usageHash).sort());
      expect(driver.refusals).toEqual([]);
    },
  );

  it('when it hangs, then a step ends soon after the first requests do', async () => {
    const driver = new SinkDriver(await ledgerOf(200));
    service.answer(hangs);
    const { trouble } = await driver.step(impatient());
    expect(trouble?.error).toBe('the service does not answer (timeout)');
    expect(service.requests.length).toBeLessThanOrEqual(16);
  });

  it('when it asks to wait, in seconds, by a date, or for too long, then it is left alone that long, an hour at most', async () => {
    const ledger = await ledgerOf(1);
    const waits = async (retryAfter: string) => {
      service.answer((response) => response.writeHead(429, { 'retry-after': retryAfter }).end());
      return (await new SinkDriver(ledger).step(newSink())).trouble?.retryAfterMs;
    };
    expect(await waits('7')).toBe(7_000);
    const byDate = await waits(new Date(Date.now() + 60_000).toUTCString());
    expect(byDate).toBeGreaterThan(50_000);
    expect(byDate).toBeLessThanOrEqual(60_000);
    expect(await waits('99999999')).toBe(3_600_000);
    expect(await waits(new Date(Date.now() - 60_000).toUTCString())).toBe(0);
    expect(await waits('soon')).toBeUndefined();
  });

  it.each([401, 403])('when it answers %d, then the cure is said', async (status) => {
    service.answer((response) => response.writeHead(status).end());
    const { trouble } = await new SinkDriver(await ledgerOf(1)).step(newSink());
    expect(trouble?.error).toBe(
      `the service answered ${status} (the token is not taken: set BLOCKCHAIN_SERVICE_TOKEN)`,
    );
  });

  it.each([301, 302, 303, 307, 308])(
    'when it redirects by %d, then no other host sees a record or the token',
    async (status) => {
      const other = await startBlockchainService();
      try {
        service.answer((response) => response.writeHead(status, { location: other.url }).end());
        const { trouble } = await new SinkDriver(await ledgerOf(3)).step(newSink());
        expect(trouble?.error).toBe(
          `the service answered ${status} (redirects are not followed: set BLOCKCHAIN_SERVICE_URL)`,
        );
        expect(other.requests).toEqual([]);
      } finally {
        await other.stop();
      }
    },
  );
});

describe('a service that misbehaves at random', () => {
  it.each([11, 12, 13, 14, 15, 16, 17, 18])(
    'when answers, crashes and twins come as seed %d has them, then each record is accepted exactly once',
    async (seed) => {
      const random = seededRandom(seed);
      const ledger = await ledgerOf(20, 1, 33, 7, 12);
      const driver = new SinkDriver(ledger);
      const kinds = Object.values(MISBEHAVIOURS);
      service.answer((response, log) => {
        if (random() < 0.15) return kinds[Math.floor(random() * kinds.length)]!(response, log, service);
        response.writeHead(201).end(JSON.stringify(service.accept(log)));
      });
      const sink = () => newSink({ timeoutMs: 100 });
      await driver.untilDone(sink, async (first) => {
        const results = await Promise.all(
          random() < 0.3 ? [driver.step(first), driver.step(sink())] : [driver.step(first)],
        );
        for (const result of results) if (random() < 0.7) driver.persist(result);
        driver.now = new Date(driver.now.getTime() + 10_000);
      });
      expect(driver.refusals).toEqual([]);
      const all = ledger.flatMap(({ records }) => records);
      expect(service.accepted.sort()).toEqual(all.map(({ usageHash }) => usageHash).sort());
      for (const { batch, records } of ledger) {
        const receipts = records.map(({ usageHash }) => ({ transactionId: `tx-${usageHash.slice(2, 10)}` }));
        expect(driver.receipts(newSink(), batch.batchId)).toMatchObject(receipts.map((answer) => ({ answer })));
      }
    },
  );
});
