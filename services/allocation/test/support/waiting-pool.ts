import { decide } from '../../domain/decide';
import type { Allocation, Inventory } from '../../domain/inventory';
import type { AllocateCommand, Decision, PoolCommand, State } from '../../domain/pool-commands';
import type { AllocationRequest } from '../../domain/queue';
import { allocate, buildInventory, NOW, POOL } from './builders';

/** So many seconds after the tests' beginning. */
export const at = (seconds: number): string => new Date(Date.parse(NOW) + seconds * 1000).toISOString();

/** One pool, what is held of it and who waits, as they are after each decision. */
export class Pool {
  readonly held = new Map<string, Allocation>();
  readonly requests = new Map<string, AllocationRequest>();
  inventory: Inventory;

  constructor(overrides: Partial<Inventory> = {}) {
    this.inventory = buildInventory({ total: 10, ...overrides });
  }

  carryOut(seconds: number, ...commands: PoolCommand[]): Decision {
    const inventories = new Map([[POOL, this.inventory]]);
    const state: State = { inventories, allocations: this.held, remembered: new Map(), requests: this.requests };
    const decision = decide(
      state,
      commands.map((command) => ({ ...command, poolId: POOL })),
      at(seconds),
    );
    this.inventory = decision.inventories.get(POOL) ?? this.inventory;
    for (const fact of decision.facts) {
      if (fact.kind === 'allocated') this.held.set(fact.allocation.id, fact.allocation);
      else if (fact.kind === 'released') this.held.delete(fact.allocation.id);
      else if (fact.kind === 'request') this.requests.set(fact.request.id, fact.request);
    }
    return decision;
  }

  status(command: AllocateCommand): string | undefined {
    return this.requests.get(command.allocation.id)?.status;
  }
}

export function wants(capacity: number, overrides: Partial<AllocateCommand> = {}): AllocateCommand {
  return { ...allocate({ capacity }), waitSeconds: 60, ...overrides };
}

export const resize = (total: number, revision: number, overrides: object = {}): PoolCommand => {
  return { kind: 'resize', total, revision, mode: 'allow', ...overrides };
};
