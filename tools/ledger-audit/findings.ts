/** What an audit can find, and what it means. The codes are for machines. */
export const FAULTS = {
  'record.changed': 'a record is not what was put into the ledger',
  'record.missing': 'the ledger names a record that is not there',
  'record.unplaced': 'a record is in no batch and waits for none',
  'record.placed_twice': 'a record is in the ledger more than once',
  'record.stuck': 'a record waits for its batch for too long',
  'batch.missing': 'a batch is not there',
  'batch.changed': 'a batch is not what its records come to',
  'ledger.head': 'the head of the ledger is not what its batches come to',
  'anchor.missing': 'a batch is not on the chain though it should be',
  'anchor.differs': 'the chain has another batch than the ledger',
  'anchor.twice': 'a batch is on the chain more than once',
  'anchor.unknown': 'the chain has a batch that the ledger does not have',
  'anchor.foreign': 'the chain or the contract is not ours',
  'anchor.late': 'a batch waits for its anchor for too long',
  'file.differs': 'the file is not what the ledger says',
  'file.late': 'a batch waits for the file for too long',
  'use.lost': 'a use has neither a record nor a dead letter, and is not on its way',
  'use.twice': 'a use has more than one record',
  'use.invented': 'a record has no use',
  'use.differs': 'a record says something else than the service that the use was of',
  'use.stuck': 'a use is on its way to the ledger for too long',
  'correction.dangling': 'a record corrects one that is not there',
  'holding.differs': 'a task and the allocation that it held say different things',
  'units.differ': 'the unit-seconds of the records are not those of the history',
} as const;

export type FaultCode = keyof typeof FAULTS;

export interface Fault {
  code: FaultCode;
  /** With ids, for people. */
  text: string;
}

/** Of each kind so many are told; of the others only how many there are, so that memory stays flat. */
const TOLD = 1_000;

/** What an audit found so far. */
export class Findings {
  readonly faults: Fault[] = [];
  /** Parts that could not be looked at, with the reason. */
  readonly unchecked: { part: string; reason: string }[] = [];
  /** What is no fault, and somebody should know. */
  readonly notes: string[] = [];
  readonly counts = new Map<FaultCode, number>();

  fault(code: FaultCode, text: string): void {
    const count = (this.counts.get(code) ?? 0) + 1;
    this.counts.set(code, count);
    if (count <= TOLD) this.faults.push({ code, text });
  }

  note(text: string): void {
    if (this.notes.length < TOLD) this.notes.push(text);
  }

  cannotCheck(part: string, reason: string): void {
    this.unchecked.push({ part, reason });
  }

  get total(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0);
  }

  /** How many there are of each kind beyond those that are told. */
  untold(): { code: FaultCode; count: number }[] {
    return [...this.counts].flatMap(([code, count]) => (count > TOLD ? [{ code, count: count - TOLD }] : []));
  }

  /** 0: clean; 1: there are faults; 2: neither, for something could not be looked at. */
  get exitCode(): 0 | 1 | 2 {
    if (this.total > 0) return 1;
    return this.unchecked.length > 0 ? 2 : 0;
  }
}
