import { keccak256, type Address } from 'viem';
import {
  dropped,
  mined,
  nothingYet,
  replacedHashes,
  sent,
  signed,
  type AnchorProgress,
  type Attempt,
} from '../../../domain/anchor-progress';
import { planAnchoring, type AnchoringRules, type Move, type OpenAnchor } from '../../../domain/anchoring';
import type { Batch } from '../../../domain/batch';
import type { Anchor, LedgerSink, OpenBatch, Receipt, StepParts, StepResult } from '../../../ports/ledger-sink';
import { SinkUnavailable } from '../../../ports/ledger-sink';
import { KeyUnavailable, KeyUnusable } from '../../keys/reference';
import type { TransactionSigner } from '../../keys/transaction-signer';
import { anchorData, anchorsOf, answered, calls, GAS, latestOf } from './chain';
import { lookAtChain } from './chain-sight';
import { checkChain } from './check-chain';
import { jsonRpc, RpcRefusal, RpcSilence, type JsonRpc } from './json-rpc';

export interface EvmAnchorOptions {
  rpcUrl: string;
  chainId: number;
  /** Where LedgerAnchor (contracts/LedgerAnchor.sol) is deployed. */
  contract: string;
  /** Of the contract's anchorer. */
  signer: TransactionSigner;
  /** After which a transaction that is not mined offers more; 60 s unless told. */
  stuckMs?: number;
  /** 200 unless told. */
  maxFeeGwei?: number;
  /** Blocks, its own counted, after which an anchor is final; unless told, the chain's `finalized` decides. */
  confirmations?: number | undefined;
  /** Between two looks while a transaction waits; 500 ms unless told. */
  pollMs?: number;
}

/** Finality of Ethereum takes 15 minutes, in which 180 batches of 5 s come; those wait in blocks already. */
const WINDOW = 256;
/** So many transactions wait at once: more than 16 of an account, some pools do not keep. */
const IN_FLIGHT = 16;
const RPC_TIMEOUT_MS = 5_000;
const STEP_LIMIT_MS = 18_000;

/**
 * Anchors batches in LedgerAnchor on a chain that speaks Ethereum's JSON-RPC and has EIP-1559. Each step looks at the chain,
 * decides (domain/anchoring.ts), and does it: a transaction is signed in one step, and sent in a later one, when it is
 * written down.
 */
export class EvmAnchor implements LedgerSink<AnchorProgress> {
  readonly name = 'evm';
  readonly place: string;
  readonly window = WINDOW;
  // its URL may hold a provider's key
  readonly #rpc: JsonRpc;
  readonly #signer: TransactionSigner;
  private readonly chainId: number;
  private readonly contract: Address;
  readonly #rules: AnchoringRules;
  private readonly confirmations: number | undefined;
  private readonly pollMs: number;

  constructor(options: EvmAnchorOptions) {
    this.chainId = options.chainId;
    this.contract = options.contract.toLowerCase() as Address;
    this.place = `${this.chainId}/${this.contract}`;
    this.#rpc = jsonRpc(options.rpcUrl, RPC_TIMEOUT_MS);
    this.#signer = options.signer;
    const maxFeePerGas = BigInt(Math.round((options.maxFeeGwei ?? 200) * 1e9));
    this.#rules = { stuckMs: options.stuckMs ?? 60_000, maxFeePerGas, inFlight: IN_FLIGHT };
    this.confirmations = options.confirmations;
    this.pollMs = options.pollMs ?? 500;
  }

  check(): Promise<void> {
    const { chainId, contract } = this;
    return checkChain({
      rpc: this.#rpc,
      signer: this.#signer,
      chainId,
      contract,
      maxFeePerGas: this.#rules.maxFeePerGas,
    });
  }

  async step(open: readonly OpenBatch<AnchorProgress>[], { now }: StepParts): Promise<StepResult<AnchorProgress>> {
    const anchors = open.map(({ batch, stage, progress }): OpenAnchor & Pick<OpenBatch<AnchorProgress>, 'stage'> => {
      return { batch, stage, progress: progress ?? nothingYet(batch.batchId) };
    });
    const advances: StepResult<AnchorProgress>['advances'] = [];
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(() => resolve(`the node of chain ${this.chainId} is too slow for a step`), STEP_LIMIT_MS);
    });
    const trouble = await Promise.race([this.work(anchors, now, advances), late]).catch((error: unknown) =>
      this.sentence(error),
    );
    clearTimeout(timer);
    // what a step that is too slow still does is not part of its result
    const done = [...advances];
    const nextMs = this.nextMs(anchors, done);
    return { advances: done, refusals: [], nextMs, ...(trouble !== null && { trouble: { error: trouble } }) };
  }

  receiptOf(progress: AnchorProgress, _recordId: string): Receipt | null {
    if (progress.mined === null) return null;
    const { hash, ...at } = progress.mined;
    return {
      chainId: this.chainId,
      contract: this.contract,
      transactionHash: hash,
      ...at,
      batchId: progress.batchId,
      replaced: replacedHashes(progress),
    };
  }

  anchorOf({ mined: at }: AnchorProgress): Anchor | null {
    if (at === null) return null;
    const { chainId, contract } = this;
    return { chainId, contract, transaction: at.hash, blockNumber: at.blockNumber, blockHash: at.blockHash };
  }

  async confirm({ batchId, root }: Batch): Promise<boolean> {
    try {
      const [latest] = await this.#rpc.askAll([calls.latest(this.contract)]);
      const { batchId: last } = latestOf(answered(latest));
      const anchors = await anchorsOf(this.#rpc, this.contract, [batchId], last);
      return anchors.get(batchId)?.root === root;
    } catch (error) {
      throw new SinkUnavailable(this.sentence(error));
    }
  }

  reopened(progress: AnchorProgress): AnchorProgress {
    return progress;
  }

  /** @param advances what was done, also when it throws after it @returns trouble */
  private async work(
    open: readonly (OpenAnchor & Pick<OpenBatch<AnchorProgress>, 'stage'>)[],
    now: Date,
    advances: StepResult<AnchorProgress>['advances'],
  ): Promise<string | null> {
    const { contract, chainId, confirmations } = this;
    const account = await this.#signer.address();
    const sight = await lookAtChain({ rpc: this.#rpc, chainId, contract, account, confirmations }, open, now);
    const { moves, trouble } = planAnchoring(open, sight, this.#rules);
    const told = new Map(open.map((each) => [each.batch.batchId, each]));
    const sends = moves.filter((move) => move.do === 'send');
    const refusals = await this.send(sends);
    for (const { batchId, attempt } of sends) {
      const each = told.get(batchId);
      if (!each || attempt.sentAt !== null || refusals.unpaid.includes(batchId)) continue;
      advances.push({ batchId, stage: 'submitted', progress: sent(each.progress, attempt.hash, now) });
    }
    for (const move of moves) {
      const each = told.get(move.batchId);
      if (!each || move.do === 'send') continue;
      const { batchId } = move;
      if (move.do === 'dropped') advances.push({ batchId, stage: 'submitted', progress: dropped(each.progress) });
      else if (move.do !== 'sign') advances.push({ batchId, stage: move.do, progress: mined(each.progress, move.at) });
      else {
        const attempt = await this.sign(each.batch, move);
        advances.push({ batchId, stage: 'submitted', progress: signed(each.progress, attempt) });
      }
    }
    return refusals.trouble ?? trouble;
  }

  private async sign(batch: Batch, { nonce, fees }: Extract<Move, { do: 'sign' }>): Promise<Attempt> {
    const { chainId, contract: to } = this;
    const raw = await this.#signer.sign({ chainId, nonce, to, data: anchorData(batch), gas: GAS, ...fees });
    const { maxFeePerGas, maxPriorityFeePerGas } = fees;
    return {
      nonce,
      hash: keccak256(raw),
      raw,
      maxFeePerGas: maxFeePerGas.toString(),
      maxPriorityFeePerGas: maxPriorityFeePerGas.toString(),
      sentAt: null,
    };
  }

  /** In the order of their nonces. A refusal that the next looks at the chain settle is no trouble. */
  private async send(moves: readonly Extract<Move, { do: 'send' }>[]) {
    const answers = await this.#rpc.askAll(moves.map(({ attempt }) => calls.send(attempt.raw)));
    const unpaid: number[] = [];
    let trouble: string | null = null;
    for (const [n, { batchId, attempt }] of moves.entries()) {
      const answer = answers[n];
      if (!(answer instanceof RpcRefusal) || SETTLED.test(answer.reason)) continue;
      if (/insufficient funds/i.test(answer.reason)) {
        unpaid.push(batchId);
        const account = await this.#signer.address();
        trouble ??= `${account} has not enough on chain ${this.chainId} to pay for a transaction; send it funds`;
      }
      trouble ??= `the node of chain ${this.chainId} refuses the transaction ${attempt.hash} of batch ${batchId}: ${answer.reason}`;
    }
    return { unpaid, trouble };
  }

  private nextMs(open: readonly OpenAnchor[], advances: StepResult<AnchorProgress>['advances']): number {
    const after = new Map(advances.map((advance) => [advance.batchId, advance]));
    const states = open.map(({ batch, stage, progress }) => after.get(batch.batchId) ?? { stage, progress });
    const isUnsent = advances.some(
      ({ progress }) => progress.mined === null && progress.attempts.at(-1)?.sentAt === null,
    );
    if (isUnsent) return 0;
    // the next ones in line, when those before them are mined
    const isWaiting = states.some(({ progress }) => progress.mined === null);
    return isWaiting ? this.pollMs : Math.max(this.pollMs, 2_000);
  }

  private sentence(error: unknown): string {
    if (error instanceof RpcSilence) return `the node of chain ${this.chainId} cannot be asked: ${error.message}`;
    if (error instanceof RpcRefusal) return `the node of chain ${this.chainId}: ${error.message}`;
    if (error instanceof KeyUnusable || error instanceof KeyUnavailable) return error.message;
    // a schema's fault or our own: its text may hold what nobody should see
    const kind = error instanceof Error ? error.name : 'something unknown';
    return `the node of chain ${this.chainId} answers what cannot be read (${kind})`;
  }
}

/** The node has it already, its nonce is used, or it offers too little, which more is offered for when it is stuck. */
const SETTLED =
  /already (known|imported)|known transaction|alreadyknown|nonce( is)? too low|underpriced|fee too low|base fee|feetoolow/i;
