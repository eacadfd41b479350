import { randomUUID } from 'node:crypto';
import type { Express } from 'express';
import request from 'supertest';
import { USAGE_ENDED } from '../../../../shared/contracts/events';
import { eventPath } from '../../../../shared/http/subscription';
import { bearer, sidecarHeaders, testApp } from '../../../../shared/testing/api';
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

/** Where the sink `evm` of these tests says that it anchored. */
export const ANCHOR = {
  chainId: 31_337,
  contract: `0x${'c0'.repeat(20)}`,
  transaction: `0x${'7a'.repeat(32)}`,
  blockNumber: 7,
  blockHash: `0x${'b1'.repeat(32)}`,
};

export interface LogLine {
  level: string;
  message: string;
  fields: Record<string, unknown>;
}

export type Forwarder = Awaited<ReturnType<typeof startForwarder>>;

/** The forwarder's real routes over memory adapters, and a clock that the test moves. */
export async function startForwarder() {
  const log: LogLine[] = [];
  const line =
    (level: string) =>
    (message: string, fields: Record<string, unknown> = {}) =>
      void log.push({ level, message, fields });
  const logger = { error: line('error'), warn: line('warn'), info: line('info'), debug: line('debug') };
  const store = new MemoryLedger();
  const places = { http: new MemoryPlace(), evm: new MemoryPlace() };
  const chain: LedgerSink = Object.assign(
    new MemoryLedgerSink(places.evm, { name: 'evm', stages: ['submitted', 'mined', 'finalized'] }),
    { anchorOf: ({ taken }: { taken: number }) => (taken >= 2 ? ANCHOR : null) },
  );
  const http: LedgerSink = new MemoryLedgerSink(places.http, { name: 'http' });
  const sinks = [http, chain];
  const clock = { now: new Date('2026-11-23T12:00:00.000Z') };
  const now = () => clock.now;
  let woken = 0;
  const keys = { signing: () => Promise.resolve(KEY), published: () => Promise.resolve([publicJwk(KEY)]) };
  const reports = new MemoryUsageReports(store);
  const stores = { usage: store, ledger: store, letters: store, sinkStore: store };
  const wakeLedger = () => void (woken += 1);
  const ingest = { store, logger, now, newId: randomUUID, wakeLedger };
  const app: Express = await testApp(
    [
      ...deadLetterRoutes({ ...stores, sinks, ingest, logger, now }),
      ...correctionRoutes({ usage: store, logger, now, newId: randomUUID, wakeLedger }),
      ...usageRoutes({ ...stores, reports, sinks, chain, keys }),
      ...ledgerRoutes({ ledger: store, now, keys }),
      ...eventRoutes(ingest),
    ],
    logger,
  );

  async function post(path: string, messages: unknown[]): Promise<string[]> {
    // as daprd does with rawPayload
    const raw = (message: unknown) =>
      Buffer.from(typeof message === 'string' ? message : JSON.stringify(message)).toString('base64');
    const entries = messages.map((message, index) => ({ entryId: String(index), event: raw(message) }));
    const response = await request(app).post(path).set(sidecarHeaders()).send({ id: randomUUID(), entries });
    expect(response.status).toBe(200);
    return (response.body as { statuses: { status: string }[] }).statuses.map(({ status }) => status);
  }

  return {
    app,
    store,
    reports,
    log,
    clock,
    ...places,
    woken: () => woken,
    /** Events in one bundle. @returns the verdict on it */
    publish: async (...events: unknown[]) => (await post(eventPath(USAGE_ENDED), [events]))[0],
    /** Messages in one delivery, each a bundle, an event or anything. @returns the verdict on each */
    deliverMessages: (...messages: unknown[]) => post(eventPath(USAGE_ENDED), messages),
    deadLetter: (...messages: unknown[]) => post(DEAD_LETTER_PATH, messages),
    get: (path: string, role: string, sub?: string) => request(app).get(path).set('authorization', bearer(role, sub)),
    /** All that waits becomes a batch. */
    closeBatch: () => closeBatch({ store, limits: { count: 1_000, bytes: 1_000_000, ageMs: 0 }, now }),
    /** One step of a sink, as its loop would take it now. */
    step: (name: 'http' | 'evm') =>
      advanceSink({
        sink: name === 'http' ? http : chain,
        store,
        ledger: store,
        backOff: { firstMs: 500, capMs: 30_000 },
        holder: 'this process',
        leaseMs: 60_000,
        idleMs: 500,
        now,
        random: () => 0,
      }),
    later: (ms: number) => {
      clock.now = new Date(clock.now.getTime() + ms);
    },
  };
}
