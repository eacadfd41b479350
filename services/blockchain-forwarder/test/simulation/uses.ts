import type { Scheduler } from '../../../../shared/testing/simulation/scheduler';
import { canonicalHash } from '../../domain/canonical-hash';
import { usageRecordOf, type EndOfUse } from '../../domain/usage-record';
import { allocationReleased, taskFailed, taskStopped } from '../support/samples';
import type { Content } from './content';

/** What an event must come to. */
type Kind = 'a use' | 'no use' | 'invalid' | 'unusable';

export interface Told {
  kind: Kind;
  event: unknown;
  /** Of the event as a letter would hold it, whatever the order of its fields. */
  text: string;
}

/** All events that publishers told, and what must come of each. */
export class Uses {
  /** By id, in the order told: more than one where other content came under the same id. */
  readonly variants = new Map<string, EndOfUse[]>();
  /** Must become letters, by their text. */
  readonly refused = new Map<string, 'event.invalid' | 'usage.unusable'>();
  readonly tally: Record<string, number> = {};
  private readonly told: Told[] = [];

  constructor(private readonly scheduler: Scheduler) {}

  count(what: string): void {
    this.tally[what] = (this.tally[what] ?? 0) + 1;
  }

  /** Now and then one that was told before, or another one under its id. */
  draw(): Told {
    const { scheduler } = this;
    const earlier = this.told.length > 0 ? scheduler.pick(this.told) : undefined;
    const fate = scheduler.random();
    if (earlier && fate < 0.08) {
      this.count('told again');
      return earlier;
    }
    if (earlier?.kind === 'a use' && fate < 0.2) {
      this.count('other content under a known id');
      const event = structuredClone(earlier.event) as EndOfUse;
      if (event.type === 'allocation.released') event.data.capacity += 1;
      else event.data.reason = `${event.data.reason} after all`;
      return this.tell({ kind: 'a use', event, text: textOf(event) });
    }
    const told = this.fresh(fate);
    this.count(told.kind);
    return this.tell(told);
  }

  private fresh(fate: number): Told {
    const { scheduler } = this;
    const id = scheduler.uuid();
    const event = scheduler.pick([
      () => ({ ...taskStopped({ taskId: id, allocationId: null }), id }),
      () => ({ ...taskFailed({ taskId: id, allocationId: null }), id }),
      () => ({ ...allocationReleased({ allocation_id: id }), id }),
    ])() as EndOfUse;
    const as = (kind: Kind, each: unknown): Told => ({ kind, event: each, text: textOf(each) });
    if (fate < 0.25) {
      if (event.type === 'allocation.released') event.data.task_id = id;
      else Object.assign(event, { type: 'task.failed', data: { ...event.data, startTime: null } });
      return as('no use', event);
    }
    if (fate < 0.32) {
      const { data: _, ...headless } = event;
      const rubbish = [headless, `rubbish ${id}`, { id, type: 'no.such.type' }, { ...event, time: 'at noon' }];
      return as('invalid', scheduler.pick(rubbish));
    }
    if (fate < 0.38) {
      if (event.type === 'allocation.released') event.data.end_reason = `\0 ${id}`;
      else event.data.startTime = '1970-01-01T00:00:00.000Z';
      return as('unusable', event);
    }
    return as('a use', event);
  }

  isNoUse(text: string): boolean {
    return this.told.some((told) => told.kind === 'no use' && told.text === text);
  }

  private tell(told: Told): Told {
    this.told.push(told);
    if (told.kind === 'invalid') this.refused.set(told.text, 'event.invalid');
    if (told.kind === 'unusable') this.refused.set(told.text, 'usage.unusable');
    if (told.kind === 'a use') {
      const event = told.event as EndOfUse;
      const known = this.variants.get(event.id) ?? [];
      if (!known.some((each) => textOf(each) === told.text)) this.variants.set(event.id, [...known, event]);
    }
    return told;
  }
}

/** JSON with its fields in the order of their names: unlike canonical JSON, of anything. */
export function textOf(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) =>
    typeof each === 'object' && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );
}

export function contentHashOf({ source, type, data }: EndOfUse): Promise<string> {
  return canonicalHash({ source, type, data });
}

/** @throws for what is no use */
export function recordOf(event: EndOfUse) {
  const record = usageRecordOf(event);
  if (!record) throw new Error(`${event.id} is no use`);
  return record;
}

/** What of a bundle is neither recorded nor a dead letter, nor came to nothing by right. */
export async function notKept(text: string, content: Content, uses: Uses): Promise<string | undefined> {
  const letters = new Set([...content.letters.values()].map(({ event }) => textOf(JSON.parse(event))));
  for (const event of JSON.parse(text) as unknown[]) {
    const told = textOf(event);
    if (letters.has(told) || uses.isNoUse(told)) continue;
    if (uses.refused.has(told)) return `there is no dead letter of ${told}`;
    const use = event as EndOfUse;
    const recorded = content.usages.get(use.id);
    if (!recorded) return `there is no record of ${use.id}`;
    if (recorded.contentHash !== (await contentHashOf(use))) return `nothing tells of ${told} under a known id`;
  }
  return undefined;
}
