import { cloudEvent, type EventType } from '../../../../shared/contracts/events';
import type { Sidecar } from '../../../../shared/dapr/sidecar';
import { ConflictError } from '../../../../shared/dapr/sidecar-error';
import { AppError, messageOf } from '../../../../shared/errors';
import { silentLogger, type Logger } from '../../../../shared/logging/logger';
import type { Network } from '../../../../shared/testing/simulation/network';
import type { Life, Scheduler } from '../../../../shared/testing/simulation/scheduler';
import { DaprLedgerStore } from '../../adapters/dapr-ledger-store';
import { DaprSinkStore } from '../../adapters/dapr-sink-store';
import { DaprUsageStore } from '../../adapters/dapr-usage-store';
import { ingestEvents, type Bundle, type IngestParts } from '../../application/ingest-events';
import { runLedger } from '../../application/run-ledger';
import type { BatchLimits } from '../../domain/batch';
import type { EndOfUse } from '../../domain/usage-record';
import type { LedgerSink } from '../../ports/ledger-sink';
import type { LedgerStore } from '../../ports/ledger-store';
import type { SinkStore } from '../../ports/sink-store';
import type { UsageStore } from '../../ports/usage-store';
import type { Database, StateSide } from './database';

type Ingest = (bundle: Bundle, parts: IngestParts) => Promise<void>;

/** What a planted fault may put in the place of a part; everything stands for itself where none is planted. */
export interface Plant {
  /** Of the database, for one process. */
  stored?: (side: StateSide, database: Database) => StateSide;
  /** Of a replica. */
  usage?: (store: UsageStore) => UsageStore;
  ledger?: (store: LedgerStore) => LedgerStore;
  sinkStore?: (store: SinkStore, holder: string) => SinkStore;
  sink?: (sink: LedgerSink) => LedgerSink;
  ingest?: (ingest: Ingest) => Ingest;
  limits?: (limits: BatchLimits) => BatchLimits;
}

/** What is the same for all replicas. */
export interface Setting {
  limits: BatchLimits;
  /** Short ones lapse while a step is under way. */
  leaseMs: number;
  idleMs: number;
  /** The sinks of one process, as it is configured. */
  sinksOf: (life: Life) => LedgerSink[];
}

/** One process, from its start to its death, put together as main.ts does it. */
export interface Process extends Life {
  /** A delivery of the broker. @returns whether it is to come again */
  take(text: string): Promise<'SUCCESS' | 'RETRY'>;
  stop(): Promise<void>;
}

export interface ReplicaParts {
  scheduler: Scheduler;
  network: Network;
  database: Database;
  setting: Setting;
  plant: Plant;
  /** Hears of what no weather explains. */
  wrong: (fault: string) => void;
}

export function startProcess(name: string, parts: ReplicaParts): Process {
  const { scheduler, network, database, setting, plant, wrong } = parts;
  const life: Life = { name, alive: true };
  const stored = database.sideOf(name);
  const side = network.connect(plant.stored?.(stored, database) ?? stored, life, ['transact']) as Sidecar;
  const [usage, ledger, sinkStore] = [new DaprUsageStore(side), new DaprLedgerStore(side), new DaprSinkStore(side)];
  const store = plant.usage?.(usage) ?? usage;
  const seenLedger = plant.ledger?.(ledger) ?? ledger;
  const now = () => new Date(scheduler.now());
  const running = runLedger({
    closing: { store: seenLedger, limits: plant.limits?.(setting.limits) ?? setting.limits, now },
    sinks: setting.sinksOf(life).map((sink) => plant.sink?.(sink) ?? sink),
    stepping: {
      store: plant.sinkStore?.(sinkStore, name) ?? sinkStore,
      ledger: seenLedger,
      backOff: { firstMs: 100, capMs: 1_000 },
      holder: name,
      leaseMs: setting.leaseMs,
      idleMs: setting.idleMs,
      now,
      random: scheduler.random,
    },
    logger: listening(name, wrong),
    observe: () => undefined,
    later: (work, ms) => scheduler.after(ms, `${name} takes a turn`, work, life),
  });
  const ingest = plant.ingest?.(ingestEvents) ?? ingestEvents;
  const ingestParts = { store, logger: silentLogger, now, newId: scheduler.uuid, wakeLedger: () => running.wake() };
  return Object.assign(life, {
    take: async (text: string): Promise<'SUCCESS' | 'RETRY'> => {
      try {
        await ingest(opened(text), ingestParts);
        return 'SUCCESS';
      } catch (error) {
        const isWeather = error instanceof ConflictError || (error instanceof AppError && error.kind === 'unavailable');
        if (!isWeather) {
          wrong(`${name} cannot take events in: ${messageOf(error)}`);
        }
        return 'RETRY';
      }
    },
    stop: () => running.stop(),
  });
}

/** What loops say only when something is wrong with them, and not with the weather. */
function listening(name: string, wrong: (fault: string) => void): Logger {
  const warn = (message: string, { error }: { error?: unknown } = {}): void => {
    if (message.startsWith('batches wait') && error !== 'no answer') wrong(`${name}: ${message}: ${String(error)}`);
  };
  return { ...silentLogger, warn };
}

/** As the route of the subscription does it. */
function opened(text: string): Bundle {
  const bundle: { events: EndOfUse[]; invalid: Bundle['invalid'][number][] } = { events: [], invalid: [] };
  for (const event of JSON.parse(text) as unknown[]) {
    const type = (event as { type?: unknown } | null)?.type;
    const topic = ENDS.find((known) => known === type);
    const parsed = topic && cloudEvent(topic).safeParse(event);
    if (parsed?.success) bundle.events.push(parsed.data as EndOfUse);
    else bundle.invalid.push({ topic: topic ?? 'unknown', event, detail: parsed?.error.message ?? 'of no known type' });
  }
  return bundle;
}

const ENDS = ['task.stopped', 'task.failed', 'allocation.released'] as const satisfies readonly EventType[];
