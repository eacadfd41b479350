import { ConflictError } from '../../../shared/dapr/sidecar-error';
import { idempotencyKey } from '../../../shared/http/conditions';
import { createPool } from '../application/create-pool';
import { deletePool } from '../application/delete-pool';
import { getPool } from '../application/read-pools';
import { sweepPools } from '../application/sweep-pools';
import { updatePool } from '../application/update-pool';
import { away, buildRooms, describePool, type TestRooms } from './support/builders';
import { dieAfter, expectAgreement, settledAfterDeath } from './support/crash';

const key = idempotencyKey('k-1', ['caller', 'POST resource_pools'], describePool())!;
let rooms: TestRooms;
beforeEach(() => {
  rooms = buildRooms();
});

describe('creating a pool', () => {
  test('it is there, with its inventory, when the call returns', async () => {
    const id = await createPool(rooms, describePool());
    const { pool, inventory } = await getPool(rooms, id);
    expect([pool.name, pool.version, inventory]).toEqual([
      'gpu-a100',
      1,
      expect.objectContaining({ pool_id: id, total: 8, capacity: 8, allocated: 0, available: 8 }),
    ]);
    await expectAgreement(rooms);
  });

  test.each([false, true])(
    'when allocation is away (took effect: %s), then 503, and there never is a pool',
    async (takesEffect) => {
      rooms.inventories.away.push({ error: away(), takesEffect });
      await expect(createPool(rooms, describePool(), key)).rejects.toMatchObject({ kind: 'unavailable' });
      expect(await rooms.catalogue.list({ limit: 10 })).toEqual([]);
      rooms.clock.seconds += 60;
      await sweepPools(rooms, rooms.logger);
      expect(await expectAgreement(rooms)).toEqual([]);
      // and the same request makes one now
      await createPool(rooms, describePool(), key);
      expect(await expectAgreement(rooms)).toHaveLength(1);
    },
  );

  test('the same key before the sweeper came makes a pool too', async () => {
    rooms.inventories.away.push({ error: away(), takesEffect: true });
    await expect(createPool(rooms, describePool(), key)).rejects.toMatchObject({ kind: 'unavailable' });
    const id = await createPool(rooms, describePool(), key);
    expect(await expectAgreement(rooms)).toEqual([id]);
  });

  test.each([0, 1, 2, 3])(
    'when the process dies after %d calls, then there is no pool or a whole one, and no other trace',
    async (lines) => {
      dieAfter(rooms, lines);
      await settledAfterDeath(rooms, createPool(rooms, describePool(), key));
      const before = await expectAgreement(rooms);
      const id = await createPool(rooms, describePool(), key);
      expect(await expectAgreement(rooms)).toEqual([id]);
      if (before.length > 0) expect(before).toEqual([id]);
    },
  );

  test('the same key ten times in parallel is one pool', async () => {
    const ids = await Promise.all(Array.from({ length: 10 }, () => createPool(rooms, describePool(), key)));
    expect(new Set(ids).size).toBe(1);
    expect(await expectAgreement(rooms)).toEqual([ids[0]]);
  });

  test('the sweeper that takes a slow creation for dead is believed: the request makes another pool', async () => {
    const open = rooms.inventories.open.bind(rooms.inventories);
    jest.spyOn(rooms.inventories, 'open').mockImplementationOnce(async (...args) => {
      rooms.clock.seconds += 60;
      await sweepPools(rooms, rooms.logger);
      return open(...args);
    });
    const id = await createPool(rooms, describePool(), key);
    expect(await expectAgreement(rooms)).toEqual([id]);
  });

  test('a pool that was made and deleted since is still the answer to its key', async () => {
    const id = await createPool(rooms, describePool(), key);
    await deletePool(rooms, id);
    await expect(createPool(rooms, describePool(), key)).resolves.toBe(id);
    expect(await expectAgreement(rooms)).toEqual([]);
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
