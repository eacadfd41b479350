import type { Sidecar } from '../../../../shared/dapr/sidecar';
import type { Input } from '../../../../shared/http/route';
import { silentLogger, type Logger } from '../../../../shared/logging/logger';
import type { Network } from '../../../../shared/testing/simulation/network';
import type { Life, Scheduler } from '../../../../shared/testing/simulation/scheduler';
import { DaprLedgerStore } from '../../adapters/dapr-ledger-store';
import { DaprSinkStore } from '../../adapters/dapr-sink-store';
import { DaprUsageStore } from '../../adapters/dapr-usage-store';
import { runLedger } from '../../application/run-ledger';
import type { BatchLimits } from '../../domain/batch';
import { eventRoutes } from '../../http/subscriptions';
import type { LedgerSink } from '../../ports/ledger-sink';
import type { LedgerStore } from '../../ports/ledger-store';
import type { SinkStore } from '../../ports/sink-store';
import type { UsageStore } from '../../ports/usage-store';
import type { Database, StateSide } from './database';

/** What a planted fault may put in the place of a part; everything stands for itself where none is planted. */
export interface Plant {
  /** Of the database, for one process. */
  stored?: (side: StateSide, database: Database) => StateSide;
  /** Of a replica. */
  usage?: (store: UsageStore) => UsageStore;
  ledger?: (store: LedgerStore) => LedgerStore;
  sinkStore?: (store: SinkStore, holder: string) => SinkStore;
  sink?: (sink: LedgerSink) => LedgerSink;
  limits?: (limits: BatchLimits) => BatchLimits;
}

/** What is the same for all replicas. */
interface Setting {
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
  take(text: string): Promise<string>;
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

export function startProcess(name: string, replica: ReplicaParts): Process {
  const { scheduler, network, database, setting, plant, wrong } = replica;
  const life: Life = { name, alive: true };
  const stored = database.sideOf(name);
  const side = network.connect(plant.stored?.(stored, database) ?? stored, life, ['transact']) as Sidecar;
  const [usage, ledger, sinkStore] = [new DaprUsageStore(side), new DaprLedgerStore(side), new DaprSinkStore(side)];
  const store = plant.usage?.(usage) ?? usage;
  const seenLedger = plant.ledger?.(ledger) ?? ledger;
  const now = () => new Date(scheduler.now());
  const logger = listening(name, wrong);
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
    logger,
    observe: () => undefined,
    later: (work, ms) => scheduler.after(ms, `${name} takes a turn`, work, life),
  });
  const parts = { store, logger, now, newId: scheduler.uuid, wakeLedger: () => running.wake() };
  const [route] = eventRoutes(parts);
  return Object.assign(life, {
    take: async (text: string): Promise<string> => {
      const entries = [{ entryId: 'message', event: Buffer.from(text).toString('base64') }];
      const { body } = await route!.handle({ body: { entries } } as Input<unknown, unknown, unknown>);
      return (body as { statuses: { status: string }[] }).statuses[0]!.status;
    },
    stop: () => running.stop(),
  });
}

/** What is said only when something is wrong with the service, and not with the weather. */
function listening(name: string, wrong: (fault: string) => void): Logger {
  const warn = (message: string, { error }: { error?: unknown } = {}): void => {
    const isSerious = /^(batches wait|events could not be taken in)/.test(message);
    if (isSerious && !WEATHER.test(String(error))) wrong(`${name}: ${message}: ${String(error)}`);
  };
  return { ...silentLogger, warn };
}

/** No answer; a conflict of the letters of two deliveries; others who write the same records all the time. */
const WEATHER = /^no answer$|^could not serialize access$|^Others write the same records now/;
