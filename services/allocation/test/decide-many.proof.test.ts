import fc from 'fast-check';
import { decide } from '../domain/decide';
import type { Allocation, Inventory } from '../domain/inventory';
import type { Order, State } from '../domain/pool-commands';
import { allocate, buildInventory, release } from './support/builders';

/** Three small pools, and a clock that every batch moves on by a second. */
const POOLS = ['a', 'b', 'c'].map((letter) => letter.repeat(8) + '-4c0e-4f5e-9a39-5d2a1a6f3c11');
const IDS = Array.from({ length: 10 }, (_, index) => `00000000-0000-4000-8000-0000000000${index + 10}`);
const GROUPS = ['g1', 'g2', 'g3'];
const START = Date.UTC(2026, 10, 23);

/** What the service promises, written down a second time without batches, rows or versions. */
class Model {
  readonly held = new Map<
    string,
    { poolId: string; capacity: number; group: string | null; ends: number | null; seconds: number | null }
  >();

  constructor(private readonly total: number) {}

  allocated(poolId: string): number {
    return [...this.held.values()].reduce((sum, one) => sum + (one.poolId === poolId ? one.capacity : 0), 0);
  }

  private fits(poolId: string, capacity: number): boolean {
    return this.allocated(poolId) + capacity <= this.total;
  }

  expects(order: Order, now: number): boolean {
    switch (order.kind) {
      case 'allocate': {
        const { id, capacity, leaseSeconds } = order.allocation;
        if (this.held.has(id)) return true;
        if (!this.fits(order.poolId, capacity)) return false;
        const ends = leaseSeconds === null ? null : now + leaseSeconds * 1000;
        this.held.set(id, { poolId: order.poolId, capacity, group: null, ends, seconds: leaseSeconds });
        return true;
      }
      case 'allocate_group': {
        const asked = (poolId: string) =>
          order.claims.reduce((sum, claim) => sum + (claim.poolId === poolId ? claim.capacity : 0), 0);
        if (!POOLS.every((poolId) => this.fits(poolId, asked(poolId)))) return false;
        for (const { allocationId, poolId, capacity } of order.claims) {
          this.held.set(allocationId, { poolId, capacity, group: order.groupId, ends: null, seconds: null });
        }
        return true;
      }
      case 'release': {
        const one = this.held.get(order.allocationId);
        return one?.poolId === order.poolId && this.held.delete(order.allocationId);
      }
      case 'release_group': {
        const members = [...this.held].filter(([, one]) => one.group === order.groupId);
        for (const [id] of members) this.held.delete(id);
        return members.length > 0;
      }
      case 'renew': {
        const one = this.held.get(order.allocationId);
        if (one?.poolId !== order.poolId) return false;
        if (order.seconds === undefined && one.seconds === null) return false;
        if (order.seconds !== undefined) one.seconds = order.seconds;
        one.ends = one.seconds === null ? null : now + one.seconds * 1000;
        return true;
      }
      case 'expire': {
        const one = this.held.get(order.allocationId);
        if (one && one.ends !== null && one.ends <= now) this.held.delete(order.allocationId);
        return true;
      }
      default:
        throw new Error(`the model knows no ${order.kind}`);
    }
  }
}

// an id names one pool and one content, as ids that the service draws do
const poolOf = (id: string) => POOLS[IDS.indexOf(id) % POOLS.length]!;
const anId = fc.constantFrom(...IDS);
const anAllocation = fc.tuple(anId, fc.constantFrom(null, 1, 3)).map(([id, lease]) => ({
  ...allocate({ id, capacity: (IDS.indexOf(id) % 4) + 1 }, undefined, lease),
  poolId: poolOf(id),
}));
let serial = 0;
const aGroup = fc
  .tuple(
    fc.constantFrom(...GROUPS),
    fc.array(fc.tuple(fc.constantFrom(...POOLS), fc.integer({ min: 1, max: 4 })), { minLength: 1, maxLength: 4 }),
  )
  .map(([groupId, parts]): Order => ({
    kind: 'allocate_group',
    groupId,
    serviceId: IDS[0]!,
    createdBy: IDS[0]!,
    claims: parts.map(([poolId, capacity]) => ({ poolId, capacity, allocationId: `m${(serial += 1)}` })),
  }));
const anOrder: fc.Arbitrary<Order> = fc.oneof(
  { weight: 6, arbitrary: anAllocation },
  { weight: 3, arbitrary: aGroup },
  {
    weight: 3,
    arbitrary: fc.tuple(anId, fc.constantFrom(...POOLS)).map(([id, poolId]) => ({ ...release(id), poolId })),
  },
  { weight: 3, arbitrary: anId.map((id) => ({ ...release(id), poolId: poolOf(id) })) },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom(...GROUPS)
      .map((groupId): Order => ({ kind: 'release_group', groupId, members: [], releasedBy: 'x' })),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(anId, fc.constantFrom(undefined, null, 2)).map(([id, seconds]): Order => ({
      kind: 'renew',
      poolId: poolOf(id),
      allocationId: id,
      seconds,
      forTask: false,
    })),
  },
  { weight: 3, arbitrary: anId.map((id): Order => ({ kind: 'expire', poolId: poolOf(id), allocationId: id })) },
);

test('any sequence of grants, groups, renewals, expiries and releases over three pools does what the model does', () => {
  fc.assert(
    fc.property(fc.array(fc.array(anOrder, { maxLength: 8 }), { maxLength: 30 }), (batches) => {
      const total = 6;
      const model = new Model(total);
      const inventories = new Map<string, Inventory>(
        POOLS.map((poolId) => [poolId, buildInventory({ poolId, total })]),
      );
      const allocations = new Map<string, Allocation>();
      const ends = new Map<string, number>();
      batches.forEach((batch, index) => {
        const now = START + index * 1000;
        // as the application does: the members of a group are those that are held when the order is made
        const orders = batch.map((order): Order => {
          if (order.kind !== 'release_group') return order;
          const members = [...allocations.values()].filter(({ groupId }) => groupId === order.groupId);
          return { ...order, members: members.map(({ id, poolId }) => ({ allocationId: id, poolId })) };
        });
        // a group that is made and released in one batch is not known to the one who releases
        if (orders.some(({ kind }) => kind === 'allocate_group') && orders.some(({ kind }) => kind === 'release_group'))
          return;
        const state: State = { inventories, allocations, remembered: new Map(), requests: new Map() };
        const { outcomes, facts, inventories: changed } = decide(state, orders, new Date(now).toISOString());
        expect(outcomes.map(({ ok }) => ok)).toEqual(orders.map((order) => model.expects(order, now)));
        for (const [id, inventory] of changed) inventories.set(id, inventory);
        for (const fact of facts) {
          if (fact.kind === 'allocated' || fact.kind === 'renewed')
            allocations.set(fact.allocation.id, fact.allocation);
          if (fact.kind !== 'released') continue;
          // freed twice, it would be told twice without having been made in between
          expect(allocations.delete(fact.allocation.id)).toBe(true);
          ends.set(fact.allocation.id, (ends.get(fact.allocation.id) ?? 0) + 1);
        }
        expect([...allocations.keys()].sort()).toEqual([...model.held.keys()].sort());
        for (const [id, { lease }] of allocations) {
          expect(lease === null ? null : Date.parse(lease.expiresAt)).toBe(model.held.get(id)?.ends ?? null);
        }
        for (const inventory of inventories.values()) {
          expect(inventory.allocated).toBe(model.allocated(inventory.poolId));
          expect(inventory.allocated).toBeLessThanOrEqual(total);
        }
      });
    }),
    { numRuns: 400 },
  );
});
