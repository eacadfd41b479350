import type { CloudEvent } from '../../../../shared/contracts/events';
import { AppError } from '../../../../shared/errors';
import { replacing } from '../../../../shared/testing/simulation/replacing';
import type { PlantedFault } from '../../../../shared/testing/simulation/seeds';
import type { Inventory } from '../../domain/inventory';
import type { PoolStore } from '../../ports/pool-store';
import { idsOf, seeing, withFacts, withInventories } from './planting';
import type { Plant } from './replica';

/** Faults that the simulation must find: each wraps a part, none touches the sources. A new invariant gets one here. */
export const PLANTED: readonly PlantedFault<Plant>[] = [
  {
    name: 'a store that looks at no version',
    breaks: 'an inventory has allocated what its allocations hold',
    plant: () => ({
      stored: (store) =>
        replacing<PoolStore>(store, {
          commit: async (_snapshot, decision) => {
            const wanted = { poolIds: [...decision.inventories.keys()], allocationIds: idsOf(decision.facts) };
            await store.commit(await store.read({ ...wanted, rememberedIds: [], requestIds: [] }), decision);
          },
        }),
    }),
  },
  {
    name: 'a store that forgets what a key stands for',
    breaks: 'what is sent under a key is made once',
    plant: () => ({ stored: withFacts((facts) => facts.filter(({ kind }) => kind !== 'remembered')) }),
  },
  {
    name: 'a replica that decides on inventories of an earlier time',
    breaks: 'an inventory has allocated what its allocations hold',
    plant: () => ({
      seen: (store) => {
        const old = new Map<string, Inventory>();
        return replacing(store, {
          read: async (wanted) => {
            const snapshot = await store.read(wanted);
            for (const [id, inventory] of snapshot.inventories) if (!old.has(id)) old.set(id, inventory);
            const inventories = new Map([...snapshot.inventories.keys()].map((id) => [id, old.get(id)!]));
            return { ...snapshot, inventories };
          },
        });
      },
    }),
  },
  {
    name: 'a lease loop that does not look at the end of a lease',
    breaks: 'an end has a cause: a request for it, or a lease that was over and had not been renewed',
    plant: () => ({
      leases: ({ store, writer }) => ({
        store,
        now: () => '2100-01-01T00:00:00.000Z',
        writer: {
          execute: (poolId, command) =>
            command.kind === 'expire'
              ? writer.execute(poolId, {
                  ...{ kind: 'release', allocationId: command.allocationId, forTask: true },
                  ...{ releasedBy: 'system', reason: 'expired' },
                })
              : writer.execute(poolId, command),
        },
      }),
    }),
  },
  {
    name: 'a store that says it has renewed and has not',
    breaks: 'an answer says what is so',
    plant: () => ({ stored: withFacts((facts) => facts.filter(({ kind }) => kind !== 'renewed')) }),
  },
  {
    name: 'a store that now and then answers without having written',
    breaks: 'an answer says what is so',
    plant: () => ({
      stored: (store) => {
        let commits = 0;
        return replacing<PoolStore>(store, {
          commit: async (...args) => {
            commits += 1;
            if (commits % 10 !== 0) await store.commit(...args);
          },
        });
      },
    }),
  },
  {
    name: 'a replica that refuses what is already on its way to the store',
    breaks: 'what was refused is not there',
    plant: () => ({
      seen: (store) =>
        replacing(store, {
          commit: async (...args) => {
            void store.commit(...args).catch(() => undefined);
            throw new AppError('conflict', 'allocation.insufficient_capacity', 'not so');
          },
        }),
    }),
  },
  {
    name: 'a store that forgets that a pool may be over its capacity',
    breaks: 'a pool gives no more than it has, but after a change that was allowed to leave it so',
    plant: () => ({ stored: withInventories((inventory) => ({ ...inventory, overAllowed: false })) }),
  },
  {
    name: 'a store that takes a closed pool for a cordoned one',
    breaks: 'a closed pool holds nothing and stays closed',
    plant: () => ({
      seen: (store) =>
        replacing(store, {
          read: async (wanted) => {
            const snapshot = await store.read(wanted);
            const inventories = new Map(snapshot.inventories);
            for (const [id, one] of inventories) {
              if (one.state === 'closed') inventories.set(id, { ...one, state: 'cordoned' });
            }
            return { ...snapshot, inventories };
          },
        }),
    }),
  },
  {
    name: 'a store that writes down another service than the one that asked',
    breaks: 'nothing is there that no client asked for',
    plant: () => ({
      stored: withFacts((facts) =>
        facts.map((fact) =>
          fact.kind === 'allocated' ? { ...fact, allocation: { ...fact.allocation, serviceId: 'another' } } : fact,
        ),
      ),
    }),
  },
  {
    name: 'a store that leaves out an event',
    breaks: 'one event tells of each start, one of each end, and none of anything else',
    plant: () => ({
      stored: (store) =>
        replacing<PoolStore>(store, {
          commit: async (...args) => {
            await store.commit(...args);
            if (store.events.length === 3) store.events.pop();
          },
        }),
    }),
  },
  {
    name: 'a replica that does not ask whether an id has ended',
    breaks: 'an allocation is made once, and ends once',
    plant: () => ({
      seen: (store) =>
        replacing(store, { read: async (wanted) => ({ ...(await store.read(wanted)), ended: new Set<string>() }) }),
    }),
  },
  {
    name: 'a replica that does not hear that a client hangs up',
    breaks: 'what was refused is not there',
    plant: () => ({ hears: () => new AbortController().signal }),
  },
  {
    name: 'a store that writes a group without its last member',
    breaks: 'a group is made whole or not at all',
    plant: () => ({
      stored: (store) =>
        replacing<PoolStore>(store, {
          commit: async (snapshot, decision) => {
            const last = decision.facts.findLast((fact) => fact.kind === 'allocated' && fact.allocation.groupId);
            if (last?.kind !== 'allocated') return store.commit(snapshot, decision);
            const { poolId, capacity } = last.allocation;
            const inventory = decision.inventories.get(poolId)!;
            const inventories = new Map(decision.inventories);
            inventories.set(poolId, { ...inventory, allocated: inventory.allocated - capacity });
            const facts = decision.facts.filter((fact) => fact !== last);
            return store.commit(snapshot, { ...decision, facts, inventories });
          },
        }),
    }),
  },
  {
    name: 'a store that loses the last one in line',
    breaks: 'who waits stands in line once, in order, and its request says so',
    plant: () => ({ stored: withInventories((one) => ({ ...one, waiting: one.waiting.slice(0, 2) })) }),
  },
  {
    name: 'a store that takes a granted request for one whose time is over',
    breaks: 'a request ends once: granted in time, or its time is over, or it is taken back',
    plant: () => ({
      stored: withFacts((facts) =>
        facts.map((fact) =>
          fact.kind === 'request' && fact.request.status === 'granted'
            ? { ...fact, request: { ...fact.request, status: 'expired' } }
            : fact,
        ),
      ),
    }),
  },
  {
    name: 'a replica that grants nothing while somebody waits',
    breaks: 'nobody waits for what is free',
    plant: () => ({ seen: seeing(({ waiting, state }) => ({ state: waiting.length > 0 ? 'cordoned' : state })) }),
  },
  {
    name: 'a replica that takes every pool for one where the small ones may overtake',
    breaks: 'nobody overtakes who waits in a strict pool',
    plant: () => ({ seen: seeing(() => ({ queuePolicy: 'best_effort' })) }),
  },
  {
    name: 'a relay that takes every event for published',
    breaks: 'in the end all has come right',
    plant: () => ({
      broker: (broker) =>
        replacing(broker, {
          publish: async (topic: string, events: readonly CloudEvent[]) => {
            await broker.publish(topic, events);
            return new Set(events.map(({ id }) => id));
          },
        }),
    }),
  },
  {
    name: 'a relay that takes every bundle for published',
    breaks: 'in the end all has come right',
    plant: () => ({
      broker: (broker) =>
        replacing(broker, {
          publishBundle: (...to: [string, CloudEvent[]]) => broker.publishBundle(...to).catch(() => undefined),
        }),
    }),
  },
  {
    name: 'a lease loop that gives up for ever at its first failure',
    breaks: 'in the end all has come right',
    plant: () => ({
      leases: ({ store, writer, now }) => {
        let failed = false;
        return {
          writer,
          now,
          store: {
            overdueQueues: async () => [],
            expiredLeases: async (...args) => {
              if (failed) return [];
              return store.expiredLeases(...args).catch((error: unknown) => {
                failed = true;
                throw error;
              });
            },
          },
        };
      },
    }),
  },
];
