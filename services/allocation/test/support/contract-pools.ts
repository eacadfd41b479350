import { randomUUID } from 'node:crypto';
import type { Terms } from '../../../../shared/contracts/inventory';
import { decide } from '../../domain/decide';
import { allocationsOf, type PoolCommand, rememberedOf, requestsOf } from '../../domain/pool-commands';
import type { PoolStore } from '../../ports/pool-store';

export type ContractPools = ReturnType<typeof contractPools>;

/** A store that is connected before the tests, and pools in it that are cleaned up after them. */
export function contractPools(connect: () => PoolStore, cleanUp?: (pools: string[]) => Promise<void>) {
  let store: PoolStore;
  const pools: string[] = [];
  let second = 0;

  beforeAll(() => {
    store = connect();
  });
  afterAll(async () => cleanUp?.(pools));

  /**
   * Reads, decides and commits, each time a second later. Ahead of every real clock: a service that runs on the same
   * store must not end what a test looks at.
   */
  async function carryOut(poolId: string, ...commands: PoolCommand[]) {
    const orders = commands.map((command) => ({ ...command, poolId }));
    const snapshot = await store.read({
      poolIds: [poolId],
      allocationIds: orders.flatMap(allocationsOf),
      rememberedIds: orders.flatMap(rememberedOf),
      requestIds: orders.flatMap(requestsOf),
    });
    const decision = decide(snapshot, orders, new Date(Date.UTC(2100, 0, 1) + (second += 1) * 1000).toISOString());
    await store.commit(snapshot, decision);
    return { ...decision, inventory: decision.inventories.get(poolId) ?? snapshot.inventories.get(poolId) };
  }

  async function openPool(total = 100, terms: Partial<Terms> = {}): Promise<string> {
    const poolId = randomUUID();
    pools.push(poolId);
    await carryOut(poolId, { kind: 'open', ...terms, total, revision: 1 });
    return poolId;
  }

  return { store: () => store, pools, carryOut, openPool };
}
