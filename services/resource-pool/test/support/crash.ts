import { sweepPools } from '../../application/sweep-pools';
import type { TestRooms } from './builders';

/** The process ends at the call after `lines` more calls of the catalogue: nothing of it takes effect, nor anything later. */
export function dieAfter(rooms: TestRooms, lines: number): void {
  for (const method of ['get', 'remembered', 'insert', 'replace', 'remove'] as const) {
    const real = rooms.catalogue[method].bind(rooms.catalogue) as (...args: unknown[]) => Promise<never>;
    jest.spyOn(rooms.catalogue, method).mockImplementation((...args: unknown[]) => {
      lines -= 1;
      return lines < 0 ? new Promise<never>(() => undefined) : real(...args);
    });
  }
}

/** Lets the dying process run as far as it comes; then another one sweeps, a minute later. */
export async function settledAfterDeath(rooms: TestRooms, work: Promise<unknown>): Promise<void> {
  const quiet = new Promise((resolve) => setTimeout(resolve, 20));
  await Promise.race([work.catch(() => undefined), quiet]);
  jest.restoreAllMocks();
  rooms.clock.seconds += 60;
  await sweepPools(rooms, rooms.logger);
}

/** The catalogue and the inventories tell the same story: every visible pool is open with its total, and no other is. */
export async function expectAgreement(rooms: TestRooms): Promise<string[]> {
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
