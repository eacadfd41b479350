import { ConflictError } from '../../../shared/dapr/sidecar-error';
import { idempotencyKey } from '../../../shared/http/conditions';
import { createPool } from '../application/create-pool';
import { deletePool } from '../application/delete-pool';
import { getPool } from '../application/read-pools';
import { sweepPools } from '../application/sweep-pools';
import { updatePool } from '../application/update-pool';
import { away, buildRooms, describePool, type TestRooms } from './support/builders';

const key = idempotencyKey('k-1', ['caller', 'POST resource_pools'], describePool())!;
let rooms: TestRooms;
beforeEach(() => {
  rooms = buildRooms();
});

/** The process ends at the call after `lines` more calls of the catalogue: nothing of it takes effect, nor anything later. */
function dieAfter(lines: number): void {
  for (const method of ['get', 'remembered', 'insert', 'replace', 'remove'] as const) {
    const real = rooms.catalogue[method].bind(rooms.catalogue) as (...args: unknown[]) => Promise<never>;
    jest.spyOn(rooms.catalogue, method).mockImplementation((...args: unknown[]) => {
      lines -= 1;
      return lines < 0 ? new Promise<never>(() => undefined) : real(...args);
    });
  }
}

async function settledAfterDeath(work: Promise<unknown>): Promise<void> {
  const quiet = new Promise((resolve) => setTimeout(resolve, 20));
  await Promise.race([work.catch(() => undefined), quiet]);
  jest.restoreAllMocks();
  rooms.clock.seconds += 60;
  await sweepPools(rooms, rooms.logger);
}

/** The catalogue and the inventories tell the same story: every visible pool is open with its total, and no other is. */
async function expectAgreement(): Promise<string[]> {
  const pools = await rooms.catalogue.list({ limit: 100 });
  for (const pool of pools) {
    expect(pool.pending).toBeNull();
    expect(rooms.inventories.kept.get(pool.id)).toMatchObject({ open: true, total: pool.totalCapacity });
  }
  const open = [...rooms.inventories.kept].filter(([, kept]) => kept.open).map(([id]) => id);
  expect(open.sort()).toEqual(pools.map(({ id }) => id).sort());
  expect(await rooms.catalogue.unsettled('9999')).toEqual([]);
  return open;
}

describe('creating a pool', () => {
  test('it is there, with its inventory, when the call returns', async () => {
    const id = await createPool(rooms, describePool());
    const { pool, inventory } = await getPool(rooms, id);
    expect([pool.name, pool.version, inventory]).toEqual([
      'gpu-a100',
      1,
      { pool_id: id, total: 8, allocated: 0, available: 8 },
    ]);
    await expectAgreement();
  });

  test.each([false, true])(
    'when allocation is away (took effect: %s), then 503, and there never is a pool',
    async (takesEffect) => {
      rooms.inventories.away.push({ error: away(), takesEffect });
      await expect(createPool(rooms, describePool(), key)).rejects.toMatchObject({ kind: 'unavailable' });
      expect(await rooms.catalogue.list({ limit: 10 })).toEqual([]);
      rooms.clock.seconds += 60;
      await sweepPools(rooms, rooms.logger);
      expect(await expectAgreement()).toEqual([]);
      // and the same request makes one now
      await createPool(rooms, describePool(), key);
      expect(await expectAgreement()).toHaveLength(1);
    },
  );

  test('the same key before the sweeper came makes a pool too', async () => {
    rooms.inventories.away.push({ error: away(), takesEffect: true });
    await expect(createPool(rooms, describePool(), key)).rejects.toMatchObject({ kind: 'unavailable' });
    const id = await createPool(rooms, describePool(), key);
    expect(await expectAgreement()).toEqual([id]);
  });

  test.each([0, 1, 2, 3])(
    'when the process dies after %d calls, then there is no pool or a whole one, and no other trace',
    async (lines) => {
      dieAfter(lines);
      await settledAfterDeath(createPool(rooms, describePool(), key));
      const before = await expectAgreement();
      const id = await createPool(rooms, describePool(), key);
      expect(await expectAgreement()).toEqual([id]);
      if (before.length > 0) expect(before).toEqual([id]);
    },
  );

  test('the same key ten times in parallel is one pool', async () => {
    const ids = await Promise.all(Array.from({ length: 10 }, () => createPool(rooms, describePool(), key)));
    expect(new Set(ids).size).toBe(1);
    expect(await expectAgreement()).toEqual([ids[0]]);
  });

  test('the sweeper that takes a slow creation for dead is believed: the request makes another pool', async () => {
    const open = rooms.inventories.open.bind(rooms.inventories);
    jest.spyOn(rooms.inventories, 'open').mockImplementationOnce(async (...args) => {
      rooms.clock.seconds += 60;
      await sweepPools(rooms, rooms.logger);
      return open(...args);
    });
    const id = await createPool(rooms, describePool(), key);
    expect(await expectAgreement()).toEqual([id]);
  });

  test('a pool that was made and deleted since is still the answer to its key', async () => {
    const id = await createPool(rooms, describePool(), key);
    await deletePool(rooms, id);
    await expect(createPool(rooms, describePool(), key)).resolves.toBe(id);
    expect(await expectAgreement()).toEqual([]);
  });
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
    await updatePool(rooms, id, describePool({ totalCapacity: 5 }), `"${before.pool.version}"`);
    await expectAgreement();
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
      await expectAgreement();
      expect((await getPool(rooms, id)).pool).toMatchObject({ totalCapacity: 9, version: 2 });
    },
  );

  test.each([1, 2])('when the process dies after %d calls, then both sides agree in the end', async (lines) => {
    dieAfter(lines);
    await settledAfterDeath(updatePool(rooms, id, describePool({ totalCapacity: 9 })));
    await expectAgreement();
  });

  test('a change left pending is carried out by the next one, before it', async () => {
    rooms.inventories.away.push({ error: away(), takesEffect: false });
    await expect(updatePool(rooms, id, describePool({ totalCapacity: 9 }))).rejects.toMatchObject({
      kind: 'unavailable',
    });
    await updatePool(rooms, id, describePool({ name: 'new', totalCapacity: 9 }), '"2"');
    expect((await getPool(rooms, id)).pool).toMatchObject({ name: 'new', totalCapacity: 9, version: 3 });
    await expectAgreement();
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
    await expectAgreement();
  });

  test('with If-Match, a change that others have written down is no failed precondition', async () => {
    const replace = rooms.catalogue.replace.bind(rooms.catalogue);
    jest.spyOn(rooms.catalogue, 'replace').mockImplementationOnce(async (stored, next) => {
      const written = await replace(stored, next);
      rooms.clock.seconds += 60;
      await sweepPools(rooms, rooms.logger);
      return written;
    });
    await updatePool(rooms, id, describePool({ totalCapacity: 9 }), '"1"');
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
    await expectAgreement();
  });

  test('ten at once all succeed, one after the other', async () => {
    await Promise.all(
      Array.from({ length: 10 }, (_, index) => updatePool(rooms, id, describePool({ totalCapacity: 20 + index }))),
    );
    expect((await getPool(rooms, id)).pool.version).toBe(11);
    await expectAgreement();
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
    await expectAgreement();
    rooms.inventories.allocate(id, 0);
    await deletePool(rooms, id, `"${before.pool.version}"`);
    expect(await expectAgreement()).toEqual([]);
    await expect(getPool(rooms, id)).rejects.toMatchObject({ code: 'pool.not_found' });
  });

  test.each([1, 2])('when the process dies after %d calls, then it is deleted in the end', async (lines) => {
    dieAfter(lines);
    await settledAfterDeath(deletePool(rooms, id));
    const left = await expectAgreement();
    expect(left).toEqual(lines === 1 ? [id] : []);
  });

  test('when allocation is away, then 503, and it is deleted when it is back', async () => {
    rooms.inventories.away.push({ error: away(), takesEffect: false });
    await expect(deletePool(rooms, id)).rejects.toMatchObject({ kind: 'unavailable' });
    rooms.clock.seconds += 60;
    await sweepPools(rooms, rooms.logger);
    expect(await expectAgreement()).toEqual([]);
  });

  test('twice at once: at least one has done it, the other may find nothing left', async () => {
    const results = await Promise.allSettled([deletePool(rooms, id), deletePool(rooms, id)]);
    expect(results.some(({ status }) => status === 'fulfilled')).toBe(true);
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'pool.not_found' });
    }
    expect(await expectAgreement()).toEqual([]);
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

test('a catalogue in which somebody else is always first is a 503 in the end', async () => {
  const id = await createPool(rooms, describePool());
  for (const write of ['insert', 'replace'] as const) {
    jest.spyOn(rooms.catalogue, write).mockRejectedValue(new ConflictError('possible etag mismatch'));
  }
  const contended = { code: 'pool.contended', kind: 'unavailable' };
  await expect(createPool(rooms, describePool())).rejects.toMatchObject(contended);
  await expect(updatePool(rooms, id, describePool({ name: 'new' }))).rejects.toMatchObject(contended);
});
