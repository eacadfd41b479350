import { createPool } from '../application/create-pool';
import { deletePool } from '../application/delete-pool';
import { getPool } from '../application/read-pools';
import { sweepPools } from '../application/sweep-pools';
import { updatePool } from '../application/update-pool';
import { away, buildRooms, describePool, type TestRooms } from './support/builders';
import { dieAfter, expectAgreement, settledAfterDeath } from './support/crash';

let rooms: TestRooms;
beforeEach(() => {
  rooms = buildRooms();
});

describe('resizing a pool', () => {
  let id: string;
  beforeEach(async () => {
    id = await createPool(rooms, describePool());
  });

  test('below what is allocated: refused, and nothing has changed, the ETag included', async () => {
    const before = await getPool(rooms, id);
    rooms.inventories.allocate(id, 5);
    await expect(updatePool(rooms, id, describePool({ name: 'new', totalCapacity: 4 }))).rejects.toMatchObject({
      code: 'pool.capacity_below_allocated',
      facts: { allocated: 5 },
    });
    const after = await getPool(rooms, id);
    expect(after.pool).toEqual({ ...before.pool, revision: before.pool.revision + 1 });
    await updatePool(rooms, id, describePool({ totalCapacity: 5 }), { ifMatch: `"${before.pool.version}"` });
    await expectAgreement(rooms);
  });

  test('until the inventory has agreed, readers see what was', async () => {
    const asked = jest.spyOn(rooms.inventories, 'resize');
    asked.mockImplementationOnce(async () => {
      const { pool } = await getPool(rooms, id);
      expect([pool.totalCapacity, pool.version]).toEqual([8, 1]);
      throw away();
    });
    await expect(updatePool(rooms, id, describePool({ totalCapacity: 9 }))).rejects.toMatchObject({
      kind: 'unavailable',
    });
    expect(asked).toHaveBeenCalledTimes(1);
  });

  test.each([false, true])(
    'when allocation is away (took effect: %s), then 503, and the change is carried out later',
    async (takesEffect) => {
      rooms.inventories.away.push({ error: away(), takesEffect });
      await expect(updatePool(rooms, id, describePool({ totalCapacity: 9 }))).rejects.toMatchObject({
        kind: 'unavailable',
      });
      rooms.clock.seconds += 60;
      await sweepPools(rooms, rooms.logger);
      await expectAgreement(rooms);
      expect((await getPool(rooms, id)).pool).toMatchObject({ totalCapacity: 9, version: 2 });
    },
  );

  test.each([1, 2])('when the process dies after %d calls, then both sides agree in the end', async (lines) => {
    dieAfter(rooms, lines);
    await settledAfterDeath(rooms, updatePool(rooms, id, describePool({ totalCapacity: 9 })));
    await expectAgreement(rooms);
  });

  test('a change left pending is carried out by the next one, before it', async () => {
    rooms.inventories.away.push({ error: away(), takesEffect: false });
    await expect(updatePool(rooms, id, describePool({ totalCapacity: 9 }))).rejects.toMatchObject({
      kind: 'unavailable',
    });
    await updatePool(rooms, id, describePool({ name: 'new', totalCapacity: 9 }), { ifMatch: '"2"' });
    expect((await getPool(rooms, id)).pool).toMatchObject({ name: 'new', totalCapacity: 9, version: 3 });
    await expectAgreement(rooms);
  });

  test('a refusal that others wrote down is still told to who asked', async () => {
    rooms.inventories.allocate(id, 5);
    const replace = rooms.catalogue.replace.bind(rooms.catalogue);
    // another request settles the change between the moment it is written down and the moment the inventory is asked
    jest.spyOn(rooms.catalogue, 'replace').mockImplementationOnce(async (stored, next) => {
      const written = await replace(stored, next);
      await updatePool(rooms, id, describePool({ name: 'rival' }));
      rooms.inventories.allocate(id, 0);
      return written;
    });
    await expect(updatePool(rooms, id, describePool({ totalCapacity: 4 }))).rejects.toMatchObject({
      code: 'pool.capacity_below_allocated',
    });
    expect((await getPool(rooms, id)).pool).toMatchObject({ name: 'rival', totalCapacity: 8 });
    await expectAgreement(rooms);
  });

  test('with If-Match, a change that others have written down is no failed precondition', async () => {
    const replace = rooms.catalogue.replace.bind(rooms.catalogue);
    jest.spyOn(rooms.catalogue, 'replace').mockImplementationOnce(async (stored, next) => {
      const written = await replace(stored, next);
      rooms.clock.seconds += 60;
      await sweepPools(rooms, rooms.logger);
      return written;
    });
    await updatePool(rooms, id, describePool({ totalCapacity: 9 }), { ifMatch: '"1"' });
    expect((await getPool(rooms, id)).pool).toMatchObject({ totalCapacity: 9, version: 2 });
  });

  test('a request that was held up on its way and comes after a later one does nothing', async () => {
    const resize = rooms.inventories.resize.bind(rooms.inventories);
    let late: () => Promise<void> = async () => undefined;
    jest.spyOn(rooms.inventories, 'resize').mockImplementationOnce(async (...args) => {
      late = () => resize(...args);
      throw away();
    });
    await expect(updatePool(rooms, id, describePool({ totalCapacity: 4 }))).rejects.toMatchObject({
      kind: 'unavailable',
    });
    await updatePool(rooms, id, describePool({ totalCapacity: 50 }));
    await expect(late()).rejects.toThrow('later change');
    expect((await getPool(rooms, id)).inventory.total).toBe(50);
    await expectAgreement(rooms);
  });

  test('ten at once all succeed, one after the other', async () => {
    await Promise.all(
      Array.from({ length: 10 }, (_, index) => updatePool(rooms, id, describePool({ totalCapacity: 20 + index }))),
    );
    expect((await getPool(rooms, id)).pool.version).toBe(11);
    await expectAgreement(rooms);
  });
});

describe('deleting a pool', () => {
  let id: string;
  beforeEach(async () => {
    id = await createPool(rooms, describePool());
  });

  test('in use: refused, and it is as it was; after the release it can be deleted', async () => {
    const before = await getPool(rooms, id);
    rooms.inventories.allocate(id, 1);
    await expect(deletePool(rooms, id)).rejects.toMatchObject({ code: 'pool.in_use', facts: { allocated: 1 } });
    expect((await getPool(rooms, id)).pool.version).toBe(before.pool.version);
    await expectAgreement(rooms);
    rooms.inventories.allocate(id, 0);
    await deletePool(rooms, id, `"${before.pool.version}"`);
    expect(await expectAgreement(rooms)).toEqual([]);
    await expect(getPool(rooms, id)).rejects.toMatchObject({ code: 'pool.not_found' });
  });

  test.each([1, 2])('when the process dies after %d calls, then it is deleted in the end', async (lines) => {
    dieAfter(rooms, lines);
    await settledAfterDeath(rooms, deletePool(rooms, id));
    const left = await expectAgreement(rooms);
    expect(left).toEqual(lines === 1 ? [id] : []);
  });

  test('when allocation is away, then 503, and it is deleted when it is back', async () => {
    rooms.inventories.away.push({ error: away(), takesEffect: false });
    await expect(deletePool(rooms, id)).rejects.toMatchObject({ kind: 'unavailable' });
    rooms.clock.seconds += 60;
    await sweepPools(rooms, rooms.logger);
    expect(await expectAgreement(rooms)).toEqual([]);
  });

  test('twice at once: at least one has done it, the other may find nothing left', async () => {
    const results = await Promise.allSettled([deletePool(rooms, id), deletePool(rooms, id)]);
    expect(results.some(({ status }) => status === 'fulfilled')).toBe(true);
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'pool.not_found' });
    }
    expect(await expectAgreement(rooms)).toEqual([]);
  });

  test('the sweeper leaves alone what a request is busy with, and says what it has done', async () => {
    rooms.inventories.away.push({ error: away(), takesEffect: false });
    await expect(deletePool(rooms, id)).rejects.toMatchObject({ kind: 'unavailable' });
    await sweepPools(rooms, rooms.logger);
    expect(await rooms.catalogue.unsettled('9999')).toEqual([id]);
    rooms.clock.seconds += 60;
    rooms.inventories.away.push({ error: away(), takesEffect: false });
    await sweepPools(rooms, rooms.logger);
    await sweepPools(rooms, rooms.logger);
    expect(rooms.logger.lines).toEqual([
      expect.objectContaining({
        level: 'warn',
        activity: 'pool.close',
        result: 'allocation.unavailable',
        resource: `resource_pools/${id}`,
      }),
      expect.objectContaining({ level: 'info', activity: 'pool.close', result: 'ok' }),
    ]);
  });
});
