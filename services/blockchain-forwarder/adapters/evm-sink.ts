import {
  BaseError,
  createPublicClient,
  createWalletClient,
  defineChain,
  http,
  parseEventLogs,
  type Address,
  type Hex,
  type PublicClient,
} from 'viem';
import { privateKeyToAccount, type PrivateKeyAccount } from 'viem/accounts';
import type { SealedRecord } from '../domain/usage-record';
import { SinkUnavailable, type DeliveryOutcome, type Finding, type Receipt, type UsageSink } from '../ports/usage-sink';
import { usageLedgerAbi } from './usage-ledger-abi';

export interface EvmSinkOptions {
  rpcUrl: string;
  chainId: number;
  /** Where UsageLedger (contracts/UsageLedger.sol) is deployed. */
  contract: Address;
  /** Of the ledger's recorder; never logged. */
  privateKey: Hex;
  /** For a transaction to be mined. */
  receiptTimeoutMs?: number;
}

interface Entry {
  blockNumber: bigint;
  time: bigint;
  sequence: bigint;
}

/**
 * A chain that speaks Ethereum's JSON-RPC: many hashes in one transaction to the ledger contract. Before it sends, it
 * asks which hashes the ledger already has: an attempt whose answer was lost is thus found, not repeated, and the
 * contract itself passes over a hash that two attempts send at the same time.
 */
export class EvmSink implements UsageSink {
  readonly name = 'evm';
  readonly batchSize = 200;
  private readonly reader: PublicClient;
  private readonly account: PrivateKeyAccount;
  private ledgerChecked = false;

  constructor(private readonly options: EvmSinkOptions) {
    this.account = privateKeyToAccount(options.privateKey);
    this.reader = createPublicClient({
      chain: this.chain(),
      transport: http(options.rpcUrl, { timeout: 5_000, retryCount: 0 }),
      pollingInterval: 250,
    });
  }

  async deliver(records: readonly SealedRecord[]): Promise<DeliveryOutcome[]> {
    if (records.length === 0) return [];
    try {
      await this.checkLedger();
      const hashes = records.map((sealed) => sealed.usageHash as Hex);
      const known = await this.entries(hashes);
      const missing = hashes.filter((_, index) => known[index]?.sequence === 0n);
      const receipts = missing.length > 0 ? await this.record([...new Set(missing)]) : new Map<Hex, Receipt>();
      return await Promise.all(
        hashes.map(async (hash, index): Promise<DeliveryOutcome> => {
          const receipt = receipts.get(hash) ?? (await this.lookUp(hash, known[index]));
          return receipt
            ? { kind: 'delivered', receipt }
            : { kind: 'retry', error: 'the ledger does not have the hash yet' };
        }),
      );
    } catch (error) {
      return records.map(() => ({ kind: 'retry', error: reasonOf(error) }));
    }
  }

  async find(usageHash: string): Promise<Finding> {
    try {
      await this.checkLedger();
      const [entry] = await this.entries([usageHash as Hex]);
      if (!entry || entry.sequence === 0n) return { found: false };
      return { found: true, receipt: await this.receiptFromLog(usageHash as Hex, entry) };
    } catch (error) {
      throw new SinkUnavailable(reasonOf(error));
    }
  }

  /** A hash that another transaction recorded: before this attempt, or while it was under way. */
  private async lookUp(hash: Hex, before: Entry | undefined): Promise<Receipt | undefined> {
    const [entry] = before && before.sequence > 0n ? [before] : await this.entries([hash]);
    return entry && entry.sequence > 0n ? this.receiptFromLog(hash, entry) : undefined;
  }

  private async entries(hashes: Hex[]): Promise<readonly Entry[]> {
    return this.reader.readContract({
      address: this.options.contract,
      abi: usageLedgerAbi,
      functionName: 'recordedAtAll',
      args: [hashes],
    });
  }

  /** Sends one transaction and waits until it is mined. */
  private async record(hashes: Hex[]): Promise<Map<Hex, Receipt>> {
    const { contract: address, rpcUrl, receiptTimeoutMs = 30_000 } = this.options;
    const call = { address, abi: usageLedgerAbi, functionName: 'record', args: [hashes] } as const;
    // a simulation first: what would revert costs no fee and says why
    const { request } = await this.reader.simulateContract({ ...call, account: this.account });
    const wallet = createWalletClient({
      account: this.account,
      chain: this.chain(),
      transport: http(rpcUrl, { timeout: 5_000, retryCount: 0 }),
    });
    const hash = await wallet.writeContract(request);
    const mined = await this.reader.waitForTransactionReceipt({ hash, timeout: receiptTimeoutMs });
    if (mined.status !== 'success') throw new Error(`the transaction ${hash} was reverted`);
    const { timestamp } = await this.reader.getBlock({ blockNumber: mined.blockNumber });
    const logs = parseEventLogs({ abi: usageLedgerAbi, eventName: 'UsageRecorded', logs: mined.logs });
    return new Map(logs.map((log) => [log.args.usageHash, this.receipt(log, log.args.sequence, timestamp)]));
  }

  private async receiptFromLog(usageHash: Hex, entry: Entry): Promise<Receipt> {
    const [log] = await this.reader.getContractEvents({
      address: this.options.contract,
      abi: usageLedgerAbi,
      eventName: 'UsageRecorded',
      args: { usageHash },
      fromBlock: entry.blockNumber,
      toBlock: entry.blockNumber,
    });
    if (!log) throw new Error(`the node has no log of block ${entry.blockNumber}`);
    return this.receipt(log, entry.sequence, entry.time);
  }

  private receipt(
    log: { transactionHash: Hex; blockHash: Hex; blockNumber: bigint },
    sequence: bigint,
    time: bigint,
  ): Receipt {
    return {
      chainId: this.options.chainId,
      contract: this.options.contract,
      transactionHash: log.transactionHash,
      blockNumber: Number(log.blockNumber),
      blockHash: log.blockHash,
      blockTime: new Date(Number(time) * 1_000).toISOString(),
      sequence: Number(sequence),
    };
  }

  /** Once, before the first use: hashes sent to another chain or an empty address would be lost money and no record. */
  private async checkLedger(): Promise<void> {
    if (this.ledgerChecked) return;
    const { chainId, contract } = this.options;
    const actual = await this.reader.getChainId();
    if (actual !== chainId) throw new Error(`the node is on chain ${actual}; set EVM_CHAIN_ID or EVM_RPC_URL`);
    const code = await this.reader.getCode({ address: contract });
    if (code === undefined) throw new Error(`no contract at ${contract}; deploy UsageLedger or set EVM_CONTRACT`);
    this.ledgerChecked = true;
  }

  private chain() {
    const { chainId, rpcUrl } = this.options;
    return defineChain({
      id: chainId,
      name: `chain ${chainId}`,
      nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
      rpcUrls: { default: { http: [rpcUrl] } },
    });
  }
}

/** viem's long messages carry the RPC's URL, which may hold a key of the provider: only the short one is told. */
function reasonOf(error: unknown): string {
  if (error instanceof BaseError) return error.shortMessage;
  return error instanceof Error ? error.message : String(error);
}
