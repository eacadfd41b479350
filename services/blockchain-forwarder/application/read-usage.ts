import { usageNotFound } from '../domain/errors';
import type { DeadLetterStore } from '../ports/dead-letter-store';
import type { UsageStore, UsageInLedger } from '../ports/usage-store';

/** Who reads: everybody its own records, an auditor (permission `usage:admin`) everyone's. */
export interface Reader {
  sub: string;
  isAdmin: boolean;
}

/** @throws AppError `usage.not_found` */
export async function getUsage(id: string, reader: Reader, store: UsageStore): Promise<UsageInLedger> {
  const found = await store.get(id);
  if (!found || (found.usage.record.userId !== reader.sub && !reader.isAdmin)) throw usageNotFound();
  return found;
}

/** For an auditor also how many open dead letters there are of the record. @throws AppError `usage.not_found` */
export async function inspectUsage(
  id: string,
  reader: Reader,
  store: UsageStore,
  letters: DeadLetterStore,
): Promise<UsageInLedger & { openLetters?: number }> {
  const found = await getUsage(id, reader, store);
  return reader.isAdmin
    ? { ...found, openLetters: await letters.countDeadLetters({ state: 'open', eventId: id }) }
    : found;
}
