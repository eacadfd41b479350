import { z } from 'zod';
import { Days } from './days';
import { eventsIn, type Pending } from './events';
import type { Findings } from './findings';
import { ALLOCATION, LETTER, OUTBOXES, TASK, USAGE, type Rows } from './rows';
import { read, usageRow, type AnyRecord } from './shapes';
import { differences, holdingFault, unitMilliseconds, useOfAllocation, useOfTask, type Use } from './uses';

export interface BalanceOptions {
  now: Date;
  maxAgeMs: number;
  /** Only uses and records that ended then or later; RFC 3339. */
  since?: string;
  /** Events that the broker holds for the ledger; it is asked only where a use has neither record nor letter. */
  pending: Pending;
  progress?: (text: string) => void;
}

const letterRow = z.object({ reason: z.string(), eventId: z.string().nullable(), event: z.string() });

/** Compares every use, as task-runner and allocation tell it, with the records, both ways. */
export async function auditBalance(rows: Rows, findings: Findings, options: BalanceOptions): Promise<Days> {
  return new Balance(rows, findings, options).run();
}

class Balance {
  private readonly days = new Days();
  /** Uses without a record: few, unless the ledger lags behind. */
  private readonly open = new Map<string, Use>();
  /** Uses whose record says something else. */
  private readonly differing = new Map<string, Use>();

  constructor(
    private readonly rows: Rows,
    private readonly findings: Findings,
    private readonly options: BalanceOptions,
  ) {}

  async run(): Promise<Days> {
    await this.uses(TASK, useOfTask);
    await this.uses(ALLOCATION, useOfAllocation);
    await this.records();
    await this.letters();
    await this.underway();
    for (const use of this.open.values()) {
      this.days.count(use.expected.endedAt, 'lost');
      const why = `ended at ${use.expected.endedAt}: no record ${use.recordId}, no dead letter, not on its way`;
      this.findings.fault('use.lost', `${use.name} ${why}`);
    }
    for (const { pool, day, difference } of this.days.unitSeconds()) {
      if (difference === '0') continue;
      const sentence = `pool ${pool} on ${day}: the records are ${difference} unit-seconds off its history`;
      this.findings.fault('units.differ', sentence);
    }
    return this.days;
  }

  /** Of each use: whether there is its record, and whether that says the same. */
  private async uses(prefix: string, useOf: (row: unknown) => Use | string): Promise<void> {
    let seen = 0;
    for await (const page of this.rows.each(prefix)) {
      const uses = [...page.values()].map(useOf).filter((use) => typeof use !== 'string');
      await this.compare(uses.filter(({ expected }) => this.isOfInterest(expected.endedAt)));
      seen += page.size;
      this.options.progress?.(`balance: ${seen} of ${prefix}…`);
    }
  }

  private async compare(uses: readonly Use[]): Promise<void> {
    const held = uses.flatMap(({ expected: { kind, allocationId } }) => (kind === 'task' && allocationId) || []);
    const found = await this.rows.get([
      ...uses.map(({ recordId }) => `${USAGE}${recordId}`),
      ...held.map((id) => `${ALLOCATION}${id}`),
    ]);
    for (const use of uses) {
      const { expected, name, recordId } = use;
      this.days.count(expected.endedAt, 'uses');
      this.days.add(expected.endedAt, expected.poolId, 'history', unitMilliseconds(expected));
      const holding =
        expected.kind === 'task' ? holdingFault(use, found.get(`${ALLOCATION}${expected.allocationId}`)) : null;
      if (holding) this.findings.fault('holding.differs', `${name}: ${holding}`);
      const usage = read(usageRow, found.get(`${USAGE}${recordId}`));
      if (!usage || usage.record.version !== 1) {
        this.open.set(recordId, use);
        this.days.add(expected.endedAt, expected.poolId, 'open', unitMilliseconds(expected));
        continue;
      }
      const wrong = differences(use, usage.record);
      if (wrong.length === 0) continue;
      this.differing.set(recordId, use);
      this.days.count(expected.endedAt, 'differing');
      this.findings.fault('use.differs', `record ${recordId} of ${name}: ${wrong.join('; ')}`);
    }
  }

  /** Of each record: whether there is its use. */
  private async records(): Promise<void> {
    let seen = 0;
    for await (const page of this.rows.each(USAGE)) {
      // one that cannot be read was told of where the ledger was looked at
      const records = [...page.values()].flatMap((row) => read(usageRow, row)?.record ?? []);
      const ofInterest = records.filter(({ endedAt }) => this.isOfInterest(endedAt));
      await this.corrections(ofInterest.filter(({ version }) => version !== 1));
      await this.originals(ofInterest.filter(({ version }) => version === 1));
      seen += page.size;
      this.options.progress?.(`balance: ${seen} records`);
    }
  }

  private async corrections(records: readonly AnyRecord[]): Promise<void> {
    const found = await this.rows.get(records.flatMap(({ corrects }) => (corrects ? [`${USAGE}${corrects}`] : [])));
    for (const { id, corrects, endedAt } of records) {
      this.days.count(endedAt, 'corrections');
      if (corrects && found.has(`${USAGE}${corrects}`)) continue;
      const what = corrects ? `record ${corrects}, which is not there` : 'no record';
      this.findings.fault('correction.dangling', `record ${id} corrects ${what}`);
    }
  }

  private async originals(records: readonly AnyRecord[]): Promise<void> {
    const sources = await this.rows.get(records.map(sourceKey));
    const uses = records.map((record) => {
      const useOf = record.kind === 'task' ? useOfTask : useOfAllocation;
      return useOf(sources.get(sourceKey(record)));
    });
    const strays = records.flatMap((record, index) => {
      const use = uses[index];
      return typeof use === 'object' && use.recordId !== record.id ? [`${USAGE}${use.recordId}`] : [];
    });
    const proper = strays.length > 0 ? await this.rows.get(strays) : new Map<string, unknown>();
    for (const [index, record] of records.entries()) {
      const use = uses[index];
      this.days.count(record.endedAt, 'records');
      if (typeof use === 'object') {
        this.days.add(record.endedAt, record.poolId, 'records', unitMilliseconds(record));
        if (use.recordId === record.id) continue;
      }
      this.stray(record, use, typeof use === 'object' && proper.has(`${USAGE}${use.recordId}`));
    }
  }

  private stray(record: AnyRecord, use: Use | string | undefined, isSecond: boolean): void {
    if (isSecond && typeof use === 'object') {
      this.days.count(record.endedAt, 'twice');
      this.findings.fault('use.twice', `${use.name} has record ${use.recordId} and record ${record.id}`);
      return;
    }
    this.days.count(record.endedAt, 'invented');
    const of = `${record.kind} ${record.kind === 'task' ? record.taskId : record.allocationId}`;
    const why = typeof use === 'object' ? `whose event has the id ${use.recordId}` : (use ?? '');
    this.findings.fault('use.invented', `record ${record.id} is of ${of}, ${why}`);
  }

  /** Uses without a record whose event is a dead letter, and those whose id another event took. */
  private async letters(): Promise<void> {
    for await (const page of this.rows.each(LETTER)) {
      for (const [key, row] of page) {
        const letter = read(letterRow, row);
        if (!letter) continue;
        const ids = letter.eventId === null ? eventsIn(letter.event) : [letter.eventId];
        for (const id of ids) this.letter(id, letter.reason, key.slice(LETTER.length));
      }
    }
  }

  private letter(eventId: string, reason: string, letterId: string): void {
    const dead = this.open.get(eventId);
    if (dead) {
      this.open.delete(eventId);
      this.days.count(dead.expected.endedAt, 'dead');
      this.findings.note(`${dead.name} has no record but the dead letter ${letterId} (${reason})`);
      return;
    }
    const differing = reason === 'usage.content_mismatch' ? this.differing.get(eventId) : undefined;
    if (!differing) return;
    this.differing.delete(eventId);
    this.days.count(differing.expected.endedAt, 'quarantined');
  }

  private async underway(): Promise<void> {
    if (this.open.size === 0) return;
    for (const prefix of OUTBOXES) {
      for await (const page of this.rows.each(prefix)) {
        for (const row of page.values()) for (const id of eventsIn(row)) this.pending(id, 'the outbox of its service');
      }
    }
    if (this.open.size === 0) return;
    try {
      for await (const id of this.options.pending.events()) this.pending(id, 'the broker');
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.findings.cannotCheck('broker', `${this.open.size} uses may be on their way, and ${reason}`);
      this.open.clear();
    }
  }

  private pending(eventId: string, where: string): void {
    const use = this.open.get(eventId);
    if (!use) return;
    this.open.delete(eventId);
    this.days.count(use.expected.endedAt, 'pending');
    if (this.options.now.getTime() - Date.parse(use.expected.endedAt) <= this.options.maxAgeMs) return;
    this.findings.fault(
      'use.stuck',
      `${use.name} ended at ${use.expected.endedAt}, and its event is still in ${where}`,
    );
  }

  private isOfInterest(endedAt: string): boolean {
    return this.options.since === undefined || Date.parse(endedAt) >= Date.parse(this.options.since);
  }
}

function sourceKey({ kind, taskId, allocationId }: AnyRecord): string {
  return kind === 'task' ? `${TASK}${taskId}` : `${ALLOCATION}${allocationId}`;
}
