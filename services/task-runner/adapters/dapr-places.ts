import { z } from 'zod';
import { ConflictError, type Sidecar, type StateOperation, type StateRow } from '../../../shared/dapr/sidecar';
import { changed, NO_PLACES, type Places } from '../domain/places';
import type { Task } from '../domain/task';

const EVERYBODY = 'places';
const ofUser = (userId: string): string => `${EVERYBODY}:${userId}`;

const placesRow = z.object({ total: z.int(), byType: z.record(z.string(), z.int()) });

/** Whoever loses goes again after others have won, so that many at once take many tries; this many are no crowd. */
const MAX_TRIES = 200;

/**
 * Commits `operations` together with a place that `task` takes or leaves: the counts of everybody's and of the user's
 * open tasks are rows of the same transaction, under their ETags, so that whatever dies, they are what the tasks are
 * (docs/decisions/0009-open-tasks-are-counted-in-the-same-transaction.md).
 * @param check what it throws, is thrown, and nothing is written
 * @throws ConflictError when one of `operations` lost
 */
export async function commitWithPlace(
  sidecar: Sidecar,
  task: Pick<Task, 'userId' | 'serviceType'>,
  by: 1 | -1,
  operations: readonly StateOperation[],
  check: (everybody: Places, own: Places) => void = () => undefined,
): Promise<void> {
  const keys = [EVERYBODY, ofUser(task.userId)];
  let lost: { versions: string; error: ConflictError } | undefined;
  for (let attempt = 1; ; attempt += 1) {
    const rows = await sidecar.get(keys);
    const versions = keys.map((key) => rows.get(key)?.etag ?? 'none').join(' ');
    // nobody else was at the places, so it was another row that lost
    if (lost && (lost.versions === versions || attempt > MAX_TRIES)) throw lost.error;
    const counts = keys.map((key) => placesOf(rows.get(key)));
    check(counts[0] ?? NO_PLACES, counts[1] ?? NO_PLACES);
    const places = keys.map((key, index): StateOperation => {
      const value = changed(counts[index] ?? NO_PLACES, task.serviceType, by);
      const etag = rows.get(key)?.etag ?? null;
      // everybody's row stays for ever, so that its ETag tells of every change
      const over = value.total === 0 && key !== EVERYBODY && etag !== null;
      return over ? { remove: key, etag } : { upsert: key, value, etag };
    });
    try {
      return await sidecar.transact([...operations, ...places]);
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error;
      lost = { versions, error };
    }
    await new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(attempt * 2, 40)));
  }
}

function placesOf(row: StateRow | undefined): Places {
  return row === undefined ? NO_PLACES : placesRow.parse(row.value);
}
