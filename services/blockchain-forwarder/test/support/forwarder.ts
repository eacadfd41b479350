import { randomUUID } from 'node:crypto';
import type { Express } from 'express';
import request from 'supertest';
import { USAGE_ENDED } from '../../../../shared/contracts/events';
import { eventPath } from '../../../../shared/http/subscription';
import { bearer, sidecarHeaders, testApp } from '../../../../shared/testing/api';
import { MemorySink } from '../../adapters/memory-sink';
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
  const app: Express = await testApp([...usageRoutes({ store, sinks }), ...eventRoutes(parts)], logger);

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
    log,
    clock,
    http: sinks[0],
    evm: sinks[1],
    woken: () => woken,
    /** Events in one bundle. @returns the verdict on it */
    publish: async (...events: unknown[]) => (await post(eventPath(USAGE_ENDED), [events]))[0],
    /** Messages in one delivery, each a bundle, an event or anything. @returns the verdict on each */
    deliverMessages: (...messages: unknown[]) => post(eventPath(USAGE_ENDED), messages),
    deadLetter: (...messages: unknown[]) => post(DEAD_LETTER_PATH, messages),
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
