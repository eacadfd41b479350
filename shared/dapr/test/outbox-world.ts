import { randomUUID } from 'node:crypto';
import type { CloudEvent } from '../../contracts/events';
import { unavailable } from '../../errors';
import { createMetrics } from '../../metrics';
import { recordingLogger } from '../../testing/recording-logger';
import { newEvent, outboxRows, startRelay, type Relay } from '../outbox';
import type { Sidecar } from '../sidecar';

const now = '2026-11-23T09:30:00.000Z';
const base = {
  allocation_id: randomUUID(),
  resource_pool_id: randomUUID(),
  service_id: randomUUID(),
  capacity: 1,
  created_at: now,
  created_by: randomUUID(),
  task_id: null,
};

export const created = (): CloudEvent =>
  newEvent('allocation.created', { id: randomUUID(), source: 'allocation', time: now, data: base });
export const released = (): CloudEvent =>
  newEvent('allocation.released', {
    id: randomUUID(),
    source: 'allocation',
    time: now,
    data: { ...base, released_at: now, duration: 'PT0S', end_reason: 'released', released_by: 'system' },
  });

/** A database and a broker that fail when they are told to. */
export class World {
  readonly rows = new Map<string, CloudEvent[]>();
  readonly broker: CloudEvent[] = [];
  readonly bundles: CloudEvent[][] = [];
  brokerDown = new Set<string>();
  refuse = new Set<string>();
  /** How many bundles the broker takes from now on. */
  takesBundles = Infinity;
  databaseDown = false;
  failRemovals = 0;
  queries = 0;
  readonly looks: string[] = [];

  write(...events: CloudEvent[]): void {
    for (const event of events) this.commit(event);
  }

  /** As one transaction. */
  commit(...events: CloudEvent[]): void {
    for (const row of outboxRows(events)) {
      if (!('upsert' in row)) throw new Error('an outbox row is an upsert');
      this.rows.set(row.upsert, row.value as CloudEvent[]);
    }
  }

  readonly sidecar = {
    query: async (sql: string) => {
      this.queries += 1;
      this.looks.push(sql.includes('2 seconds') ? 'left behind' : 'all');
      if (this.databaseDown) throw unavailable('database.unavailable', 'away');
      return [...this.rows.values()].slice(0, 500);
    },
    publish: async (topic: string, events: readonly CloudEvent[]) => {
      if (this.brokerDown.has(topic)) throw unavailable('event_broker.unavailable', 'away');
      const taken = events.filter(({ id }) => !this.refuse.has(id));
      this.broker.push(...taken);
      return new Set(taken.map(({ id }) => id));
    },
    publishBundle: async (topic: string, events: readonly CloudEvent[]) => {
      expect(topic).toBe('usage.ended');
      if (this.takesBundles === 0) throw unavailable('event_broker.unavailable', 'away');
      this.takesBundles -= 1;
      this.bundles.push([...events]);
    },
    transact: async (operations: Parameters<Sidecar['transact']>[0]) => {
      if (this.failRemovals > 0) {
        this.failRemovals -= 1;
        throw unavailable('state_store.unavailable', 'away');
      }
      for (const operation of operations) {
        if ('remove' in operation) this.rows.delete(operation.remove);
        else this.rows.set(operation.upsert, operation.value as CloudEvent[]);
      }
    },
  } as unknown as Sidecar;
}

const relays: Relay[] = [];
afterEach(() => Promise.all(relays.splice(0).map((relay) => relay.stop())));

export function start(world: World, everyMs = 15) {
  const logger = recordingLogger();
  const metrics = createMetrics();
  const relay = startRelay({ appId: 'allocation', sidecar: world.sidecar, logger, metrics, everyMs });
  relays.push(relay);
  const value = async (metric: 'relayed' | 'outboxWaiting') => (await metrics[metric].get()).values[0]!.value;
  return { relay, logger, value };
}

export async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 4_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('it did not come to be within 4 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export const ids = (events: Iterable<CloudEvent>) => [...events].map(({ id }) => id);
