import type { SealedRecord } from '../domain/usage-record';
import type { DeliveryOutcome, Finding, UsageSink } from '../ports/usage-sink';
import { SinkUnavailable } from '../ports/usage-sink';

/** A sink in memory, for tests; `down` makes it fail as one that does not answer. */
export class MemorySink implements UsageSink {
  readonly batchSize: number;
  readonly records = new Map<string, { sealed: SealedRecord; sequence: number }>();
  /** Every hash that was handed over, repeats included. */
  readonly calls: string[] = [];
  down = false;
  /** Refused for good, by usage hash. */
  readonly refuses = new Set<string>();

  constructor(
    readonly name = 'memory',
    batchSize = 100,
  ) {
    this.batchSize = batchSize;
  }

  deliver(records: readonly SealedRecord[]): Promise<DeliveryOutcome[]> {
    return Promise.resolve(records.map((sealed) => this.take(sealed)));
  }

  find(usageHash: string): Promise<Finding> {
    if (this.down) return Promise.reject(new SinkUnavailable('the memory sink is switched off'));
    const entry = this.records.get(usageHash);
    return Promise.resolve(entry ? { found: true, receipt: { sequence: entry.sequence } } : { found: false });
  }

  private take(sealed: SealedRecord): DeliveryOutcome {
    this.calls.push(sealed.usageHash);
    if (this.down) return { kind: 'retry', error: 'the memory sink is switched off' };
    if (this.refuses.has(sealed.usageHash)) return { kind: 'rejected', error: 'the memory sink refuses this record' };
    const known = this.records.get(sealed.usageHash);
    const entry = known ?? { sealed, sequence: this.records.size + 1 };
    this.records.set(sealed.usageHash, entry);
    return { kind: 'delivered', receipt: { sequence: entry.sequence } };
  }
}
