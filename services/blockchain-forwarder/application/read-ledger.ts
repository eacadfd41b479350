import { noSuchState } from '../domain/errors';
import { consistency, ledgerRoot, type Consistency } from '../domain/ledger-tree';
import type { LedgerStore } from '../ports/ledger-store';

/** The ledger as it stands: its batches as one tree. */
export interface LedgerState {
  batches: number;
  records: number;
  /** Of the tree over the batches. */
  root: string;
  /** Of the last batch's own tree. */
  lastRoot: string;
}

export async function ledgerState(store: LedgerStore): Promise<LedgerState> {
  const { value: head } = await store.head();
  return { batches: head.batchId, records: head.nextSequence - 1, root: ledgerRoot(head), lastRoot: head.root };
}

/** @throws AppError `ledger.no_such_state` */
export async function proveConsistency(from: number, to: number, store: LedgerStore): Promise<Consistency> {
  const { value: head } = await store.head();
  if (from < 1 || from > to || to > head.batchId) throw noSuchState(head.batchId);
  return consistency(from, to, (subtrees) => store.nodes(subtrees));
}
