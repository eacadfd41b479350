import type { BatchLimits } from '../../domain/batch';
import { rowOf, type Content } from './content';
import type { Transaction, Written } from './database';
import type { Uses } from './uses';

/** What was just written, and all that is there now. */
export interface Seen {
  transaction: Transaction;
  content: Content;
  uses: Uses;
  limits: BatchLimits;
  /** RFC 3339. */
  now: string;
}

/** Says what is wrong, or nothing. */
export type Invariant = (seen: Seen) => string | undefined | Promise<string | undefined>;

/** The rows of a kind that a transaction changed. */
export function rowsOf<T>({ written }: Transaction, kind: string): { id: string; before?: T; after?: T }[] {
  const valueOf = (name: 'before' | 'after', { [name]: text }: Written) =>
    text === undefined ? {} : { [name]: JSON.parse(text) as T };
  return written
    .filter(({ key }) => rowOf(key).kind === kind)
    .map((row) => ({ id: rowOf(row.key).id, ...valueOf('before', row), ...valueOf('after', row) }));
}
