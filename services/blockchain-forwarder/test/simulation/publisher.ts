import type { Scheduler } from '../../../../shared/testing/simulation/scheduler';
import type { Broker } from './broker';
import type { Told, Uses } from './uses';

/**
 * A service that tells of ends of uses, with its outbox and its relay: it publishes what is in the outbox in bundles and
 * removes it afterwards, so that after a crash, or a lost answer, it publishes again, divided otherwise.
 */
export class Publisher {
  private outbox: Told[] = [];
  private left: number;

  constructor(
    private readonly name: string,
    private readonly parts: { scheduler: Scheduler; broker: Broker; uses: Uses },
    /** Probability that a bundle was taken, and the relay does not know. */
    public doubt: number,
    /** How many times as much as others it has to tell, at once. */
    private readonly size: number,
  ) {
    this.left = size * parts.scheduler.whole(3, 25);
    this.next();
    this.relay();
  }

  /** Whether it has told all, and all is with the broker. */
  get isDone(): boolean {
    return this.left === 0 && this.outbox.length === 0;
  }

  private next(): void {
    const { scheduler, uses } = this.parts;
    scheduler.after(scheduler.between(0, 400), `${this.name}: uses end`, () => {
      const ended = Math.min(this.left, this.size * scheduler.whole(1, 6));
      this.left -= ended;
      for (let index = 0; index < ended; index += 1) this.outbox.push(uses.draw());
      if (this.left > 0) this.next();
    });
  }

  private relay(): void {
    const { scheduler, broker } = this.parts;
    scheduler.after(scheduler.between(20, 300), `${this.name}: its relay looks`, () => {
      const found = this.outbox.slice(0, this.size * scheduler.whole(1, 12));
      while (found.length > 0) {
        const bundle = found.splice(0, scheduler.whole(1, found.length));
        if (scheduler.chance(this.doubt)) {
          if (scheduler.chance(0.5)) broker.publish(bundleOf(bundle));
          break;
        }
        broker.publish(bundleOf(bundle));
        this.outbox = this.outbox.filter((told) => !bundle.includes(told));
      }
      if (!this.isDone) this.relay();
    });
  }
}

function bundleOf(bundle: readonly Told[]): string {
  return JSON.stringify(bundle.map(({ event }) => event));
}
