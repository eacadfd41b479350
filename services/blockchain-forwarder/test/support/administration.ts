import { randomUUID } from 'node:crypto';
import request, { type Response } from 'supertest';
import { recordingLogger } from '../../../../shared/testing/recording-logger';
import { bearer, sidecarHeaders, testApp } from '../../../../shared/testing/api';
import { MemoryLedger } from '../../adapters/memory-ledger';
import { MemoryUsageReports } from '../../adapters/memory-usage-reports';
import { advanceSink } from '../../application/advance-sink';
import { closeBatch } from '../../application/close-batches';
import { correctionRoutes } from '../../http/correction-routes';
import { deadLetterRoutes } from '../../http/dead-letter-routes';
import { usageRoutes } from '../../http/routes';
import { DEAD_LETTER_PATH, eventRoutes } from '../../http/subscriptions';
import type { LedgerSink } from '../../ports/ledger-sink';
import { PickySink } from './picky-sink';

export const ADMIN = '99999999-0c9e-4c55-8d67-0d5b1f1f6a01';

export interface Answer {
  status: number;
  body: Record<string, unknown>;
  location: string | undefined;
}

/** What an administrator meets, over stores in memory and one sink. */
export async function startAdministration() {
  const store = new MemoryLedger();
  const log = recordingLogger();
  const sink = new PickySink();
  const sinks: LedgerSink[] = [sink];
  const clock = { now: new Date('2026-11-24T12:00:00.000Z') };
  const now = () => clock.now;
  let woken = 0;
  const wakeLedger = () => void (woken += 1);
  const ingest = { store, logger: log, now, newId: randomUUID, wakeLedger };
  const read = {
    usage: store,
    ledger: store,
    letters: store,
    sinkStore: store,
    sinks,
    chain: undefined,
    keys: { signing: () => Promise.resolve(undefined), published: () => Promise.resolve([]) },
    reports: new MemoryUsageReports(store),
  };
  const routes = [
    ...deadLetterRoutes({ letters: store, sinkStore: store, sinks, ingest, logger: log, now }),
    ...correctionRoutes({ usage: store, logger: log, now, newId: randomUUID, wakeLedger }),
    ...usageRoutes(read),
    ...eventRoutes(ingest),
  ];
  const app = await testApp(routes, log);
  const answer = ({ status, body, headers }: Response): Answer => ({
    status,
    body: body as Record<string, unknown>,
    location: headers['location'],
  });

  return {
    app,
    store,
    log,
    sink,
    sinks,
    clock,
    woken: () => woken,
    get: async (path: string, role = 'admin', sub = ADMIN) =>
      answer(await request(app).get(path).set('authorization', bearer(role, sub))),
    post: async (path: string, body: object = {}, headers: Record<string, string> = {}) =>
      answer(await request(app).post(path).set('authorization', bearer('admin', ADMIN)).set(headers).send(body)),
    /** As the sidecar delivers what no retry could. */
    deadLetter: async (...events: unknown[]) => {
      const raw = (event: unknown) => Buffer.from(JSON.stringify(event)).toString('base64');
      const entries = events.map((event, index) => ({ entryId: String(index), event: raw(event) }));
      await request(app).post(DEAD_LETTER_PATH).set(sidecarHeaders()).send({ entries }).expect(200);
    },
    /** All that is to be done for the sink now. */
    deliver: async () => {
      await closeBatch({ store, limits: { count: 1, bytes: 1, ageMs: 0 }, now });
      const stepping = { store, ledger: store, holder: 'a test', now, random: () => 0 };
      const pace = { backOff: { firstMs: 500, capMs: 500 }, leaseMs: 60_000, idleMs: 500 };
      await advanceSink({ sink, ...stepping, ...pace });
    },
  };
}

export type Administration = Awaited<ReturnType<typeof startAdministration>>;
