import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { Counter, Gauge } from 'prom-client';
import { messageOf } from '../../shared/errors';
import { ConfigError } from '../../shared/process/config';
import { runService } from '../../shared/process/service';
import { DaprDeadLetterStore } from './adapters/dapr-dead-letter-store';
import { DaprLedgerStore } from './adapters/dapr-ledger-store';
import { DaprSinkStore } from './adapters/dapr-sink-store';
import { receiptKeys } from './adapters/keys/signing-key';
import { DaprUsageReports } from './adapters/dapr-usage-reports';
import { DaprUsageStore } from './adapters/dapr-usage-store';
import { configuredSinks } from './adapters/sinks';
import { usageSchema } from './adapters/usage-schema';
import type { Loop } from './application/loop';
import { runLedger } from './application/run-ledger';
import { forwarderConfig } from './config';
import { correctionRoutes } from './http/correction-routes';
import { deadLetterRoutes } from './http/dead-letter-routes';
import { ledgerRoutes } from './http/ledger-routes';
import { usageRoutes } from './http/routes';
import { eventRoutes } from './http/subscriptions';
import { SinkMisconfigured, SinkUnavailable, type LedgerSink } from './ports/ledger-sink';

const BACKLOG_MS = 5_000;
const IDLE_MS = 500;
/** Above the longest step of a sink; after a crash its batches wait this long. */
const LEASE_MS = 45_000;

runService('blockchain-forwarder', forwarderConfig, async (config, { logger, metrics, sidecar }) => {
  const usage = new DaprUsageStore(sidecar);
  const ledger = new DaprLedgerStore(sidecar);
  const letters = new DaprDeadLetterStore(sidecar);
  const sinkStore = new DaprSinkStore(sidecar);
  const reports = new DaprUsageReports(sidecar);
  const sources = { variable: config.variable, refused: config.refused, sidecar };
  const sinks = configuredSinks(config, sources);
  await refuseMisconfigured(sinks);
  const keys = await receiptKeys(config, sources);
  if (sinks.length === 0)
    logger.error('no sink is configured: usage records are kept here only', { activity: 'start' });
  const now = () => new Date();
  const stages = new Counter({
    name: 'ledger_batches_total',
    help: 'Batches that came to a stage at a sink',
    labelNames: ['sink', 'stage'] as const,
    registers: [metrics.registry],
  });
  const backlog = new Gauge({
    name: 'ledger_sink_backlog',
    help: 'Batches under way at a sink that are not at their end, at the last look',
    labelNames: ['sink'] as const,
    registers: [metrics.registry],
  });
  async function observeBacklog(): Promise<void> {
    try {
      const counts = await sinkStore.backlog();
      for (const sink of sinks) backlog.set({ sink: sink.name }, counts[sink.name] ?? 0);
    } catch (error) {
      logger.debug('the backlog cannot be counted now', { activity: 'ledger.backlog', error: messageOf(error) });
    }
  }
  let running: Loop | undefined;
  let backlogTimer: NodeJS.Timeout | undefined;

  const wakeLedger = () => running?.wake();
  const ingest = { store: usage, logger, now, newId: randomUUID, wakeLedger };
  const chain = sinks.find((sink) => 'anchorOf' in sink);

  return {
    routes: [
      ...deadLetterRoutes({ letters, sinkStore, sinks, ingest, logger, now }),
      ...correctionRoutes({ usage, logger, now, newId: randomUUID, wakeLedger }),
      ...usageRoutes({ usage, ledger, letters, sinkStore, reports, sinks, chain, keys }),
      ...ledgerRoutes({ ledger, now, keys }),
      ...eventRoutes(ingest),
    ],
    schema: usageSchema,
    start: () => {
      running = runLedger({
        closing: { store: ledger, limits: config.limits, now },
        sinks,
        stepping: {
          store: sinkStore,
          ledger,
          backOff: { firstMs: 500, capMs: config.DELIVERY_BACK_OFF_CAP_MS },
          // stays the same when this process is replaced: what it held it holds again, without waiting for the lease's end
          holder: `${hostname()}:${config.APP_PORT}`,
          leaseMs: LEASE_MS,
          idleMs: IDLE_MS,
          now,
          random: Math.random,
        },
        logger,
        observe: (sink, { advanced }) => {
          for (const { stage } of advanced) stages.inc({ sink, stage });
        },
      });
      backlogTimer = setInterval(() => void observeBacklog(), BACKLOG_MS);
    },
    stop: async () => {
      clearInterval(backlogTimer);
      await running?.stop();
    },
  };
});

/** A sink that is away now is checked again by its loop. */
async function refuseMisconfigured(sinks: readonly LedgerSink[]): Promise<void> {
  const faults: string[] = [];
  for (const sink of sinks) {
    try {
      await sink.check();
    } catch (error) {
      if (error instanceof SinkMisconfigured) faults.push(`the sink ${sink.name}: ${error.message}`);
      else if (!(error instanceof SinkUnavailable)) throw error;
    }
  }
  if (faults.length > 0) throw new ConfigError(faults);
}
