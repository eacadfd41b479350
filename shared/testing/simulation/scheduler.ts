import { createHash } from 'node:crypto';

const START = Date.UTC(2026, 10, 23, 9, 30);

/** Something that can die: what waits for the scheduler on its behalf then never goes on. */
export interface Life {
  readonly name: string;
  alive: boolean;
}

interface Task {
  due: number;
  what: string;
  work: () => void;
  life: Life | undefined;
}

/**
 * The only source of time, chance and order: whatever happens in a simulation is a task in its queue. A step is one task
 * with all that follows from it without waiting, so that between two steps everything stands still and can be looked at,
 * or be killed. The same seed is the same run.
 */
export class Scheduler {
  /** One line a step. */
  readonly trace: string[] = [];
  private readonly queue: Task[] = [];
  private clock = 0;
  private state: number;
  private ids = 0;
  private notes = '';

  constructor(readonly seed: number) {
    this.state = seed | 0;
  }

  /** Milliseconds since the start. */
  get elapsed(): number {
    return this.clock;
  }

  /** The time of day, to the millisecond, as RFC 3339. */
  readonly now = (): string => this.timeOf(this.clock);

  timeOf(elapsed: number): string {
    return new Date(START + Math.floor(elapsed)).toISOString();
  }

  /** From 0 up to 1, without 1 (mulberry32). */
  readonly random = (): number => {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  between(low: number, high: number): number {
    return low + this.random() * (high - low);
  }

  /** A whole number, both ends included. */
  whole(low: number, high: number): number {
    return Math.floor(this.between(low, high + 1));
  }

  pick<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.random() * choices.length)] as T;
  }

  /** In no order, and never the same again. */
  readonly uuid = (): string => {
    this.ids += 1;
    const random = Math.floor(this.random() * 2 ** 32);
    return `${random.toString(16).padStart(8, '0')}-0000-4000-8000-${String(this.ids).padStart(12, '0')}`;
  };

  /** @param life without which it does not happen. @returns what calls it off */
  after(ms: number, what: string, work: () => void, life?: Life): () => void {
    const task = { due: this.clock + ms, what, work, life };
    const place = this.queue.findLastIndex(({ due }) => due <= task.due);
    this.queue.splice(place + 1, 0, task);
    return () => {
      const index = this.queue.indexOf(task);
      if (index >= 0) this.queue.splice(index, 1);
    };
  }

  sleep(ms: number, what: string, life?: Life): Promise<void> {
    return new Promise((resolve) => void this.after(ms, what, resolve, life));
  }

  /** Says in the trace what the step at hand led to. */
  note(text: string): void {
    this.notes += `; ${text}`;
  }

  /** The next step. @returns false when nothing is left to happen before `until` */
  async step(until: number): Promise<boolean> {
    for (;;) {
      const task = this.queue[0];
      if (!task || task.due > until) return false;
      this.queue.shift();
      if (task.life?.alive === false) continue;
      this.clock = task.due;
      task.work();
      // comes after all that follows from it without waiting
      await new Promise((resolve) => setImmediate(resolve));
      this.trace.push(`${this.trace.length + 1} ${this.clock.toFixed(1)} ${task.what}${this.notes}`);
      this.notes = '';
      return true;
    }
  }

  hash(): string {
    return createHash('sha256').update(this.trace.join('\n')).digest('hex');
  }
}
