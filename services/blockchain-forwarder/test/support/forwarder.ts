import { randomUUID } from 'node:crypto';
import type { Express } from 'express';
import request from 'supertest';
import type { CloudEvent } from '../../../../shared/contracts/events';
import { bearer, sidecarHeaders, testApp } from '../../../../shared/testing/api';
import { MemorySink } from '../../adapters/memory-sink';
import { MemoryUsageReports } from '../../adapters/memory-usage-reports';
import { MemoryUsageStore } from '../../adapters/memory-usage-store';
import { deliverUsage } from '../../application/deliver-usage';
import { usageRoutes } from '../../http/routes';
import { DEAD_LETTER_PATH, eventRoutes } from '../../http/subscriptions';

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
  const store = new MemoryUsageStore();
  const sinks = [new MemorySink('http'), new MemorySink('evm')] as const;
  const clock = { now: new Date('2026-11-23T12:00:00.000Z') };
  const now = () => clock.now;
  let woken = 0;
  const parts = { store, sinks: sinks.map((sink) => sink.name), logger, now, wakeDelivery: () => void (woken += 1) };
  const reports = new MemoryUsageReports(store);
  const app: Express = await testApp([...usageRoutes({ store, sinks, reports }), ...eventRoutes(parts)], logger);

  async function post(path: string, events: unknown[]): Promise<string[]> {
    // as daprd does with rawPayload
    const raw = (event: unknown) =>
      Buffer.from(typeof event === 'string' ? event : JSON.stringify(event)).toString('base64');
    const entries = events.map((event, index) => ({ entryId: String(index), event: raw(event) }));
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
    http: sinks[0],
    evm: sinks[1],
    woken: () => woken,
    /** @returns the verdict on each event */
    publish: (...events: (CloudEvent | object | string)[]) => post(`/events/${(events[0] as CloudEvent).type}`, events),
    publishTo: (topic: string, ...events: unknown[]) => post(`/events/${topic}`, events),
    deadLetter: (...events: unknown[]) => post(DEAD_LETTER_PATH, events),
    get: (path: string, role: string, sub?: string) => request(app).get(path).set('authorization', bearer(role, sub)),
    /** One batch to a sink, as its loop would do it now. */
    deliver: (sink: MemorySink, earlyMs = 0) =>
      deliverUsage(
        {
          sink,
          store,
          now,
          newId: randomUUID,
          random: () => 0,
          leaseMs: 60_000,
          backOff: { firstMs: 500, capMs: 30_000, rejectedMs: 3_600_000 },
        },
        earlyMs,
      ),
    later: (ms: number) => {
      clock.now = new Date(clock.now.getTime() + ms);
    },
  };
}
