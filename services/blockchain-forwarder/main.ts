import { randomUUID } from 'node:crypto';
import { Counter, Gauge } from 'prom-client';
import { ensureSchema } from '../../shared/dapr/schema';
import { messageOf, unavailable } from '../../shared/errors';
import { runService } from '../../shared/process/service';
import { DaprUsageReports } from './adapters/dapr-usage-reports';
import { DaprUsageStore } from './adapters/dapr-usage-store';
import { EvmSink } from './adapters/evm-sink';
import { HttpSink } from './adapters/http-sink';
import { usageSchema } from './adapters/usage-schema';
import { startDeliveryLoop, type DeliveryLoop } from './application/delivery-loop';
import { forwarderConfig, type ForwarderConfig } from './config';
import { usageRoutes } from './http/routes';
import { eventRoutes } from './http/subscriptions';
import type { UsageSink } from './ports/usage-sink';

const POLL_MS = 500;
const GATHER_MS = 250;
const BACKLOG_MS = 5_000;
/** Above the slowest `deliver` of any sink; after a crash, a record under way waits this long. */
const LEASE_MS = 75_000;
const REJECTED_MS = 3_600_000;

function configuredSinks(config: ForwarderConfig): UsageSink[] {
  const sinks: UsageSink[] = [];
  if (config.BLOCKCHAIN_SERVICE_URL !== undefined) {
    const {
      BLOCKCHAIN_SERVICE_URL: url,
      BLOCKCHAIN_SERVICE_TOKEN: token,
      BLOCKCHAIN_SERVICE_TIMEOUT_MS: timeoutMs,
    } = config;
    sinks.push(new HttpSink({ url, token, timeoutMs }));
  }
  if (config.evm) sinks.push(new EvmSink(config.evm));
  return sinks;
}

runService('blockchain-forwarder', forwarderConfig, (config, { logger, metrics, sidecar, stopping }) => {
  const store = new DaprUsageStore(sidecar);
  const sinks = configuredSinks(config);
  if (sinks.length === 0)
    logger.error('no sink is configured: usage records are kept here only', { activity: 'start' });
  const now = () => new Date();
  const loops: DeliveryLoop[] = [];
  const wakeDelivery = () => loops.forEach((loop) => loop.wake());

  const deliveries = new Counter({
    name: 'usage_deliveries_total',
    help: 'Attempts to hand records to a sink, by outcome',
    labelNames: ['sink', 'outcome'] as const,
    registers: [metrics.registry],
  });
  const backlog = new Gauge({
    name: 'usage_sink_backlog',
    help: 'Records that a sink does not have yet, at the last look',
    labelNames: ['sink'] as const,
    registers: [metrics.registry],
  });
  async function observeBacklog(): Promise<void> {
    try {
      const counts = await store.backlog();
      for (const sink of sinks) backlog.set({ sink: sink.name }, counts[sink.name] ?? 0);
    } catch (error) {
      logger.debug('the backlog cannot be counted now', { activity: 'usage.backlog', error: messageOf(error) });
    }
  }
  let backlogTimer: NodeJS.Timeout | undefined;
  let schemaReady = false;

  return {
    routes: [
      ...usageRoutes({ store, sinks, reports: new DaprUsageReports(sidecar) }),
      ...eventRoutes({ store, sinks: sinks.map((sink) => sink.name), logger, now, wakeDelivery }),
    ],
    checks: {
      schema: () =>
        schemaReady
          ? Promise.resolve()
          : Promise.reject(unavailable('schema.unavailable', 'the views of the database are not in place yet')),
    },
    start: () => {
      void ensureSchema(sidecar, usageSchema, logger, stopping).then(() => {
        if (stopping.aborted) return;
        schemaReady = true;
        for (const sink of sinks) {
          loops.push(
            startDeliveryLoop({
              sink,
              store,
              logger,
              now,
              newId: randomUUID,
              random: Math.random,
              everyMs: POLL_MS,
              gatherMs: GATHER_MS,
              leaseMs: LEASE_MS,
              backOff: { firstMs: 500, capMs: config.DELIVERY_BACK_OFF_CAP_MS, rejectedMs: REJECTED_MS },
              observe: ({ delivered, retry, rejected }) => {
                for (const [outcome, count] of Object.entries({ delivered: delivered.length, retry, rejected })) {
                  deliveries.inc({ sink: sink.name, outcome }, count);
                }
              },
            }),
          );
        }
        backlogTimer = setInterval(() => void observeBacklog(), BACKLOG_MS);
      });
    },
    stop: async () => {
      clearInterval(backlogTimer);
      await Promise.all(loops.map((loop) => loop.stop()));
    },
  };
});
