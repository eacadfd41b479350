import { FAIR, type Network } from '../../../../shared/testing/simulation/network';
import type { Scheduler } from '../../../../shared/testing/simulation/scheduler';
import { IN_THE_END, type Fault, type Stormed } from '../../../../shared/testing/simulation/storm';
import type { BatchLimits } from '../../domain/batch';
import type { DeadLetter } from '../../domain/dead-letter';
import { FINAL_STAGES, type Delivery, type SinkState } from '../../domain/delivery';
import { Broker } from './broker';
import { Cluster } from './cluster';
import { Content } from './content';
import { Database, type Transaction } from './database';
import { broken } from './invariants';
import { Outside } from './outside';
import { Publisher } from './publisher';
import type { Plant } from './replica';
import { rowsOf } from './seen';
import { notKept, Uses } from './uses';

/** What must hold beside what is looked at in each transaction. */
export const OUTSIDE = {
  sinks: 'a sink gets every batch once, in its order, as it is stored',
  acknowledged: 'what is acknowledged is kept',
  waits: 'in fair weather nothing waits longer than a batch may be old',
  loops: 'nothing fails but by the weather',
  end: IN_THE_END,
} as const;

/** In fair weather, from when a batch is due until it is closed: a look, and the batches that are due before it. */
const SLACK_MS = 1_500;
/** After a storm: whoever hears no answer waits for it, and then a while. */
const SLACK_AFTER_STORM_MS = 6_000;

/** Publishers, broker, replicas, database and archive, and what must come of it all. */
export class World implements Stormed {
  readonly uses: Uses;
  private readonly cluster: Cluster;
  readonly outside: Outside;
  private readonly content = new Content();
  private readonly database: Database;
  private readonly broker: Broker;
  private readonly publishers: Publisher[];
  private readonly limits: BatchLimits;
  private readonly wrong: string[] = [];
  private acknowledged: string[] = [];
  /** Since when the weather is fair. */
  private fair: { since: number; slack: number } | undefined;

  constructor(
    private readonly scheduler: Scheduler,
    private readonly network: Network,
    plant: Plant,
  ) {
    const isFair = network.weather === FAIR;
    if (isFair) this.fair = { since: 0, slack: SLACK_MS };
    this.uses = new Uses(scheduler);
    const count = (what: string) => this.uses.count(what);
    this.limits = {
      count: scheduler.whole(1, 20),
      bytes: scheduler.pick([1_000, 5_000, 1_000_000]),
      ageMs: scheduler.whole(100, 1_500),
    };
    this.database = new Database(scheduler, count);
    this.outside = new Outside(scheduler, isFair, count);
    this.cluster = new Cluster(scheduler.whole(1, 3), {
      ...{ scheduler, network, plant, count, database: this.database },
      wrong: (fault) => void this.wrong.push(fault),
      setting: {
        limits: this.limits,
        leaseMs: scheduler.pick([300, 1_000, 3_000]),
        idleMs: 500,
        sinksOf: (life) => this.outside.sinksOf(life),
      },
    });
    this.broker = new Broker(
      {
        ...{ scheduler, network, count, cluster: this.cluster },
        acknowledged: (text) => void this.acknowledged.push(text),
      },
      {
        ackWaitMs: isFair ? 1_500 : scheduler.pick([100, 400, 1_500]),
        retries: scheduler.whole(0, 3),
        again: isFair ? 0 : scheduler.pick([0, 0.2]),
      },
    );
    const doubt = isFair ? 0 : scheduler.pick([0, 0.3]);
    const { broker, uses } = this;
    // so that a bundle now and then is more than one transaction takes
    const size = scheduler.chance(0.04) ? 20 : 1;
    this.publishers = Array.from(
      { length: scheduler.whole(1, 3) },
      (_, index) => new Publisher(`publisher ${index + 1}`, { scheduler, broker, uses }, doubt, size),
    );
  }

  crash(): void {
    this.cluster.endOne();
  }

  calm(): void {
    const { scheduler } = this;
    this.fair ??= { since: scheduler.elapsed, slack: SLACK_AFTER_STORM_MS };
    this.outside.calm();
    this.broker.habits = { ...this.broker.habits, ackWaitMs: 1_500, again: 0 };
    for (const publisher of this.publishers) publisher.doubt = 0;
    this.cluster.startAll();
  }

  async fault(): Promise<Fault | undefined> {
    const { content, uses, limits, scheduler } = this;
    const committed = this.database.takeCommitted();
    for (const transaction of committed) {
      content.apply(transaction);
      this.count(transaction);
      const found = await broken({ transaction, content, uses, limits, now: scheduler.now() });
      if (found) return found;
    }
    const [wrong] = this.wrong;
    if (wrong !== undefined) return { invariant: OUTSIDE.loops, detail: wrong };
    for (const text of this.acknowledged.splice(0)) {
      const lost = await notKept(text, content, uses);
      if (lost !== undefined) return { invariant: OUTSIDE.acknowledged, detail: lost };
    }
    const detail = this.outside.fault(content, committed.length > 0);
    if (detail !== undefined) return { invariant: OUTSIDE.sinks, detail };
    return this.waitingTooLong();
  }

  private count(transaction: Transaction): void {
    if (rowsOf(transaction, 'batch').length > 0) this.uses.count('batch');
    for (const { after } of rowsOf<DeadLetter>(transaction, 'dead')) this.uses.count(`letter: ${after?.reason}`);
    for (const { before, after } of rowsOf<Delivery>(transaction, 'delivery')) {
      if (!after || before?.stage === after.stage) continue;
      const isBack = before?.stage === 'mined' && after.stage === 'submitted';
      this.uses.count(isBack ? 'taken back by the chain' : `${after.sink}: ${after.stage}`);
    }
    for (const { after } of rowsOf<{ attempts?: unknown[] }>(transaction, 'progress')) {
      if ((after?.attempts?.length ?? 0) > 1) this.uses.count('transaction replaced');
    }
    for (const { before, after } of rowsOf<SinkState>(transaction, 'sink')) {
      const [from, to] = [before?.lease?.holder, after?.lease?.holder];
      if (from && !to) this.uses.count('lease given up');
      if (from && to && from !== to) this.uses.count('lease taken over');
      if (after?.failures) this.uses.count('trouble with a sink');
    }
  }

  private waitingTooLong(): Fault | undefined {
    if (!this.fair) return undefined;
    const { since, slack } = this.fair;
    const due = this.scheduler.timeOf(Math.max(0, this.scheduler.elapsed - this.limits.ageMs - slack));
    if (this.scheduler.elapsed - since < this.limits.ageMs + slack) return undefined;
    const late = [...this.content.chunks.values()].find(({ receivedAt }) => receivedAt < due);
    return late && { invariant: OUTSIDE.waits, detail: `the chunk ${late.id} waits since ${late.receivedAt}` };
  }

  async unsettled(): Promise<string | undefined> {
    const { content, uses, outside } = this;
    if (!this.publishers.every(({ isDone }) => isDone)) return 'publishers have more to tell';
    if (this.broker.waiting > 0) return `${this.broker.waiting} messages wait`;
    if (this.network.underWay + outside.underWay + this.database.underWay > 0) return 'requests are on their way';
    if (content.chunks.size > 0) return `${content.chunks.size} chunks wait for a batch`;
    const open = [...content.deliveries.values()].filter(({ stage }) => !FINAL_STAGES.includes(stage));
    if (open.length > 0) return `batch ${open[0]?.batchId} is ${open[0]?.stage} at ${open[0]?.sink}`;
    if (content.deliveries.size < content.batches.size * outside.sinks) return 'sinks have more to begin';
    const left = outside.left(content);
    if (left !== undefined) return left;
    const ids = [...uses.variants.keys()];
    if (ids.length !== content.usages.size) return `${ids.length} uses were told, ${content.usages.size} are recorded`;
    const expected = [...uses.variants.values()].reduce((sum, each) => sum + each.length - 1, uses.refused.size);
    const missing = expected + outside.refused - content.letters.size;
    return missing === 0 ? undefined : `${missing} more dead letters are to be than ${content.letters.size}`;
  }
}
