import { ConflictError } from '../../../../shared/dapr/sidecar-error';
import { keyOf, type StateOperation } from '../../../../shared/dapr/sidecar';
import { replacing } from '../../../../shared/testing/simulation/replacing';
import type { PlantedFault } from '../../../../shared/testing/simulation/seeds';
import type { Entry } from '../../domain/batch';
import type { Stage } from '../../domain/delivery';
import type { LedgerSink, OpenBatch, StepParts } from '../../ports/ledger-sink';
import { OUTSIDE } from './world';
import type { Plant } from './replica';

/** Faults that the simulation must find: each wraps a part, none touches the sources. A new invariant gets one here. */
export const PLANTED: readonly PlantedFault<Plant>[] = [
  {
    name: 'a replica that acknowledges before the commit',
    breaks: OUTSIDE.acknowledged,
    plant: () => ({
      usage: (store) =>
        replacing(store, {
          insert: async (...args) => {
            void store.insert(...args).catch(() => undefined);
            return true;
          },
        }),
    }),
  },
  {
    name: 'a replica that knows only from its memory what is recorded',
    breaks: 'a record never changes',
    plant: () => ({
      stored: (side) => {
        const known = new Set<string>();
        return replacing(side, {
          transact: async (operations) => {
            const usages = operations.map(keyOf).filter((key) => key.startsWith('usage:'));
            if (usages.some((key) => known.has(key))) throw new ConflictError('it is known');
            await side.transact(operations.map((each) => (keyOf(each).startsWith('usage:') ? forced(each) : each)));
            for (const key of usages) known.add(key);
          },
        });
      },
    }),
  },
  {
    name: 'a store that draws salts anew when the leaf is made',
    breaks: 'a record is of an event that was told, and says what it says',
    plant: () => ({
      usage: (store) =>
        replacing(store, {
          insert: (chunk, usages) =>
            store.insert(
              chunk,
              usages.map((usage) => ({ ...usage, salt: 'AAAAAAAAAAAAAAAAAAAAAA' })),
            ),
        }),
    }),
  },
  {
    name: 'a replica that takes the same event again for another one',
    breaks: 'a dead letter has a cause, and is there once',
    plant: () => ({
      usage: (store) =>
        replacing(store, {
          find: async (ids) =>
            new Map([...(await store.find(ids))].map(([id, usage]) => [id, { ...usage, contentHash: 'other' }])),
        }),
    }),
  },
  {
    name: 'a ledger that looks at no version when it closes a batch',
    breaks: 'batches follow each other without a gap, and never change',
    plant: () => changing((each) => (/^(ledger-head|batch:|leaves:)/.test(keyOf(each)) ? forced(each) : each)),
  },
  {
    name: 'a ledger that takes chunks away in a transaction of its own',
    breaks: 'a record has one place: it waits for a batch, or is in one',
    plant: () => ({
      stored: (side) =>
        replacing(side, {
          transact: async (operations) => {
            const isTaken = (each: StateOperation) => 'remove' in each && each.remove.startsWith('unbatched:');
            await side.transact(operations.filter((each) => !isTaken(each)));
            const taken = operations.filter(isTaken);
            if (taken.length > 0) await side.transact(taken);
          },
        }),
    }),
  },
  {
    name: 'a ledger that lists the leaves of a batch by their ids',
    breaks: 'a batch is the tree over its records, of whole chunks in their order',
    plant: () =>
      changing((each) =>
        'upsert' in each && each.upsert.startsWith('leaves:')
          ? { ...each, value: [...(each.value as Entry[])].sort(([a], [b]) => (a < b ? -1 : 1)) }
          : each,
      ),
  },
  {
    name: 'a replica that closes a batch on the head of an earlier time',
    breaks: 'the head of the ledger and the tree over its batches are what the batches make',
    plant: () => ({
      ledger: (store) => {
        let peaks: readonly string[] | undefined;
        return replacing(store, {
          head: async () => {
            const { value, version } = await store.head();
            peaks ??= value.peaks;
            return { value: { ...value, peaks }, version };
          },
        });
      },
    }),
  },
  {
    name: 'a replica that lets batches grow',
    breaks: 'a batch holds no more than the limits, but for a single chunk',
    plant: () => ({ limits: (limits) => ({ ...limits, count: limits.count + 5 }) }),
  },
  {
    name: 'a replica that waits until a batch is full',
    breaks: OUTSIDE.waits,
    plant: () => ({ limits: (limits) => ({ ...limits, ageMs: 1_000_000 }) }),
  },
  {
    name: 'a replica that asks nobody for a lease',
    breaks: 'only who holds the lease of a sink writes for it',
    plant: () => ({
      sinkStore: (store) =>
        replacing(store, {
          state: async (sink) => {
            const { value, version } = await store.state(sink);
            return { value: value?.lease ? { ...value, lease: null } : value, version };
          },
        }),
    }),
  },
  {
    name: 'a replica that writes down its step though it has lost the lease',
    breaks: 'only who holds the lease of a sink writes for it',
    plant: () => changing((each) => (keyOf(each).startsWith('sink:') ? forced(each) : each)),
  },
  {
    name: 'a sink that forgets what it has begun when there is trouble',
    breaks: 'a delivery goes forwards, but for a chain that takes a block back',
    plant: () =>
      stepping(async (sink, open, parts) => {
        const result = await sink.step(open, parts);
        if (!result.trouble) return result;
        const advances = open.map(({ batch: { batchId } }) => ({ batchId, stage: 'pending' as const, progress: null }));
        return { ...result, advances };
      }),
  },
  {
    name: 'a sink that acts before what it does is written down',
    breaks: OUTSIDE.sinks,
    plant: () =>
      stepping(async (sink, open, parts) => {
        const first = await sink.step(open, parts);
        const begun = open.map((each) => {
          const advance = first.advances.find(({ batchId }) => batchId === each.batch.batchId);
          return advance ? { ...each, ...advance } : each;
        });
        return first.nextMs === 0 && !first.trouble ? sink.step(begun, parts) : first;
      }),
  },
  {
    name: 'a sink that takes what is in a block for final',
    breaks: OUTSIDE.sinks,
    plant: () => told('mined', 'finalized'),
  },
  {
    name: 'a sink that takes a service that was asked for one that has all',
    breaks: OUTSIDE.end,
    plant: () => told('pending', 'delivered'),
  },
  {
    name: 'a sink whose steps fail instead of telling of trouble',
    breaks: OUTSIDE.loops,
    plant: () =>
      stepping(async (sink, open, parts) => {
        const result = await sink.step(open, parts);
        if (result.trouble) throw new TypeError('undefined is not a batch');
        return result;
      }),
  },
  {
    name: 'a replica that keeps a lease beyond its death',
    breaks: OUTSIDE.end,
    plant: () => ({
      sinkStore: (store) =>
        replacing(store, {
          write: ({ lease, ...state }, ...rest) =>
            store.write({ ...state, lease: lease && { ...lease, until: '2100-01-01T00:00:00.000Z' } }, ...rest),
        }),
    }),
  },
  {
    name: 'a replica that forgets what a sink refuses',
    breaks: OUTSIDE.end,
    plant: () => stepping(async (sink, open, parts) => ({ ...(await sink.step(open, parts)), refusals: [] })),
  },
];

/** Overwrites whatever is there. */
function forced(operation: StateOperation): StateOperation {
  return 'upsert' in operation ? { upsert: operation.upsert, value: operation.value } : operation;
}

/** Operations that are carried out otherwise. */
function changing(change: (operation: StateOperation) => StateOperation): Plant {
  return {
    stored: (side) => replacing(side, { transact: (operations) => side.transact(operations.map(change)) }),
  };
}

function stepping(
  step: (sink: LedgerSink, open: readonly OpenBatch<unknown>[], parts: StepParts) => ReturnType<LedgerSink['step']>,
): Plant {
  return { sink: (sink) => replacing(sink, { step: (open, parts) => step(sink, open, parts) }) };
}

/** Sinks that tell of one stage where they have come to another. */
function told(stage: Stage, instead: Stage): Plant {
  return stepping(async (sink, open, parts) => {
    const result = await sink.step(open, parts);
    const advances = result.advances.map((each) => (each.stage === stage ? { ...each, stage: instead } : each));
    return { ...result, advances };
  });
}
