import { silentLogger, type Logger } from '../../../shared/logging/logger';
import { LEASE_MS } from '../adapters/memory-capacity';
import { keepRenewing } from '../application/renew-leases';
import { buildProcess, eventually, type World } from './support/build';
import { A_THIRD, heldBy, only, reasons, running, settled, stop } from './support/lease-world';

describe('starting and stopping meanwhile', () => {
  test('when a task is being stopped and Docker is away, then it is renewed while its container may run', async () => {
    const { world, service, id } = await running();
    world.runtime.goAway();
    await expect(stop(service, id)).rejects.toMatchObject({ code: 'runtime.unavailable' });
    world.pass(A_THIRD * 2);
    await service.renewLeases();
    world.pass(A_THIRD * 2);
    expect(heldBy(world, id)).toHaveLength(1);
    // and when nobody did, it asks for nothing: it is on its way out
    world.pass(LEASE_MS);
    await service.renewLeases();
    expect(only(world)).toMatchObject({ status: 'Stopping', capacityState: 'held' });
    world.runtime.comeBack();
    await service.reconcile();
    expect(only(world)).toMatchObject({ status: 'Stopped', outcome: { reason: 'stopped_by_user' } });
    expect(world.capacity.held.size).toBe(0);
  });

  test('when it is stopped after a renewal has read it, then it ends once, and takes nothing anew', async () => {
    const { world, service, id } = await running();
    const renew = world.capacity.renew.bind(world.capacity);
    world.capacity.renew = async (held) => {
      await stop(service, id);
      return renew(held);
    };
    await service.renewLeases();
    expect(reasons(only(world)).at(-1)).toBe('Stopped stopped_by_user');
    expect([only(world).capacityState, world.capacity.held.size]).toEqual(['returned', 0]);
  });

  test('when it is stopped while other capacity is asked for, then nothing stays held', async () => {
    const { world, service, id } = await running();
    world.pass(LEASE_MS);
    const next = buildProcess(world);
    world.capacity.interfere = async () => {
      world.capacity.interfere = () => undefined;
      await stop(service, id);
    };
    await next.renewLeases();
    await eventually(() => only(world).status === 'Stopped' && !next.settler.isUnderWay(id));
    expect(only(world)).toMatchObject({ capacityState: 'returned', outcome: { reason: 'stopped_by_user' } });
    expect(world.capacity.held.size).toBe(0);
  });
});

describe('allocation away', () => {
  test('when renewals fail for a while, then one warning, and they go on when it is back', async () => {
    const lines: string[] = [];
    const logger: Logger = {
      ...silentLogger,
      warn: (message) => void lines.push(`warn ${message}`),
      info: (message) => void lines.push(`info ${message}`),
    };
    const { world, id } = await running();
    const service = buildProcess(world, logger);
    const stopping = new AbortController();
    world.capacity.away = true;
    let rounds = 0;
    const counted = (): Promise<void> => {
      rounds += 1;
      return service.renewLeases();
    };
    const kept = keepRenewing(counted, { everyMs: 5, logger, stopping: stopping.signal });
    await eventually(() => rounds > 3);
    world.pass(LEASE_MS - 5_000);
    world.capacity.away = false;
    await eventually(() => world.capacity.renewals.length > 2);
    world.pass(LEASE_MS - 5_000);
    expect(heldBy(world, id)).toHaveLength(1);
    stopping.abort();
    await kept;
    expect(lines).toEqual([
      'warn the leases of tasks cannot be renewed at the moment; it is tried again',
      'info leases are renewed again',
    ]);
  });

  test('when it goes before lost capacity is taken anew, then the task runs on until it is back', async () => {
    const { world, id } = await running();
    world.pass(LEASE_MS);
    const next = buildProcess(world);
    world.capacity.interfere = () => {
      throw new Error('cut off');
    };
    await next.renewLeases();
    await eventually(() => only(world).capacityState === 'lost' && !next.settler.isUnderWay(id));
    expect(await next.reconcile()).toBe(false);
    expect(only(world)).toMatchObject({ status: 'Running', capacityState: 'lost' });
    world.capacity.interfere = () => undefined;
    expect(await next.reconcile()).toBe(true);
    expect(only(world)).toMatchObject({ status: 'Running', capacityState: 'held' });
    expect(heldBy(world, id)).toEqual([only(world).allocationId]);
  });
});

test('when two replicas renew, and hear of the same loss, then one allocation takes its place', async () => {
  const { world, service, id } = await running();
  const other = buildProcess(world);
  world.pass(A_THIRD);
  await Promise.all([service.renewLeases(), other.renewLeases()]);
  expect(reasons(only(world))).toHaveLength(3);
  world.pass(LEASE_MS);
  await Promise.all([service.renewLeases(), other.renewLeases(), service.reconcile(), other.reconcile()]);
  await settled(world);
  await eventually(() => !service.settler.isUnderWay(id) && !other.settler.isUnderWay(id));
  expect(heldBy(world, id)).toEqual([only(world).allocationId]);
  expect(reasons(only(world)).slice(3)).toEqual(['Running lease_expired', 'Running capacity_taken']);
});

test('when a replica hears of a loss that the other one has made good already, then it changes nothing', async () => {
  const { world, service, id } = await running();
  const other = buildProcess(world);
  world.pass(LEASE_MS);
  const renew = world.capacity.renew.bind(world.capacity);
  world.capacity.renew = async (held) => {
    world.capacity.renew = renew;
    const lost = await renew(held);
    await other.renewLeases();
    await eventually(() => only(world).nextAllocationId === null);
    return lost;
  };
  await service.renewLeases();
  expect(only(world).capacityState).toBe('held');
  expect(heldBy(world, id)).toEqual([only(world).allocationId]);
  expect(reasons(only(world)).slice(3)).toEqual(['Running lease_expired', 'Running capacity_taken']);
});

describe('kill -9 while lost capacity is taken anew', () => {
  class Killed extends Error {}

  /** The process that looks for other capacity dies at the n-th write or request. @returns false when there are fewer */
  async function retakenUntil(world: World, point: number): Promise<boolean> {
    let passed = 0;
    const cut = (): void => {
      passed += 1;
      if (passed >= point) throw new Killed();
    };
    world.store.interfere = cut;
    world.capacity.interfere = cut;
    const service = buildProcess(world);
    await service.renewLeases().catch((error: unknown) => {
      if (!(error instanceof Killed)) throw error;
    });
    await eventually(() => world.store.all().every(({ id }) => !service.settler.isUnderWay(id)));
    world.store.interfere = () => undefined;
    world.capacity.interfere = () => undefined;
    return passed >= point;
  }

  test.each([
    ['at once', 0],
    ['only after what was taken has expired again', LEASE_MS],
  ])('when the next process comes %s, then the task runs on one allocation that it holds', async (_when, awayMs) => {
    let point = 1;
    for (; ; point += 1) {
      const { world, id } = await running();
      world.pass(LEASE_MS);
      const cut = await retakenUntil(world, point);
      world.pass(awayMs);
      const next = buildProcess(world);
      await next.renewLeases();
      await settled(world);
      expect(only(world)).toMatchObject({ status: 'Running', capacityState: 'held', nextAllocationId: null });
      expect(heldBy(world, id)).toEqual([only(world).allocationId]);
      if (!cut) break;
    }
    // two writes, each cut before and after, and one request
    expect(point).toBe(6);
  });
});
