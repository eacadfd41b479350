import { HttpSink } from '../adapters/http-sink';
import { startBlockchainService, type FakeBlockchainService } from './support/blockchain-service';
import { sealedRecord, sealedRecords } from './support/samples';
import { describeUsageSink } from './usage-sink.contract';

let service: FakeBlockchainService;

beforeEach(async () => {
  service = await startBlockchainService();
});
afterEach(() => service.stop());

function sink(options: Partial<ConstructorParameters<typeof HttpSink>[0]> = {}): HttpSink {
  return new HttpSink({ url: service.url, token: 'service-token', timeoutMs: 300, ...options });
}

describeUsageSink('the BlockchainService', () => ({
  sink: sink(),
  // the service de-duplicates by the idempotency key, as the contract with it says
  stored: () =>
    Promise.resolve([...new Set(service.requests.map((request) => String(request.headers['idempotency-key'])))]),
  goAway: () => {
    service.answer((response) => response.destroy());
    return Promise.resolve();
  },
  comeBack: () => {
    service.answer(null);
    return Promise.resolve();
  },
}));

describe('delivery to the BlockchainService', () => {
  it('when a record is delivered, then hash, metadata, idempotency key and credentials are sent, and its answer is kept', async () => {
    const sealed = await sealedRecord();
    const [outcome] = await sink().deliver([sealed]);
    expect(service.requests).toHaveLength(1);
    expect(service.requests[0]).toMatchObject({
      usageHash: sealed.usageHash,
      metadata: sealed.record,
      headers: { 'idempotency-key': sealed.usageHash, authorization: 'Bearer service-token' },
    });
    const transactionId = `tx-${sealed.usageHash.slice(2, 10)}`;
    expect(outcome).toEqual({ kind: 'delivered', receipt: { status: 201, answer: { transactionId } } });
  });

  it.each([400, 413, 415, 422])('when it answers %i, then the record is rejected', async (status) => {
    service.answer((response) => response.writeHead(status).end());
    expect(await sink().deliver([await sealedRecord()])).toEqual([
      { kind: 'rejected', error: `the service answered ${status}` },
    ]);
  });

  it.each([401, 403, 404, 409, 500, 503])('when it answers %i, then the record is tried again', async (status) => {
    service.answer((response) => response.writeHead(status).end());
    expect(await sink().deliver([await sealedRecord()])).toEqual([
      { kind: 'retry', error: `the service answered ${status}` },
    ]);
  });

  it('when it answers 429 with Retry-After in seconds or as a date, then it is left alone that long', async () => {
    const now = new Date('2026-11-23T10:00:00.000Z');
    for (const header of ['7', 'Mon, 23 Nov 2026 10:00:07 GMT']) {
      service.answer((response) => response.writeHead(429, { 'retry-after': header }).end());
      const [outcome] = await sink({ now: () => now }).deliver([await sealedRecord()]);
      expect(outcome).toEqual({ kind: 'retry', error: 'the service answered 429', retryAfterMs: 7_000 });
    }
  });

  it('when it redirects, then no other host sees the record or the token', async () => {
    const other = await startBlockchainService();
    try {
      service.answer((response) => response.writeHead(307, { location: other.url }).end());
      const [outcome] = await sink().deliver([await sealedRecord()]);
      expect(outcome).toEqual({ kind: 'retry', error: 'the service answered 307' });
      expect(other.requests).toEqual([]);
    } finally {
      await other.stop();
    }
  });

  it('when it hangs, then the attempt ends by time, and the rest of the batch is not tried against it', async () => {
    service.answer(() => undefined);
    const outcomes = await sink({ parallel: 2 }).deliver(await sealedRecords(10));
    expect(outcomes).toHaveLength(10);
    for (const outcome of outcomes) {
      expect(outcome).toEqual({ kind: 'retry', error: 'the service does not answer (timeout)' });
    }
    expect(service.requests).toHaveLength(2);
  });

  it('when it answers success with something that is not JSON, or with too much, then the status is the receipt', async () => {
    for (const body of ['<html>fine</html>', '"text"', 'x'.repeat(100_000)]) {
      service.answer((response) => response.writeHead(200).end(body));
      expect(await sink().deliver([await sealedRecord()])).toEqual([{ kind: 'delivered', receipt: { status: 200 } }]);
    }
  });
});
