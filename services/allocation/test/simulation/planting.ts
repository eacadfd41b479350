import { replacing } from '../../../../shared/testing/simulation/replacing';
import type { Inventory } from '../../domain/inventory';
import type { PoolFact } from '../../domain/pool-commands';
import type { PoolStore } from '../../ports/pool-store';
import type { Plant } from './replica';

/** What several planted faults are made of. */

export function withFacts(change: (facts: PoolFact[]) => PoolFact[]): NonNullable<Plant['stored']> {
  return (store) =>
    replacing<PoolStore>(store, {
      commit: (snapshot, decision) => store.commit(snapshot, { ...decision, facts: change(decision.facts) }),
    });
}

export function withInventories(change: (inventory: Inventory) => Inventory): NonNullable<Plant['stored']> {
  return (store) =>
    replacing<PoolStore>(store, {
      commit: (snapshot, decision) => {
        const inventories = new Map([...decision.inventories].map(([id, one]) => [id, change(one)]));
        return store.commit(snapshot, { ...decision, inventories });
      },
    });
}

/** A replica that sees something of inventories otherwise than it is, and writes it back as it was. */
export function seeing(otherwise: (inventory: Inventory) => Partial<Inventory>): NonNullable<Plant['seen']> {
  const truth = new WeakMap<ReadonlyMap<string, Inventory>, ReadonlyMap<string, Inventory>>();
  return (store) =>
    replacing(store, {
      read: async (wanted) => {
        const snapshot = await store.read(wanted);
        const inventories = new Map([...snapshot.inventories].map(([id, one]) => [id, { ...one, ...otherwise(one) }]));
        truth.set(inventories, snapshot.inventories);
        return { ...snapshot, inventories };
      },
      commit: (snapshot, decision) => {
        const asTheyWere = [...decision.inventories].map(([id, one]): [string, Inventory] => {
          const before = truth.get(snapshot.inventories)?.get(id);
          if (!before || before.revision !== one.revision) return [id, one];
          const { state, queuePolicy } = before;
          return [id, { ...one, state, queuePolicy }];
        });
        return store.commit(snapshot, { ...decision, inventories: new Map(asTheyWere) });
      },
    });
}

export function idsOf(facts: readonly PoolFact[]): string[] {
  return facts.flatMap((fact) => ('allocation' in fact ? [fact.allocation.id] : []));
}
