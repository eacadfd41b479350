import type { OpenInventory } from '../domain/inventory';
import { candidatesOf, type Kind } from '../domain/placement';
import type { PoolStore } from '../ports/pool-store';

/** Where something would fit. */
export class Candidates {
  constructor(private readonly store: Pick<PoolStore, 'inventoriesOfKind'>) {}

  /** Which pools of a kind would take a capacity at this moment, best fit first, and why others would not. Reserves nothing. */
  async find(kind: Kind, capacity: number): Promise<{ takers: OpenInventory[]; rejected: Record<string, number> }> {
    return candidatesOf(await this.store.inventoriesOfKind(kind), capacity);
  }
}
