import { Counter, Gauge } from 'prom-client';
import { startRelay } from '../../../../shared/dapr/outbox';
import type { Sidecar } from '../../../../shared/dapr/sidecar';
import { silentLogger } from '../../../../shared/logging/logger';
import type { Network } from '../../../../shared/testing/simulation/network';
import { replacing } from '../../../../shared/testing/simulation/replacing';
import type { Life, Scheduler } from '../../../../shared/testing/simulation/scheduler';
import { eventOf } from '../../adapters/rows';
import { Allocations } from '../../application/allocations';
import { keepExpiringLeases } from '../../application/expire-leases';
import { Groups } from '../../application/groups';
import { PoolWriter } from '../../application/pool-writer';
import { Requests } from '../../application/requests';
import type { PoolStore } from '../../ports/pool-store';
import type { Database, RelaySide } from './database';

const metrics = {
  relayed: new Counter({ name: 'relayed', help: 'not looked at', registers: [] }),
  outboxWaiting: new Gauge({ name: 'waiting', help: 'not looked at', registers: [] }),
};

/** What a planted fault may put in the place of a part; everything stands for itself where none is planted. */
export interface Plant {
  /** Of the database. */
  stored?: (store: Database) => PoolStore;
  /** Of a replica, as it sees the store. */
  seen?: (store: PoolStore) => PoolStore;
  leases?: (loop: LeaseLoop) => LeaseLoop;
  broker?: (broker: RelaySide) => RelaySide;
  /** What a replica hears of a client that hangs up. */
  hears?: (hungUp: AbortSignal) => AbortSignal;
}

interface LeaseLoop {
  store: Pick<PoolStore, 'expiredLeases' | 'overdueQueues'>;
  writer: Pick<PoolWriter, 'execute'>;
  now: () => string;
}

/** One process, from its start to its death, put together as main.ts does it. */
export interface Process extends Life {
  writer: PoolWriter;
  allocations: Allocations;
  groups: Groups;
  requests: Requests;
  /** The ids that were drawn while `work` ran, up to where it first waited. */
  drawing<T>(work: () => T): { result: T; ids: string[] };
  /** Whether an allocation under this id has come to its turn. */
  hasBegun(id: string): boolean;
  /** What is to be done when it dies. */
  mourners: Set<() => void>;
}

export function startProcess(
  name: string,
  parts: { scheduler: Scheduler; network: Network; store: PoolStore; broker: RelaySide; plant: Plant },
): Process {
  const { scheduler, network, plant } = parts;
  const { now, random } = scheduler;
  const life: Life = { name, alive: true };
  const pause = (ms: number) => scheduler.sleep(ms, `${name} pauses`, life);
  const remote = network.connect(parts.store, life, ['commit', 'remember']);
  const broker = network.connect(parts.broker, life);
  const relay = startRelay({
    appId: 'allocation',
    // it uses no other method
    sidecar: broker as Sidecar,
    logger: silentLogger,
    metrics,
    later: (work, ms) => scheduler.after(ms, `${name} relay looks`, work, life),
  });
  const begun = new Set<string>();
  const waking = replacing(remote, {
    read: (wanted) => {
      for (const id of wanted.allocationIds) begun.add(id);
      return remote.read(wanted);
    },
    commit: async (snapshot, decision) => {
      await remote.commit(snapshot, decision);
      const told = decision.facts.flatMap((fact) => eventOf(fact) ?? []);
      if (told.length > 0) relay.wake(told);
    },
  });
  const store = plant.seen?.(waking) ?? waking;
  const writer = new PoolWriter(store, now, pause, random);
  let drawn: string[] = [];
  const newId = () => {
    const id = scheduler.uuid();
    drawn.push(id);
    return id;
  };
  const loop = plant.leases?.({ store, writer, now }) ?? { store, writer, now };
  const stopping = new AbortController().signal;
  void keepExpiringLeases(loop.store, loop.writer, { now: loop.now, logger: silentLogger, stopping, pause });
  return Object.assign(life, {
    writer,
    allocations: new Allocations(store, writer, newId, now),
    groups: new Groups(store, writer, newId),
    requests: new Requests(store, writer, { now, pause, stopping }),
    hasBegun: (id: string) => begun.has(id),
    mourners: new Set<() => void>(),
    drawing: <T>(work: () => T) => {
      drawn = [];
      return { result: work(), ids: drawn };
    },
  });
}
