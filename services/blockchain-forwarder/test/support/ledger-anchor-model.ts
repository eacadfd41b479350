import { getAddress, type Address, type Hex } from 'viem';
import { ANCHORER, OWNER, ZERO_ROOT, type Told } from './ledger-anchor';

export interface Batch {
  batchId: bigint;
  root: Hex;
  firstSequence: bigint;
  count: number;
  previousRoot: Hex;
}
type Role = 'Owner' | 'Anchorer';
export type Step =
  | { do: 'anchor'; batch: Batch }
  | { do: 'nominate'; role: Role; nominee: Address }
  | { do: 'withdraw'; role: Role }
  | { do: 'accept'; role: Role };

export type Verdict = { refused: Told } | { events: Told[] };

const refused = (name: string, ...args: unknown[]): Verdict => ({ refused: { name, args } });

/** What LedgerAnchor must do, said a second time in another language. */
export class LedgerModel {
  readonly batches: Batch[] = [];
  readonly holder: Record<Role, Address> = { Owner: OWNER, Anchorer: ANCHORER };
  readonly nominee: Record<Role, Address | undefined> = { Owner: undefined, Anchorer: undefined };

  /** What the batch must be to be taken, beside its root and count. */
  get next(): Pick<Batch, 'batchId' | 'firstSequence' | 'previousRoot'> {
    const last = this.batches.at(-1);
    return {
      batchId: BigInt(this.batches.length + 1),
      firstSequence: last ? last.firstSequence + BigInt(last.count) : 1n,
      previousRoot: last?.root ?? ZERO_ROOT,
    };
  }

  /** Tells what happens, and lets it happen. */
  take(caller: Address, step: Step): Verdict {
    if (step.do === 'anchor') return this.anchor(caller, step.batch);
    if (step.do === 'accept') return this.accept(caller, step.role);
    if (caller !== this.holder.Owner) return refused('NotOwner', caller);
    if (step.do === 'nominate') {
      if (BigInt(step.nominee) === 0n) return refused('ZeroAddress');
      const events = this.drop(step.role);
      this.nominee[step.role] = step.nominee;
      const holder = this.holder[step.role];
      const args = { [step.role.toLowerCase()]: holder, nominee: step.nominee };
      return { events: [...events, { name: `${step.role}Nominated`, args }] };
    }
    return this.nominee[step.role] ? { events: this.drop(step.role) } : refused('NothingNominated');
  }

  private anchor(caller: Address, batch: Batch): Verdict {
    const { next } = this;
    const { batchId } = batch;
    if (caller !== this.holder.Anchorer) return refused('NotAnchorer', caller);
    if (this.batches.some((known) => known.batchId === batchId))
      return refused('BatchKnown', batchId, next.batchId - 1n);
    if (batchId !== next.batchId) return refused('WrongBatchId', batchId, next.batchId);
    if (batch.count === 0) return refused('EmptyBatch', batchId);
    if (batch.root === ZERO_ROOT) return refused('ZeroRoot', batchId);
    if (batch.previousRoot !== next.previousRoot)
      return refused('WrongPreviousRoot', batch.previousRoot, next.previousRoot);
    if (batch.firstSequence !== next.firstSequence)
      return refused('WrongFirstSequence', batch.firstSequence, next.firstSequence);
    this.batches.push(batch);
    return { events: [{ name: 'BatchAnchored', args: { ...batch } }] };
  }

  private accept(caller: Address, role: Role): Verdict {
    if (caller !== this.nominee[role]) return refused('NotNominated', caller);
    const args = { previous: this.holder[role], next: getAddress(caller) };
    this.holder[role] = caller;
    this.nominee[role] = undefined;
    return { events: [{ name: `${role}Changed`, args }, ...(role === 'Owner' ? this.drop('Anchorer') : [])] };
  }

  private drop(role: Role): Told[] {
    const nominee = this.nominee[role];
    this.nominee[role] = undefined;
    return nominee ? [{ name: `${role}NominationWithdrawn`, args: { nominee } }] : [];
  }
}
