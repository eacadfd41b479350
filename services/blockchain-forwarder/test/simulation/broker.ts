import type { Network } from '../../../../shared/testing/simulation/network';
import type { Scheduler } from '../../../../shared/testing/simulation/scheduler';
import type { Cluster } from './cluster';

interface Message {
  number: number;
  text: string;
  isDone: boolean;
  refusals: number;
}

export interface BrokerHabits {
  ackWaitMs: number;
  /** So often a message comes again before it goes to the dead letters, which come again for ever. */
  retries: number;
  /** Probability that a message comes once more though it was acknowledged. */
  again: number;
}

const RETRY_MS = 200;

/**
 * At least once, in no order that holds: what is not acknowledged in time comes again, to whichever replica, also while the
 * first one still works on it.
 */
export class Broker {
  private readonly messages: Message[] = [];

  constructor(
    private readonly parts: {
      scheduler: Scheduler;
      network: Network;
      cluster: Cluster;
      count: (what: string) => void;
      /** Looks at what was acknowledged, before that can be lost. */
      acknowledged: (text: string) => void;
    },
    public habits: BrokerHabits,
  ) {}

  /** Messages that are to come yet. */
  get waiting(): number {
    return this.messages.filter(({ isDone }) => !isDone).length;
  }

  publish(text: string): void {
    const message = { number: this.messages.length + 1, text, isDone: false, refusals: 0 };
    this.messages.push(message);
    this.deliver(message);
  }

  private deliver(message: Message): void {
    const { scheduler, network, cluster, count } = this.parts;
    const what = `message ${message.number}`;
    const wait = this.habits.ackWaitMs + scheduler.between(0, 100);
    scheduler.after(network.delay(), `${what} is delivered`, () => {
      const process = cluster.any();
      if (!process) return;
      scheduler.note(`to ${process.name}`);
      void process.take(message.text).then((verdict) => {
        scheduler.note(`${what}: ${verdict}`);
        if (verdict === 'RETRY') return this.refused(message);
        this.parts.acknowledged(message.text);
        if (scheduler.chance(network.weather.lostAnswer)) return;
        scheduler.after(network.delay(), `${what} is acknowledged`, () => this.done(message));
      });
    });
    scheduler.after(wait, `${what}: the time for its acknowledgement is over`, () => {
      if (message.isDone) return;
      count('delivered again');
      this.deliver(message);
    });
  }

  private done(message: Message): void {
    const { scheduler, count } = this.parts;
    if (!message.isDone && scheduler.chance(this.habits.again)) {
      count('delivered again for no reason');
      scheduler.after(scheduler.between(0, 1_000), `message ${message.number} comes once more`, () =>
        this.deliver(message),
      );
    }
    message.isDone = true;
  }

  /** Its own topic gives up, and the topic of the dead letters delivers it from now on. */
  private refused(message: Message): void {
    const { scheduler, count } = this.parts;
    message.refusals += 1;
    count(message.refusals > this.habits.retries ? 'delivered from the dead letters' : 'delivered after a refusal');
    scheduler.after(RETRY_MS, `message ${message.number} comes again`, () => {
      if (!message.isDone) this.deliver(message);
    });
  }
}
