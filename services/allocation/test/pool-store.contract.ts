import { randomUUID } from 'node:crypto';
import { ConflictError } from '../../../shared/dapr/sidecar-error';
import { decide } from '../domain/decide';
import { allocationsOf } from '../domain/pool-commands';
import type { PoolStore } from '../ports/pool-store';
import { describePoolLists } from './pool-lists.contract';
import { allocate, readPool, release } from './support/builders';
import { contractPools } from './support/contract-pools';

/** What every adapter of PoolStore promises. `cleanUp` gets the pools that were made, all of them closed or emptied by it. */
export function describePoolStore(
  name: string,
  connect: () => PoolStore,
  cleanUp?: (pools: string[]) => Promise<void>,
): void {
  describe(`the pool store: ${name}`, () => {
    const { store, pools, carryOut, openPool } = contractPools(connect, cleanUp);

    test('what was committed is read back: inventory, allocations, remembered answers', async () => {
      const poolId = await openPool();
      const key = { id: randomUUID(), fingerprint: 'a' };
      const commands = [allocate({ capacity: 3 }, key), allocate({ capacity: 4, taskId: randomUUID() })];
      const decision = await carryOut(poolId, ...commands);
      const [first, second] = commands.map(({ allocation }) => allocation.id) as [string, string];
      const snapshot = await readPool(store(), poolId, [first, second, randomUUID()], [key.id, randomUUID()]);
      expect(snapshot.inventory).toEqual(decision.inventory);
      expect(snapshot.inventory).toMatchObject({
        poolId,
        total: 100,
        allocated: 7,
        state: 'open',
        revision: 1,
        refused: false,
      });
      expect(snapshot.allocations.size).toBe(2);
      expect(snapshot.allocations.get(second)).toMatchObject({ id: second, capacity: 4, poolId, lease: null });
      expect(snapshot.remembered).toEqual(new Map([[key.id, { fingerprint: 'a', madeId: first }]]));
      expect(await store().allocation(first)).toEqual(snapshot.allocations.get(first));
      expect(await store().inventories([poolId, randomUUID()])).toEqual([decision.inventory]);
    });

    test('who waits is read back with the inventory and by id, and is found when the time is over', async () => {
      const poolId = await openPool(1);
      const holder = allocate({ capacity: 1 });
      const waits = { ...allocate({ capacity: 1 }, undefined, 30), waitSeconds: 60, priority: 2, traceparent: 'trace' };
      const key = { id: randomUUID(), fingerprint: 'a' };
      const patient = { ...allocate({ capacity: 1 }, key), waitSeconds: 3_600 };
      const { inventory } = await carryOut(poolId, holder, patient, waits);
      const ids = [waits, patient].map(({ allocation }) => allocation.id);
      expect(inventory?.waiting.map(({ id }) => id)).toEqual(ids);
      const wanted = { poolIds: [poolId], allocationIds: ids, rememberedIds: [key.id], requestIds: ids };
      const read = await store().read(wanted);
      expect([read.inventories.get(poolId), read.allocations.size]).toEqual([inventory, 0]);
      expect(read.remembered.get(key.id)).toEqual({ fingerprint: 'a', madeId: ids[1], waits: true });
      expect([...read.requests.keys()].sort()).toEqual([...ids].sort());
      const { expiresAt } = inventory!.waiting[0]!;
      expect(await store().overdueQueues(expiresAt, 1_000)).toEqual(expect.arrayContaining([poolId]));
      const before = new Date(Date.parse(expiresAt) - 1).toISOString();
      expect(await store().overdueQueues(before, 1_000)).not.toEqual(expect.arrayContaining([poolId]));
      await carryOut(poolId, release(holder.allocation.id), { kind: 'serve' });
      expect((await store().requests([...ids, randomUUID()])).map(({ id, status }) => [id, status]).sort()).toEqual(
        [
          [ids[0], 'granted'],
          [ids[1], 'waiting'],
        ].sort(),
      );
      await carryOut(poolId, release(ids[0]!));
      await carryOut(poolId, { kind: 'cancel', requestId: ids[1]!, cancelledBy: randomUUID(), forTask: false });
      expect((await store().inventories([poolId]))[0]).toMatchObject({ allocated: 0, waiting: [] });
    });

    test('terms are read back as they were written', async () => {
      const poolId = await openPool(10);
      const terms = { total: 5, reserved: 1, allocationRatio: 1.5, minUnit: 2, maxUnit: 4, stepSize: 2 };
      const change = { kind: 'resize' as const, ...terms, state: 'draining' as const, revision: 2 };
      const { inventory } = await carryOut(poolId, change);
      expect(inventory).toMatchObject({ ...terms, state: 'draining', drain: { to: 0 } });
      expect((await readPool(store(), poolId)).inventory).toEqual(inventory);
    });

    test('what was released is gone, in the same transaction as its capacity', async () => {
      const poolId = await openPool();
      const [kept, gone] = [allocate({ capacity: 3 }), allocate({ capacity: 4 })];
      await carryOut(poolId, kept, gone);
      await carryOut(poolId, release(gone.allocation.id));
      const { allocations, ended } = await readPool(store(), poolId, [kept.allocation.id, gone.allocation.id]);
      expect([[...allocations.keys()], ended]).toEqual([[kept.allocation.id], new Set([gone.allocation.id])]);
      expect(await store().allocation(gone.allocation.id)).toBeUndefined();
      expect(await store().allocation(kept.allocation.id)).toBeDefined();
      expect((await store().inventories([poolId]))[0]?.allocated).toBe(3);
    });

    test('one made and released in the same batch leaves nothing but its events', async () => {
      const poolId = await openPool();
      const command = allocate({ capacity: 4 });
      const decision = await carryOut(poolId, command, release(command.allocation.id));
      expect(decision.facts.map(({ kind }) => kind)).toEqual(['allocated', 'released']);
      expect(await store().allocation(command.allocation.id)).toBeUndefined();
      expect((await store().inventories([poolId]))[0]?.allocated).toBe(0);
    });

    test('of two that read the same version one is refused, and nothing of it is written', async () => {
      const poolId = await openPool();
      const [first, second] = [allocate(), allocate()];
      const [one, two] = [
        await readPool(store(), poolId, [first.allocation.id]),
        await readPool(store(), poolId, [second.allocation.id]),
      ];
      const now = new Date().toISOString();
      await store().commit(one, decide(one, [{ ...first, poolId }], now));
      await expect(store().commit(two, decide(two, [{ ...second, poolId }], now))).rejects.toBeInstanceOf(
        ConflictError,
      );
      expect(await store().allocation(second.allocation.id)).toBeUndefined();
      expect((await store().inventories([poolId]))[0]?.allocated).toBe(1);
    });

    test('of two that open the same pool one is refused', async () => {
      const poolId = randomUUID();
      pools.push(poolId);
      const [one, two] = [await readPool(store(), poolId), await readPool(store(), poolId)];
      const now = new Date().toISOString();
      await store().commit(one, decide(one, [{ poolId, kind: 'open', total: 5, revision: 1 }], now));
      await expect(
        store().commit(two, decide(two, [{ poolId, kind: 'close', revision: 2 }], now)),
      ).rejects.toBeInstanceOf(ConflictError);
      expect((await store().inventories([poolId]))[0]?.state).toBe('open');
    });

    test('a closed inventory is a tombstone, not an absence', async () => {
      const poolId = await openPool();
      await carryOut(poolId, { kind: 'close', revision: 2 });
      expect((await readPool(store(), poolId)).inventory).toMatchObject({ state: 'closed', total: 0, revision: 2 });
    });

    test('two pools change in one transaction, and neither does when one of them was changed meanwhile', async () => {
      const [one, two] = [await openPool(), await openPool()];
      const orders = [
        { ...allocate({ capacity: 2 }), poolId: one },
        { ...allocate({ capacity: 3 }), poolId: two },
      ];
      const wanted = {
        poolIds: [one, two],
        allocationIds: orders.flatMap(allocationsOf),
        rememberedIds: [],
        requestIds: [],
      };
      const [before, stale] = [await store().read(wanted), await store().read(wanted)];
      await store().commit(before, decide(before, orders, new Date().toISOString()));
      const allocatedNow = async () => (await store().inventories([one, two])).map(({ allocated }) => allocated).sort();
      expect(await allocatedNow()).toEqual([2, 3]);
      await carryOut(two, allocate({ capacity: 1 }));
      const late = decide(
        stale,
        [
          { ...allocate(), poolId: one },
          { ...allocate(), poolId: two },
        ],
        new Date().toISOString(),
      );
      await expect(store().commit(stale, late)).rejects.toBeInstanceOf(ConflictError);
      expect(await allocatedNow()).toEqual([2, 4]);
    });

    test('a lease is read back, found when it has ended, moved by a renewal, and gone with its allocation', async () => {
      const poolId = await openPool();
      const leased = allocate({}, undefined, 10);
      await carryOut(poolId, leased, allocate());
      const held = await store().allocation(leased.allocation.id);
      expect(held?.lease?.seconds).toBe(10);
      const end = held?.lease?.expiresAt ?? '';
      const expired = async (now: string) =>
        (await store().expiredLeases(now, 1_000)).filter((row) => row.poolId === poolId).map(({ id }) => id);
      expect(await expired(new Date(Date.parse(end) - 1).toISOString())).toEqual([]);
      expect(await expired(end)).toEqual([leased.allocation.id]);
      await carryOut(poolId, { kind: 'renew', allocationId: leased.allocation.id, seconds: 60, forTask: false });
      expect(await expired(end)).toEqual([]);
      expect((await store().allocation(leased.allocation.id))?.lease?.seconds).toBe(60);
      await carryOut(poolId, release(leased.allocation.id));
      expect(await expired('2130-01-01T00:00:00.000Z')).toEqual([]);
    });

    test('of a renewal and a release that read the same version one is refused', async () => {
      const poolId = await openPool();
      const leased = allocate({}, undefined, 10);
      const allocationId = leased.allocation.id;
      await carryOut(poolId, leased);
      const snapshot = await readPool(store(), poolId, [allocationId]);
      await carryOut(poolId, release(allocationId));
      const renew = { poolId, kind: 'renew' as const, allocationId, seconds: 60, forTask: false };
      const late = decide(snapshot, [renew], new Date().toISOString());
      await expect(store().commit(snapshot, late)).rejects.toBeInstanceOf(ConflictError);
      expect(await store().allocation(allocationId)).toBeUndefined();
    });

    test('an answer is remembered once, and an allocation under a remembered key is refused', async () => {
      const [key, allocationId] = [randomUUID(), randomUUID()];
      expect(await store().remembered(key)).toBeUndefined();
      await store().remember(key, { fingerprint: 'given back', madeId: allocationId });
      expect(await store().remembered(key)).toEqual({ fingerprint: 'given back', madeId: allocationId });
      await expect(store().remember(key, { fingerprint: 'b', madeId: allocationId })).rejects.toBeInstanceOf(
        ConflictError,
      );
      const poolId = await openPool();
      const unaware = { ...(await readPool(store(), poolId)), remembered: new Map() };
      const decision = decide(
        unaware,
        [{ ...allocate({}, { id: key, fingerprint: 'a' }), poolId }],
        new Date().toISOString(),
      );
      await expect(store().commit(unaware, decision)).rejects.toBeInstanceOf(ConflictError);
      expect((await store().inventories([poolId]))[0]?.allocated).toBe(0);
    });

    describePoolLists({ store, carryOut, openPool });
  });
}
