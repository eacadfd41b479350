import { createPublicClient, http, parseAbi, parseAbiItem, type Address, type PublicClient } from 'viem';
import { z } from 'zod';
import type { Batch } from '../../services/blockchain-forwarder/domain/batch';
import type { Findings } from './findings';
import { BATCH, PROGRESS, SINK, type Rows } from './rows';
import { batchRow, read } from './shapes';

export interface ChainOptions {
  rpcUrl: string;
  contract: string;
  /** The code that LedgerAnchor has on a chain. */
  code: string;
  /** Where to begin: the block of the contract's deployment, or any before it. */
  fromBlock: bigint;
  progress?: (text: string) => void;
}

/** What a chain has of the ledger up to the block at which it was looked at. */
export interface ChainSeen {
  chainId: number;
  block: bigint;
  anchored: number;
}

/** A look at a chain that begins before the database is read: what is anchored later, the database may not have. */
export interface Look {
  chainId: number;
  block: bigint;
  client: PublicClient;
}

const anchored = parseAbiItem(
  'event BatchAnchored(uint256 indexed batchId, bytes32 root, uint64 firstSequence, uint32 count, bytes32 previousRoot)',
);
const latest = parseAbi([
  'struct Anchor { bytes32 root; uint64 firstSequence; uint32 count; uint64 blockNumber; uint64 time; }',
  'function latest() view returns (uint256 batchId, Anchor last)',
]);
type Anchor = Omit<Batch, 'closedAt'> & { blockNumber: bigint };

const FIRST_RANGE = 2_000n;
/** No node is asked for more at once. */
const WIDEST = 100_000n;

/** @throws with a reason in words where the chain does not answer */
export async function lookAt(rpcUrl: string): Promise<Look> {
  const client = createPublicClient({ transport: http(rpcUrl, { retryCount: 1, timeout: 20_000 }) });
  try {
    const [chainId, block] = await Promise.all([client.getChainId(), client.getBlockNumber({ cacheTime: 0 })]);
    return { chainId, block, client };
  } catch (error) {
    throw new Error(`the chain does not answer: ${firstLine(error)}`, { cause: error });
  }
}

/**
 * Compares what the chain's events tell with the ledger, batch by batch.
 * @throws with a reason in words where the chain cannot be asked to the end
 */
export async function auditChain(
  rows: Rows,
  look: Look,
  findings: Findings,
  options: ChainOptions,
): Promise<ChainSeen> {
  if (!(await isOurs(rows, look, findings, options))) return { chainId: look.chainId, block: look.block, anchored: 0 };
  const comparison = new Comparison(findings);
  for await (const anchors of anchorsOn(look, options)) {
    const batches = await rows.get(anchors.map(({ batchId }) => `${BATCH}${batchId}`));
    for (const anchor of anchors) comparison.take(anchor, read(batchRow, batches.get(`${BATCH}${anchor.batchId}`)));
  }
  await compareLatest(look, options, comparison, findings);
  await compareProgress(rows, look.block, comparison.last, findings);
  return { chainId: look.chainId, block: look.block, anchored: comparison.last };
}

/** Pure: takes the anchors in the chain's order. */
export class Comparison {
  /** The last batch that was met. */
  last = 0;
  root: string | null = null;

  constructor(private readonly findings: Findings) {}

  /** @param batch the ledger's own; null where it has none */
  take(anchor: Anchor, batch: Batch | null): void {
    const { batchId, blockNumber } = anchor;
    const where = `batch ${batchId} (block ${blockNumber})`;
    if (batchId <= this.last) {
      this.findings.fault('anchor.twice', `${where}: it was on the chain before, or behind a later one`);
      return;
    }
    for (let missing = this.last + 1; missing < batchId; missing += 1) {
      this.findings.fault('anchor.missing', `batch ${missing}: it is not on the chain, and batch ${batchId} is`);
    }
    [this.last, this.root] = [batchId, anchor.root];
    if (!batch) {
      this.findings.fault('anchor.unknown', `${where}: the ledger has no such batch`);
      return;
    }
    const wrong = (['root', 'firstSequence', 'count', 'previousRoot'] as const).flatMap((name) =>
      anchor[name] === batch[name] ? [] : [`${name} is ${anchor[name]} on the chain and ${batch[name]} in the ledger`],
    );
    if (wrong.length > 0) this.findings.fault('anchor.differs', `${where}: ${wrong.join('; ')}`);
  }
}

/** Whether the code is LedgerAnchor's, and the chain the one that the sink wrote to. */
async function isOurs(rows: Rows, look: Look, findings: Findings, { contract, code }: ChainOptions): Promise<boolean> {
  const there = await asked(look.client.getCode({ address: contract as Address }));
  if (there !== code) {
    const what = there === undefined ? 'there is no contract' : 'the contract is not LedgerAnchor, or another version';
    findings.fault('anchor.foreign', `at ${contract} on chain ${look.chainId}: ${what}`);
    return false;
  }
  const place = `${look.chainId}/${contract}`.toLowerCase();
  const said = read(z.object({ place: z.string() }), (await rows.get([`${SINK}evm`])).get(`${SINK}evm`));
  if (said && said.place.toLowerCase() !== place) {
    findings.fault('anchor.foreign', `the service anchors at ${said.place}, and this is ${place}`);
  }
  return true;
}

/** In order, in ranges that are as wide as the node allows. */
async function* anchorsOn(
  { client, block }: Look,
  { contract, fromBlock, progress }: ChainOptions,
): AsyncIterable<Anchor[]> {
  let width = FIRST_RANGE;
  for (let from = fromBlock; from <= block;) {
    const to = from + width - 1n < block ? from + width - 1n : block;
    try {
      const address = contract as Address;
      const logs = await client.getLogs({ address, event: anchored, fromBlock: from, toBlock: to, strict: true });
      yield logs.map(({ args, blockNumber }) => ({
        ...args,
        batchId: Number(args.batchId),
        firstSequence: Number(args.firstSequence),
        blockNumber,
      }));
      progress?.(`chain: block ${to} of ${block}`);
      from = to + 1n;
      width = width * 2n < WIDEST ? width * 2n : WIDEST;
    } catch (error) {
      if (width === 1n)
        throw new Error(`the chain does not tell the events of block ${from}: ${firstLine(error)}`, { cause: error });
      width = width / 2n || 1n;
    }
  }
}

/** A node that leaves events out tells another last batch than the contract itself. */
async function compareLatest(
  { client, block }: Look,
  { contract }: ChainOptions,
  { last, root }: Comparison,
  findings: Findings,
): Promise<void> {
  const call = { address: contract as Address, abi: latest, functionName: 'latest', blockNumber: block } as const;
  const [batchId, anchor] = await asked(client.readContract(call));
  if (Number(batchId) === last && (last === 0 || anchor.root === root)) return;
  const said = `the contract says that batch ${batchId} is the last, with root ${anchor.root}`;
  findings.fault('anchor.differs', `${said}; by its events it is batch ${last}, with root ${root}`);
}

const progressRow = z.object({ mined: z.object({ blockNumber: z.coerce.number() }).nullish() });

/** What the service believes to be in a block that was looked at must be there. */
async function compareProgress(rows: Rows, block: bigint, last: number, findings: Findings): Promise<void> {
  const prefix = `${PROGRESS}evm:`;
  for await (const page of rows.each(prefix)) {
    for (const [key, row] of page) {
      const batchId = Number(key.slice(prefix.length));
      const blockNumber = read(progressRow, row)?.mined?.blockNumber;
      if (blockNumber === undefined || blockNumber > block || batchId <= last) continue;
      const sentence = `batch ${batchId}: the service says that block ${blockNumber} has it, and the chain does not`;
      findings.fault('anchor.missing', sentence);
    }
  }
}

async function asked<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw new Error(`the chain does not answer: ${firstLine(error)}`, { cause: error });
  }
}

/** Without what viem adds behind it, such as the URL, which may hold a key. */
function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
}
