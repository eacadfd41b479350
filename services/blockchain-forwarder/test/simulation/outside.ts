import { FAIR, Network, drawWeather } from '../../../../shared/testing/simulation/network';
import { replacing } from '../../../../shared/testing/simulation/replacing';
import type { Life, Scheduler } from '../../../../shared/testing/simulation/scheduler';
import { EvmAnchor } from '../../adapters/sinks/evm/evm-anchor';
import { HttpLedgerSink } from '../../adapters/sinks/http';
import type { LedgerSink } from '../../ports/ledger-sink';
import { Archive, ArchiveSink, faultOfArchive, type ArchiveHabits } from './archive';
import { ACCOUNT, Chain, SIGNER } from './chain';
import type { Content } from './content';
import { faultOfService, UsageService } from './usage-service';
import { Web } from './web';

const GWEI = 1_000_000_000n;

/** The places outside to which the ledger goes: an archive always, a service and a chain in some runs. */
export class Outside {
  readonly web: Web;
  private readonly network: Network;
  private readonly archive: Archive;
  private readonly habits: ArchiveHabits;
  private readonly service: UsageService;
  private readonly chain = new Chain();
  /** Of the chain: probabilities a block. */
  private readonly mishaps: { dropping: number; forgetting: number; intruding: number; changing: number };
  private readonly with: { service: boolean; chain: boolean };
  private isCalm: boolean;
  /** What was looked at. */
  private given = '';

  constructor(
    private readonly scheduler: Scheduler,
    isFair: boolean,
    private readonly count: (what: string) => void,
  ) {
    this.isCalm = isFair;
    const sometimes = (most: number) => (isFair || scheduler.chance(0.4) ? 0 : most);
    this.network = new Network(scheduler, isFair ? FAIR : drawWeather(scheduler));
    this.archive = new Archive(scheduler.chance(0.5) ? 0.1 : 0);
    this.habits = { window: scheduler.whole(1, 4), slow: sometimes(scheduler.pick([0.05, 0.2])) };
    this.service = new UsageService(scheduler, scheduler.chance(0.5) ? 0.1 : 0);
    this.service.failing = sometimes(0.2);
    this.mishaps = {
      dropping: sometimes(0.25),
      forgetting: sometimes(0.2),
      intruding: sometimes(0.2),
      changing: sometimes(0.3),
    };
    this.with = { service: scheduler.chance(0.4), chain: scheduler.chance(0.5) };
    this.web = new Web(this.network, { service: this.service.site, node: (body) => this.node(body) });
    if (this.with.chain) this.tick();
    const close = () => void (this.archive.isDown = !this.isCalm);
    if (sometimes(1) > 0) scheduler.after(scheduler.between(0, 1_000), 'the archive closes', close);
  }

  /** The sinks of one process. */
  sinksOf(life: Life): LedgerSink[] {
    const { scheduler, habits } = this;
    const name = this.web.enter(life);
    const archive = new ArchiveSink(life, this.network.connect(this.archive, life), scheduler, habits);
    const service = new HttpLedgerSink({ url: 'http://service/', token: name, timeoutMs: 5_000 });
    const options = { rpcUrl: `http://node/${name}`, chainId: 31_337, contract: ACCOUNT, signer: SIGNER };
    const anchor = new EvmAnchor({ ...options, stuckMs: 1_500, pollMs: 200 });
    const sinks: LedgerSink[] = [archive];
    if (this.with.service) sinks.push(service);
    // what it asks a chain at start has tests of its own
    if (this.with.chain) sinks.push(replacing(anchor as LedgerSink, { check: () => Promise.resolve() }));
    return sinks;
  }

  get underWay(): number {
    return this.network.underWay;
  }

  calm(): void {
    this.isCalm = true;
    this.network.weather = FAIR;
    this.archive.isDown = false;
    this.habits.slow = 0;
    this.service.failing = 0;
    this.chain.baseFee = GWEI;
  }

  /** What places were given, beside what is stored. */
  fault(content: Content, isWritten: boolean): string | undefined {
    const given = `${this.archive.taken.length} ${this.service.accepted.size} ${this.chain.head.hash}`;
    if (given === this.given && !isWritten) return undefined;
    this.given = given;
    return faultOfArchive(this.archive, content) ?? faultOfService(this.service, content) ?? this.faultOfChain(content);
  }

  /** What is yet to come to them. */
  left(content: Content): string | undefined {
    const { size } = content.batches;
    if (this.archive.taken.length < size) return 'the archive does not have all batches';
    const atService = this.service.accepted.size + this.service.refused.size;
    if (this.with.service && atService !== content.usages.size) return `the service has ${atService} records`;
    if (this.with.chain && this.chain.anchored.length < size) return 'the chain does not have all batches';
    return undefined;
  }

  get sinks(): number {
    return 1 + Number(this.with.service) + Number(this.with.chain);
  }

  /** Records that were refused, each by each. */
  get refused(): number {
    return this.archive.refused.size + this.service.refused.size;
  }

  /** The contract holds to the order by itself; that a batch is final is the sink's word. */
  private faultOfChain(content: Content): string | undefined {
    const { anchored, finalized } = this.chain;
    for (const { batchId, root } of anchored) {
      if (content.batches.get(String(batchId))?.root !== root) return `batch ${batchId} is anchored otherwise`;
    }
    const final = anchored.filter(({ block }) => block.number <= finalized).length;
    const told = [...content.deliveries.values()].filter(({ sink, stage }) => sink === 'evm' && stage === 'finalized');
    const untrue = told.find(({ batchId }) => batchId > final);
    return untrue && `batch ${untrue.batchId} is told to be final, and ${final} are`;
  }

  private node(body: unknown): { status: number; body: unknown } {
    const answers = [body].flat().map((each) => {
      const { id, method, params } = each as { id: number; method: string; params: unknown[] };
      return { jsonrpc: '2.0', id, ...this.chain.answer(method, params) };
    });
    return { status: 200, body: Array.isArray(body) ? answers : answers[0] };
  }

  /** A block comes, and what happens to chains. */
  private tick(): void {
    const { scheduler, chain } = this;
    scheduler.after(scheduler.between(50, 300), 'a block comes', () => {
      const { dropping, forgetting, intruding, changing } = this.mishaps;
      if (!this.isCalm) {
        const back = () => scheduler.chance(0.5);
        this.perhaps(dropping, 'reorganised', () => chain.reorganise(scheduler.whole(1, 5), back));
        this.perhaps(forgetting, 'pool forgotten', () => chain.forget(() => scheduler.chance(0.7)));
        this.perhaps(intruding, 'nonce of somebody else', () => chain.intrude(scheduler.whole(0, 2)));
        this.perhaps(changing, 'fee', () => (chain.baseFee = BigInt(scheduler.whole(1, 20)) * GWEI));
      }
      chain.mine(scheduler.whole(1, 16));
      this.tick();
    });
  }

  private perhaps(probability: number, what: string, happen: () => void): void {
    if (!this.scheduler.chance(probability)) return;
    this.count(`chain: ${what}`);
    this.scheduler.note(what);
    happen();
  }
}
