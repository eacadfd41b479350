import { ConflictError } from '../../../shared/dapr/sidecar-error';
import { AppError, hasCode } from '../../../shared/errors';
import { type Pool, settled, termsOf, undone } from '../domain/pool';
import type { Inventories } from '../ports/inventories';
import type { PoolCatalogue, StoredPool } from '../ports/pool-catalogue';

export interface Rooms {
  catalogue: PoolCatalogue;
  inventories: Inventories;
  now: () => string;
  newId: () => string;
}

const ATTEMPTS = 10;

/**
 * Brings catalogue and inventory together: carries a pending change to its end, whoever began it. The row is written
 * before the inventory is asked and after it has answered, and every step may be repeated, so a crash on any line leaves
 * a row that says what to do next. Hence there is never an inventory without a pool; and since an inventory is closed,
 * for ever and only while nothing is allocated, before its row goes, never an allocation without a pool.
 *
 * Several may settle the same change at once (its request, a later request, the sweeper): the inventory decides each
 * revision once, so all of them get the same answer, and who writes it down does not matter.
 *
 * @returns the pool afterwards, or undefined when it is gone
 * @throws AppError `pool.in_use`, `pool.capacity_below_allocated`: the change was refused and undone;
 *   `unavailable`: it stays pending; ConflictError: a later change was decided before this one was asked for
 */
export async function settlePool(rooms: Rooms, stored: StoredPool): Promise<StoredPool | undefined> {
  const { catalogue, inventories } = rooms;
  const { pool } = stored;
  const { pending, revision } = pool;
  switch (pending?.kind) {
    case undefined:
      return stored;
    case 'open':
      try {
        await inventories.open(pool.id, termsOf(pool), revision);
      } catch (error) {
        // closed: the creation was given up meanwhile
        if (hasCode(error, 'pool.not_found')) return catalogue.get(pool.id);
        throw error;
      }
      return writeDown(catalogue, stored, (current) => catalogue.replace(current, settled(pool)));
    case 'resize': {
      const refusal = await refusalOf(inventories.resize(pool.id, termsOf(pool), pending.mode, revision));
      const next = refusal ? undone(pool) : settled(pool);
      const after = await writeDown(catalogue, stored, (current) => catalogue.replace(current, next));
      if (refusal) throw refusal;
      return after;
    }
    case 'abandon':
    case 'close': {
      const refusal = await refusalOf(inventories.close(pool.id, revision));
      if (refusal) {
        await writeDown(catalogue, stored, (current) => catalogue.replace(current, settled(pool)));
        throw refusal;
      }
      const forget = pending.kind === 'abandon' ? pending.requestKey : null;
      return writeDown(catalogue, stored, async (current) => void (await catalogue.remove(current, forget)));
    }
  }
}

async function refusalOf(change: Promise<void>): Promise<AppError | undefined> {
  try {
    await change;
    return undefined;
  } catch (error) {
    if (error instanceof AppError && error.kind === 'conflict') return error;
    throw error;
  }
}

/** Writes the inventory's answer, unless somebody else has written it meanwhile. */
async function writeDown(
  catalogue: PoolCatalogue,
  stored: StoredPool,
  write: (current: StoredPool) => Promise<StoredPool | undefined>,
): Promise<StoredPool | undefined> {
  let current = stored;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    try {
      return await write(current);
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
    }
    const found = await catalogue.get(stored.pool.id);
    if (!found || !isSameChange(found.pool, stored.pool)) return found;
    current = found;
  }
  throw new ConflictError('the answer to a change could not be written down');
}

function isSameChange(a: Pool, b: Pool): boolean {
  return a.revision === b.revision && a.pending?.kind === b.pending?.kind;
}
