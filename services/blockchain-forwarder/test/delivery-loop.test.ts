import { randomUUID } from 'node:crypto';
import { silentLogger } from '../../../shared/logging/logger';
import { unavailable } from '../../../shared/errors';
import type { MemorySink } from '../adapters/memory-sink';
import type { BatchResult } from '../application/deliver-usage';
import { startDeliveryLoop, type DeliveryLoop } from '../application/delivery-loop';
import { taskStopped } from './support/samples';
import { startForwarder, type Forwarder } from './support/forwarder';

let forwarder: Forwarder;

beforeEach(async () => {
  forwarder = await startForwarder();
});

const states = async (sink: MemorySink) =>
  (await forwarder.store.list({}, { limit: 1_000 })).map(({ deliveries }) =>
    deliveries.find((delivery) => delivery.sink === sink.name)!,
  );

async function counts(batch: Promise<BatchResult>) {
  const { delivered, retry, rejected } = await batch;
  return { delivered: delivered.length, retry, rejected };
}

describe('one batch', () => {
  it('when a sink is down, then its records wait with back-off and the other sink has them all', async () => {
    await forwarder.publish(...Array.from({ length: 5 }, () => taskStopped()));
    forwarder.http.down = true;
    expect(await forwarder.deliver(forwarder.http)).toMatchObject({ delivered: [], retry: 5 });
    expect(await counts(forwarder.deliver(forwarder.evm))).toMatchObject({ delivered: 5, retry: 0 });
    expect(await forwarder.deliver(forwarder.http)).toMatchObject({ retry: 0 });
    forwarder.later(500);
    expect(await forwarder.deliver(forwarder.http)).toMatchObject({ retry: 5 });
    expect((await states(forwarder.http))[0]).toMatchObject({
      state: 'pending',
      attempts: 2,
      nextAttemptAt: '2026-11-23T12:00:01.500Z',
      lastError: 'the memory sink is switched off',
    });
  });

  it('when two replicas look at the same time, then each record is handed over by one of them', async () => {
    await forwarder.publish(...Array.from({ length: 50 }, () => taskStopped()));
    await Promise.all([forwarder.deliver(forwarder.http), forwarder.deliver(forwarder.http)]);
    await forwarder.deliver(forwarder.http);
    expect(forwarder.http.calls).toHaveLength(50);
    expect(new Set(forwarder.http.calls).size).toBe(50);
  });

  it('when the process dies in the middle of an attempt, then the next begins when the lease ends', async () => {
    await forwarder.publish(taskStopped());
    jest.spyOn(forwarder.http, 'deliver').mockRejectedValueOnce(new Error('killed'));
    await expect(forwarder.deliver(forwarder.http)).rejects.toThrow('killed');
    forwarder.later(59_000);
    expect(await forwarder.deliver(forwarder.http, 30_000)).toMatchObject({ delivered: [] });
    forwarder.later(1_000);
    expect(await counts(forwarder.deliver(forwarder.http))).toMatchObject({ delivered: 1 });
    expect((await states(forwarder.http))[0]).toMatchObject({ state: 'delivered', attempts: 2 });
  });

  it('when an outcome comes after the lease ended and another took over, then it does not undo the other’s', async () => {
    await forwarder.publish(taskStopped());
    const deliver = forwarder.http.deliver.bind(forwarder.http);
    jest.spyOn(forwarder.http, 'deliver').mockImplementationOnce(async () => {
      forwarder.later(60_000);
      expect(await counts(forwarder.deliver(forwarder.http))).toMatchObject({ delivered: 1 });
      return [{ kind: 'retry', error: 'late' }];
    });
    await forwarder.deliver(forwarder.http);
    jest.spyOn(forwarder.http, 'deliver').mockImplementation(deliver);
    expect((await states(forwarder.http))[0]).toMatchObject({ state: 'delivered', lastError: null });
  });

  it('when the sink refuses one record, then the others are delivered and it is tried again an hour later', async () => {
    const events = [taskStopped(), taskStopped()];
    await forwarder.publish(...events);
    const refused = (await forwarder.store.find([events[0]!.id])).get(events[0]!.id)!;
    forwarder.http.refuses.add(refused.usageHash);
    expect(await counts(forwarder.deliver(forwarder.http))).toMatchObject({ delivered: 1, rejected: 1 });
    forwarder.later(3_599_000);
    expect(await forwarder.deliver(forwarder.http)).toMatchObject({ delivered: [], rejected: 0 });
    forwarder.http.refuses.clear();
    forwarder.later(1_000);
    expect(await counts(forwarder.deliver(forwarder.http))).toMatchObject({ delivered: 1 });
  });
});

describe('the loop', () => {
  let loop: DeliveryLoop | undefined;
  afterEach(() => loop?.stop());

  function start(sink: MemorySink, everyMs: number): void {
    loop = startDeliveryLoop({
      sink,
      store: forwarder.store,
      logger: silentLogger,
      now: () => forwarder.clock.now,
      newId: randomUUID,
      random: () => 0,
      leaseMs: 60_000,
      everyMs,
      gatherMs: 5,
      backOff: { firstMs: 20_000, capMs: 30_000, rejectedMs: 3_600_000 },
      observe: () => undefined,
    });
  }
  async function eventually(condition: () => boolean): Promise<void> {
    for (let tries = 0; tries < 200 && !condition(); tries += 1)
      await new Promise((resolve) => setTimeout(resolve, 10));
    expect(condition()).toBe(true);
  }

  it('when there is more than a batch, then one wake takes it all', async () => {
    start(forwarder.http, 60_000);
    await forwarder.publish(...Array.from({ length: 250 }, () => taskStopped()));
    loop!.wake();
    await eventually(() => forwarder.http.records.size === 250);
  });

  it('when the sink answers again, then all that waits arrives at once, not at the end of each back-off', async () => {
    forwarder.http.down = true;
    await forwarder.publish(...Array.from({ length: 50 }, () => taskStopped()));
    start(forwarder.http, 10);
    await eventually(() => forwarder.http.calls.length === 50);
    forwarder.http.down = false;
    await forwarder.publish(taskStopped());
    loop!.wake();
    await eventually(() => forwarder.http.records.size === 51);
  });

  it('when the store fails for a while, then the loop goes on by itself', async () => {
    jest.spyOn(forwarder.store, 'due').mockRejectedValueOnce(unavailable('database.unavailable', 'away'));
    await forwarder.publish(taskStopped());
    start(forwarder.http, 10);
    await eventually(() => forwarder.http.records.size === 1);
  });
});
