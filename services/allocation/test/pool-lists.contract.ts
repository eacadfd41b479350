import { randomUUID } from 'node:crypto';
import { allocate, readPool, release } from './support/builders';
import type { ContractPools } from './support/contract-pools';

/** What every adapter of PoolStore promises of its lists. */
export function describePoolLists({ store, carryOut, openPool }: Omit<ContractPools, 'pools'>): void {
  test('inventories of a kind: by place and by all the labels asked for; none that was closed', async () => {
    const resourceType = `kind-${randomUUID()}`;
    const labels = { team: 'vision', tier: "o'spot" };
    const [near, far] = [
      await openPool(10, { resourceType, location: 'near', labels }),
      await openPool(10, { resourceType, location: 'far', labels: { team: 'vision' }, state: 'cordoned' }),
    ];
    const gone = await openPool(10, { resourceType, location: 'near', labels });
    await carryOut(gone, { kind: 'close', revision: 2 });
    const found = async (kind: object) =>
      (await store().inventoriesOfKind({ resourceType, labels: [], ...kind })).map(({ poolId }) => poolId).sort();
    expect(await found({})).toEqual([near, far].sort());
    expect(await found({ location: 'far' })).toEqual([far]);
    expect(await found({ labels: [['team', 'vision']] })).toEqual([near, far].sort());
    expect(await found({ labels: Object.entries(labels) })).toEqual([near]);
    expect(await found({ location: 'far', labels: [['tier', "o'spot"]] })).toEqual([]);
    expect(await found({ labels: [['toString', 'x']] })).toEqual([]);
    expect(await found({ resourceType: resourceType.toUpperCase() })).toEqual([]);
    const [whole] = await store().inventoriesOfKind({ resourceType, location: 'near', labels: [] });
    expect(whole).toEqual((await readPool(store(), near)).inventory);
  });

  test('a list is the pool’s own, oldest first, filtered by service, and goes on behind a keyset', async () => {
    const [poolId, other] = [await openPool(), await openPool()];
    const serviceId = randomUUID();
    const commands = [allocate({ serviceId }), allocate(), allocate({ serviceId }), allocate({ serviceId })];
    for (const command of commands) await carryOut(poolId, command);
    await carryOut(other, allocate({ serviceId }));
    const ids = commands.map(({ allocation }) => allocation.id);
    const all = await store().listAllocations({ poolId, limit: 10 });
    expect(all.map(({ id }) => id)).toEqual(ids);
    expect(all[0]).toEqual(await store().allocation(ids[0]!));
    const page = await store().listAllocations({ poolId, serviceId, limit: 2 });
    expect(page.map(({ id }) => id)).toEqual([ids[0], ids[2]]);
    const { createdAt: at, id } = page[1]!;
    const rest = await store().listAllocations({ poolId, serviceId, limit: 2, after: { at, id } });
    expect(rest.map((row) => row.id)).toEqual([ids[3]]);
  });

  test('what was released is listed, the latest first, filtered, and goes on behind a keyset', async () => {
    const poolId = await openPool();
    const serviceId = randomUUID();
    const commands = [allocate({ serviceId }), allocate({ taskId: randomUUID() }), allocate({ serviceId })];
    const ids = commands.map(({ allocation }) => allocation.id);
    await carryOut(poolId, ...commands);
    for (const id of ids)
      await carryOut(poolId, release(id, { forTask: true, reason: id === ids[2] ? 'x' : 'released' }));
    // made and released in one transaction: no row of it was ever there
    const brief = allocate();
    await carryOut(poolId, brief, release(brief.allocation.id));
    const all = await store().listReleased({ poolId, limit: 10 });
    expect(all.map(({ id }) => id)).toEqual([brief.allocation.id, ids[2], ids[1], ids[0]]);
    expect(all[2]).toMatchObject({ id: ids[1], poolId, reason: 'released' });
    const found = async (filter: object) =>
      (await store().listReleased({ poolId, limit: 10, ...filter })).map(({ id }) => id);
    expect(await found({ serviceId })).toEqual([ids[2], ids[0]]);
    expect(await found({ serviceId, reason: 'x' })).toEqual([ids[2]]);
    expect(await found({ limit: 1 })).toEqual([brief.allocation.id]);
    const { releasedAt: at, id } = all[2]!;
    expect(await found({ after: { at, id } })).toEqual([ids[0]]);
    expect(await found({ from: at })).toEqual([brief.allocation.id, ids[2], ids[1]]);
    expect(await found({ to: at })).toEqual([ids[0]]);
  });

  test('many of the same instant are each listed once over pages', async () => {
    const poolId = await openPool();
    await carryOut(poolId, ...Array.from({ length: 7 }, () => allocate()));
    const seen: string[] = [];
    for (let after: { at: string; id: string } | undefined; ;) {
      const page = await store().listAllocations({ poolId, limit: 3, after });
      seen.push(...page.map(({ id }) => id));
      const last = page.at(-1);
      if (page.length < 3 || !last) break;
      after = { at: last.createdAt, id: last.id };
    }
    expect([seen.length, new Set(seen).size]).toEqual([7, 7]);
  });
}
