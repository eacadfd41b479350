import { AppError } from '../../../../shared/errors';
import { NO_ANSWER } from '../../../../shared/testing/simulation/network';
import type { Scheduler } from '../../../../shared/testing/simulation/scheduler';
import type { Allocation, ReleasedAllocation } from '../../domain/inventory';
import { type Content, EMPTY } from './database';

/** What a client hears: `lost` is a broken connection, or a 503 with its code, after which it knows nothing. */
export type Answer =
  | { kind: 'done'; value: string | undefined; waits?: boolean }
  | { kind: 'refused'; code: string }
  | { kind: 'lost'; code?: string };
export const LOST: Answer = { kind: 'lost' };

/** One thing that somebody wants; it may be sent more than once. */
export interface Wish {
  /** Stands in `createdBy` and `releasedBy` of what comes of it. */
  token: string;
  what: string;
  /** Under an Idempotency-Key, or an id that the client chose: done once at most, however often it is sent. */
  once: boolean;
  /** Whether this allocation may be there because of it. */
  grants?: (allocation: Allocation) => boolean;
  /** The ids of what it makes are the client's choice, not drawn by the replica that makes it. */
  idsGiven?: boolean;
  /** Of a request for capacity; absent: 0. */
  priority?: number;
  /** How many allocations it makes, when not one. */
  members?: number;
  /** Whether this end may have come of it. */
  ends?: (released: ReleasedAllocation) => boolean;
  refusals: readonly string[];
  /** What is wrong about an answer, if something is; asked when a replica gives it, before it can be lost. */
  verify?: (answer: Exclude<Answer, { kind: 'lost' }>, send: Send, chronicle: Chronicle) => string | undefined;
}

export interface Send {
  wish: Wish;
  /** When it reached a replica. */
  at: number;
  /** That were drawn for it. */
  ids: readonly string[];
  answer?: Answer;
}

/** What became of an allocation. */
export interface Made {
  allocation: Allocation;
  at: number;
  released?: ReleasedAllocation;
}

/** What a step changed in the store. */
export interface Change {
  before: Content;
  after: Content;
  /** Of `after.ended`, those that are seen for the first time. */
  newlyEnded: readonly ReleasedAllocation[];
  chronicle: Chronicle;
  now: string;
}

/** Who asked for what and what came of it: the truth that answers and rows are held against. */
export class Chronicle {
  content: Content = EMPTY;
  readonly made = new Map<string, Made>();
  readonly wishes = new Map<string, Wish>();
  /** By the ids that were drawn for it. */
  readonly drawnFor = new Map<string, Send>();
  /** The latest end of a lease that a client was told, RFC 3339. */
  readonly promised = new Map<string, string>();
  /** Requests that somebody wanted to take back. */
  readonly cancelAsked = new Set<string>();
  /** Pools that somebody wanted to be over their capacity. */
  readonly overAsked = new Set<string>();
  /** What happened how often: a simulation in which a thing never happens proves nothing about it. */
  readonly tally: Record<string, number> = {};

  private readonly sends = new Map<Wish, number>();

  constructor(readonly scheduler: Scheduler) {}

  count(what: string): void {
    this.tally[what] = (this.tally[what] ?? 0) + 1;
  }

  wish(wish: Wish): Wish {
    this.wishes.set(wish.token, wish);
    return wish;
  }

  send(wish: Wish): Send {
    this.sends.set(wish, this.sent(wish) + 1);
    return { wish, at: this.scheduler.elapsed, ids: [] };
  }

  /** How often it has reached a replica. */
  sent(wish: Wish): number {
    return this.sends.get(wish) ?? 0;
  }

  drew(send: Send, ids: readonly string[]): void {
    send.ids = ids;
    for (const id of ids) this.drawnFor.set(id, send);
  }

  /** Before its turn: it must come to nothing. */
  hungUp(send: Send): void {
    if (send.ids.length === 0) return;
    this.count('hung up before its turn');
    send.answer = { kind: 'refused', code: 'a hang-up' };
  }

  madeBy(token: string): Made[] {
    return [...this.made.values()].filter(({ allocation }) => allocation.createdBy === token);
  }

  /** Held all the time from before `send` until now. */
  heldSince(send: Send, concerns: (allocation: Allocation) => boolean): Allocation | undefined {
    return [...this.content.live.values()].find(
      (allocation) => concerns(allocation) && this.made.get(allocation.id)!.at < send.at,
    );
  }

  /** @returns what is wrong about an answer, if something is */
  answered(send: Send, answer: Answer): string | undefined {
    send.answer = answer;
    const { wish } = send;
    this.count(`${wish.what.split(' ')[0]} ${answer.kind === 'refused' ? answer.code : answer.kind}`);
    if (answer.kind === 'lost') {
      // that replicas are in each other's way is no client's business
      return answer.code === NO_ANSWER ? undefined : `503 ${answer.code}`;
    }
    if (answer.kind === 'refused') {
      if (!wish.refusals.includes(answer.code)) return `refused with ${answer.code}`;
      const there = send.ids.find((id) => this.made.has(id) || this.content.requests.has(id));
      if (there !== undefined) return `refused with ${answer.code}, but ${there} was made`;
    }
    return wish.verify?.(answer, send, this);
  }

  /** Takes notice of what is stored now. */
  observe(after: Content): Change {
    const { content: before, scheduler } = this;
    this.content = after;
    const at = scheduler.elapsed;
    for (const allocation of after.live.values()) {
      const known = this.made.get(allocation.id);
      if (known) known.allocation = allocation;
      else this.made.set(allocation.id, { allocation, at });
    }
    for (const { id, status } of after.requests.values()) {
      if (before.requests.get(id)?.status !== status) this.count(`request ${status}`);
    }
    const newlyEnded: ReleasedAllocation[] = [];
    for (const released of after.ended) {
      const known = this.made.get(released.id) ?? { allocation: released, at };
      if (known.released) continue;
      this.made.set(released.id, { ...known, released });
      newlyEnded.push(released);
      this.count(`ended: ${released.reason}`);
    }
    return { before, after, newlyEnded, chronicle: this, now: scheduler.now() };
  }
}

/** An error that is neither a refusal nor a 503 is a bug, and is thrown on. */
export function answerOf(error: unknown): Answer {
  if (!(error instanceof AppError)) throw error;
  return { kind: error.kind === 'unavailable' ? 'lost' : 'refused', code: error.code };
}
