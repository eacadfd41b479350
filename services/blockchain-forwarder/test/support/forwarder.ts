import { randomUUID } from 'node:crypto';
import type { Express } from 'express';
import request from 'supertest';
import { USAGE_ENDED } from '../../../../shared/contracts/events';
import { eventPath } from '../../../../shared/http/subscription';
import { bearer, sidecarHeaders, testApp } from '../../../../shared/testing/api';
import { recordingLogger } from '../../../../shared/testing/recording-logger';
import { MemoryLedger } from '../../adapters/memory-ledger';
import { MemoryLedgerSink, MemoryPlace } from '../../adapters/sinks/memory';
import { advanceSink } from '../../application/advance-sink';
import { closeBatch } from '../../application/close-batches';
import { correctionRoutes } from '../../http/correction-routes';
import { ledgerRoutes } from '../../http/ledger-routes';
import { MemoryUsageReports } from '../../adapters/memory-usage-reports';
import { deadLetterRoutes } from '../../http/dead-letter-routes';
import { usageRoutes } from '../../http/routes';
import { publicJwk } from '../../domain/receipt-signature';
import { DEAD_LETTER_PATH, eventRoutes } from '../../http/subscriptions';
import type { LedgerSink } from '../../ports/ledger-sink';
import { KEY } from './receipts';

export const ADMIN = '99999999-0c9e-4c55-8d67-0d5b1f1f6a01';
/** Where the sink `evm` of these tests says that it anchored. */
export const ANCHOR = {
  chainId: 31_337,
  contract: `0x${'c0'.repeat(20)}`,
  transaction: `0x${'7a'.repeat(32)}`,
  blockNumber: 7,
  blockHash: `0x${'b1'.repeat(32)}`,
};

export type Forwarder = Awaited<ReturnType<typeof startForwarder>>;

/** The forwarder's real routes over memory adapters, and a clock that the test moves; over the sinks `http` and `evm`, or others. */
export async function startForwarder(others?: LedgerSink[]) {
  const log = recordingLogger();
  const store = new MemoryLedger();
  const places = { http: new MemoryPlace(), evm: new MemoryPlace() };
  const chain: LedgerSink = Object.assign(
    new MemoryLedgerSink(places.evm, { name: 'evm', stages: ['submitted', 'mined', 'finalized'] }),
    { anchorOf: ({ taken }: { taken: number }) => (taken >= 2 ? ANCHOR : null) },
  );
  const http: LedgerSink = new MemoryLedgerSink(places.http, { name: 'http' });
  const sinks = others ?? [http, chain];
  const clock = { now: new Date('2026-11-23T12:00:00.000Z') };
  const now = () => clock.now;
  let woken = 0;
  const keys = { signing: () => Promise.resolve(KEY), published: () => Promise.resolve([publicJwk(KEY)]) };
  const reports = new MemoryUsageReports(store);
  const stores = { usage: store, ledger: store, letters: store, sinkStore: store };
  const wakeLedger = () => void (woken += 1);
  const ingest = { store, logger: log, now, newId: randomUUID, wakeLedger };
  const app: Express = await testApp(
    [
      ...deadLetterRoutes({ ...stores, sinks, ingest, logger: log, now }),
      ...correctionRoutes({ usage: store, logger: log, now, newId: randomUUID, wakeLedger }),
      ...usageRoutes({ ...stores, reports, sinks, chain, keys }),
      ...ledgerRoutes({ ledger: store, now, keys }),
      ...eventRoutes(ingest),
    ],
    log,
  );

  async function deliverTo(path: string, messages: unknown[]): Promise<string[]> {
    // as daprd does with rawPayload
    const raw = (message: unknown) =>
      Buffer.from(typeof message === 'string' ? message : JSON.stringify(message)).toString('base64');
    const entries = messages.map((message, index) => ({ entryId: String(index), event: raw(message) }));
    const response = await request(app).post(path).set(sidecarHeaders()).send({ id: randomUUID(), entries });
    expect(response.status).toBe(200);
    return (response.body as { statuses: { status: string }[] }).statuses.map(({ status }) => status);
  }

  /** All that waits becomes a batch. */
  const closeWaiting = () => closeBatch({ store, limits: { count: 1_000, bytes: 1_000_000, ageMs: 0 }, now });

  /** One step of a sink, as its loop would take it now. */
  const step = (name: string) =>
    advanceSink({
      sink: sinks.find((each) => each.name === name)!,
      store,
      ledger: store,
      backOff: { firstMs: 500, capMs: 30_000 },
      holder: 'this process',
      leaseMs: 60_000,
      idleMs: 500,
      now,
      random: () => 0,
    });

  return {
    app,
    store,
    sinks,
    reports,
    log,
    clock,
    ...places,
    woken: () => woken,
    /** Events in one bundle. @returns the verdict on it */
    publish: async (...events: unknown[]) => (await deliverTo(eventPath(USAGE_ENDED), [events]))[0],
    /** Messages in one delivery, each a bundle, an event or anything. @returns the verdict on each */
    deliverMessages: (...messages: unknown[]) => deliverTo(eventPath(USAGE_ENDED), messages),
    deadLetter: (...messages: unknown[]) => deliverTo(DEAD_LETTER_PATH, messages),
    get: (path: string, role = 'admin', sub?: string) => request(app).get(path).set('authorization', bearer(role, sub)),
    post: (path: string, body: object = {}, headers: Record<string, string> = {}) =>
      request(app).post(path).set('authorization', bearer('admin', ADMIN)).set(headers).send(body),
    closeBatch: closeWaiting,
    step,
    /** All that is to be done for the sinks now. */
    advance: async () => {
      await closeWaiting();
      for (const { name } of sinks) await step(name);
    },
    later: (ms: number) => {
      clock.now = new Date(clock.now.getTime() + ms);
    },
  };
}
