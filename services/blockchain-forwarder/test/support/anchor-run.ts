import type { Hex } from 'viem';
import { EvmAnchor, type EvmAnchorOptions } from '../../adapters/sinks/evm/evm-anchor';
import { parseKeyReference } from '../../adapters/keys/reference';
import { transactionSigner, type TransactionSigner } from '../../adapters/keys/transaction-signer';
import type { AnchorProgress } from '../../domain/anchor-progress';
import { ZERO_ROOT, type Batch } from '../../domain/batch';
import { FINAL_STAGES } from '../../domain/delivery';
import { type OpenBatch, type Receipt, type StepResult } from '../../ports/ledger-sink';
import { RECORDER_KEY, startAnvil, type TestChain } from './anvil';
import { ANCHORER, deployLedgerAnchor, ledgerAnchorAbi, type LedgerOnChain } from './ledger-anchor';
import { startRelay, type Relay } from './relay';

/** Of one account, whose key is in an environment of its own. */
export function signerOf(key: string): TransactionSigner {
  const reference = parseKeyReference('env:KEY');
  const sidecar = { secret: () => Promise.reject(new Error('there is no sidecar')) };
  return transactionSigner(reference!, { variable: () => key, sidecar });
}

function batchesOf(count: number, mark = 'aa'): Batch[] {
  const root = (n: number) => (n === 0 ? ZERO_ROOT : `0x${mark.repeat(30)}${n.toString(16).padStart(4, '0')}`);
  return Array.from({ length: count }, (_, n) => ({
    batchId: n + 1,
    root: root(n + 1),
    firstSequence: n * 10 + 1,
    count: 10,
    previousRoot: root(n),
    closedAt: '2026-01-01T00:00:00.000Z',
  }));
}

type Step = StepResult<AnchorProgress>;

/** The loop as the port has it: what a step gave is written down as JSON before the next one begins. */
export class AnchorRun {
  private rows: string[];
  /** Seconds that the steps are told beside those that pass. */
  later = 0;
  /** How many batches there are so far. */
  closed = Infinity;
  readonly troubles: string[] = [];

  constructor(
    public sink: EvmAnchor,
    readonly batches: Batch[],
  ) {
    this.rows = batches.map((batch) => JSON.stringify({ batch, stage: 'pending', progress: null }));
  }

  /** Steps on a snapshot; nothing is written down. */
  async unwritten(): Promise<Step> {
    const open = this.all
      .slice(0, this.closed)
      .filter(({ stage }) => !FINAL_STAGES.includes(stage))
      .slice(0, this.sink.window);
    const now = new Date(Date.now() + this.later * 1_000);
    const result = await this.sink.step(open, { now, records: () => Promise.resolve([]) });
    if (result.trouble) this.troubles.push(result.trouble.error);
    return result;
  }

  write({ advances }: Step): void {
    for (const { batchId, stage, progress } of advances) {
      const row = JSON.parse(this.rows[batchId - 1]!) as OpenBatch<AnchorProgress>;
      this.rows[batchId - 1] = JSON.stringify({ ...row, stage, progress });
    }
  }

  async step(): Promise<Step> {
    const result = await this.unwritten();
    this.write(result);
    return result;
  }

  /** As long as a step wants the next one at once. */
  async steps(): Promise<Step> {
    let result = await this.step();
    for (let n = 0; result.nextMs === 0 && !result.trouble && n < 5; n += 1) result = await this.step();
    return result;
  }

  get all(): OpenBatch<AnchorProgress>[] {
    return this.rows.map((row) => JSON.parse(row) as OpenBatch<AnchorProgress>);
  }

  get stages(): string[] {
    return this.all.map(({ stage }) => stage);
  }

  attempts(batchId: number) {
    return this.all[batchId - 1]!.progress?.attempts ?? [];
  }

  get receipts(): (Receipt | null)[] {
    return this.all.map(({ progress }) => progress && this.sink.receiptOf(progress, 'any'));
  }
}

export interface AnchorWorld {
  chain: TestChain;
  relay: Relay;
  ledger: LedgerOnChain;
  sink(options?: Partial<EvmAnchorOptions>): EvmAnchor;
  run(count: number, options?: Partial<EvmAnchorOptions>): AnchorRun;
  mine(blocks?: number): Promise<void>;
  rpc<T>(method: string, ...params: unknown[]): Promise<T>;
  pool(): Promise<number>;
  /** Steps and mines until all is final. */
  finish(run: AnchorRun): Promise<void>;
}

/** A chain that makes a block when it is told to, and for each test a contract. `finalized` is eight blocks back. */
export function useAnchorWorld(): AnchorWorld {
  const world = {} as AnchorWorld;
  beforeAll(async () => {
    world.chain = await startAnvil('--slots-in-an-epoch', '4');
    world.relay = await startRelay(world.chain.rpcUrl);
  }, 30_000);
  beforeEach(async () => {
    const { chain, relay } = world;
    relay.away = false;
    await chain.automine(true);
    const ledger = await deployLedgerAnchor(chain);
    await chain.automine(false);
    const rpc = async <T>(method: string, ...params: unknown[]): Promise<T> => {
      const answer: unknown = await ledger.reader.request({ method: method as never, params: params as never });
      return answer as T;
    };
    const mine = (blocks = 1) => ledger.tester.mine({ blocks });
    const sink: AnchorWorld['sink'] = (options = {}) =>
      new EvmAnchor({
        rpcUrl: relay.url,
        chainId: chain.chainId,
        contract: ledger.address,
        signer: signerOf(RECORDER_KEY),
        ...options,
      });
    Object.assign(world, {
      ledger,
      rpc,
      mine,
      sink,
      run: (count, options) => new AnchorRun(sink(options), batchesOf(count)),
      pool: async () => Number((await rpc<{ pending: Hex }>('txpool_status')).pending),
      finish: async (run) => {
        for (let round = 0; round < 60 && run.stages.some((stage) => stage !== 'finalized'); round += 1) {
          await run.steps();
          await mine();
        }
        await expectAnchored(world, run);
      },
    } satisfies Partial<AnchorWorld>);
  });
  afterEach(async () => {
    await world.rpc('anvil_dropAllTransactions');
    await world.rpc('anvil_setBalance', ANCHORER, '0x21e19e0c9bab2400000');
    await world.rpc('anvil_setNextBlockBaseFeePerGas', '0x3b9aca00');
    await world.mine();
  });
  afterAll(async () => {
    world.relay.stop();
    await world.chain.stop();
  });
  return world;
}

/** Each batch once, in order, final, and the receipts say where. */
async function expectAnchored({ ledger }: AnchorWorld, run: AnchorRun): Promise<void> {
  expect(run.stages).toEqual(run.batches.map(() => 'finalized'));
  const logs = await ledger.reader.getContractEvents({
    address: ledger.address,
    abi: ledgerAnchorAbi,
    eventName: 'BatchAnchored',
    fromBlock: 0n,
  });
  expect(logs.map(({ args }) => args.root)).toEqual(run.batches.map(({ root }) => root));
  expect(run.receipts).toMatchObject(
    logs.map(({ transactionHash, blockNumber, blockHash, args }) => ({
      transactionHash,
      blockNumber: Number(blockNumber),
      blockHash,
      batchId: Number(args.batchId),
    })),
  );
}
