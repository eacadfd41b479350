import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Client } from 'pg';
import { createPublicClient, createWalletClient, http, isAddress, parseAbi, type Address, type Hex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { z } from 'zod';
import { Failure } from './failure';
import { root, type Instance } from './instance';
import { logFile, startSupervised } from './processes';
import { say, until } from './progress';

/** What the forwarder needs of a chain. */
export interface Chain {
  rpcUrl: string;
  contract: string;
  /** Undefined where EVM_KEY of the environment says where the key is. */
  privateKey: string | undefined;
  chainId: number;
  ours: boolean;
}

// The first account of every anvil and hardhat node: published, worth nothing, no secret.
const DEVELOPMENT_KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';

const CONTRACT_FILE = 'services/blockchain-forwarder/contracts/LedgerAnchor.json';
const LATEST = parseAbi(['function latest() view returns (uint256 batchId)']);
const contractSchema = z.looseObject({ abi: z.array(z.unknown()), bytecode: z.string(), deployedBytecode: z.string() });

/**
 * The chain: EVM_RPC_URL when given, otherwise an anvil of our own that keeps its blocks in the instance's folder.
 * Deploys the LedgerAnchor contract where EVM_CONTRACT does not name one and the chain does not have ours yet.
 * @param databaseUrl where the ledger is
 */
export async function startChain(instance: Instance, databaseUrl: string): Promise<Chain> {
  const given = process.env.EVM_RPC_URL;
  const rpcUrl = given ?? `http://127.0.0.1:${instance.ports.chain}`;
  if (!given) startAnvil(instance);
  const client = createPublicClient({ transport: http(rpcUrl, { retryCount: 0 }) });
  const chainId = await firstAnswer(
    () => client.getChainId(),
    given
      ? 'EVM_RPC_URL is set, but that chain does not answer'
      : `anvil does not come up (see ${logFile(instance, 'chain')})`,
  );
  const { EVM_KEY: reference, EVM_CONTRACT: named } = process.env;
  const privateKey = process.env.EVM_PRIVATE_KEY ?? (given || reference ? undefined : DEVELOPMENT_KEY);
  if (!privateKey && !(reference && named)) {
    throw new Failure(
      'A chain or key of your own needs EVM_PRIVATE_KEY, the key of the account that pays; or EVM_KEY, which says where the key is, and EVM_CONTRACT.',
    );
  }
  const anchored = (contract: string): Promise<number> => lastAnchored(databaseUrl, `${chainId}/${contract}`);
  const contract = named ?? (await ensureContract(instance, rpcUrl, privateKey ?? '', anchored));
  return { rpcUrl, contract, privateKey, chainId, ours: !given };
}

function startAnvil(instance: Instance): void {
  const architecture = os.arch() === 'x64' ? 'amd64' : os.arch();
  const anvil = path.join(
    root,
    'node_modules',
    '@foundry-rs',
    `anvil-${os.platform()}-${architecture}`,
    'bin',
    'anvil',
  );
  if (!fs.existsSync(anvil)) {
    throw new Failure(`There is no anvil for ${os.platform()}-${architecture}: set EVM_RPC_URL and EVM_PRIVATE_KEY.`);
  }
  const folder = path.join(instance.runDir, 'chain');
  fs.mkdirSync(folder, { recursive: true });
  // written every second: a receipt given out is on the chain again after a kill -9, short of that second
  const state = ['--state', path.join(folder, 'state.json'), '--state-interval', '1'];
  // what it calls final is two blocks behind, not 64: blocks come with transactions only
  const finality = ['--slots-in-an-epoch', '1'];
  const listen = ['--host', '127.0.0.1', '--port', String(instance.ports.chain)];
  startSupervised(instance, 'chain', [anvil, ...listen, ...finality, ...state]);
}

async function firstAnswer<T>(ask: () => Promise<T>, otherwise: string): Promise<T> {
  let answer: { value: T } | undefined;
  let last: unknown;
  await until(async () => {
    try {
      answer = { value: await ask() };
      return true;
    } catch (error) {
      last = error;
      return false;
    }
  }, 15_000);
  if (!answer) throw new Failure(`${otherwise}: ${last instanceof Error ? last.message.split('\n')[0] : String(last)}`);
  return answer.value;
}

/**
 * The address is kept in the instance's folder. A chain that does not have ours there (another chain, a lost one) gets a new
 * contract, and so does one that has forgotten a final anchor: anvil loses its last second when it is killed.
 */
async function ensureContract(
  instance: Instance,
  rpcUrl: string,
  privateKey: string,
  anchored: (contract: string) => Promise<number>,
): Promise<string> {
  const file = path.join(instance.runDir, 'chain-contract');
  const transport = http(rpcUrl);
  const reader = createPublicClient({ transport, pollingInterval: 200 });
  const known = fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim() : '';
  const { abi, bytecode, deployedBytecode } = contractSchema.parse(
    JSON.parse(fs.readFileSync(path.join(root, CONTRACT_FILE), 'utf8')),
  );
  if (isAddress(known) && (await reader.getCode({ address: known })) === deployedBytecode) {
    const latest = await reader.readContract({ address: known, abi: LATEST, functionName: 'latest' });
    if (latest >= (await anchored(known))) return known;
    say('the chain was killed, and has forgotten its last anchors: a new contract gets all batches');
  }

  const account = privateKeyToAccount(hex(privateKey));
  const wallet = createWalletClient({ transport, account });
  const hash = await wallet.deployContract({ abi, bytecode: hex(bytecode), args: [account.address], chain: null });
  const receipt = await reader.waitForTransactionReceipt({ hash, timeout: 60_000 });
  const address: Address | null | undefined = receipt.contractAddress;
  if (!address)
    throw new Failure(`The chain at EVM_RPC_URL did not take the LedgerAnchor contract (transaction ${hash}).`);
  fs.mkdirSync(instance.runDir, { recursive: true });
  fs.writeFileSync(file, address);
  return address;
}

/** The last batch that the forwarder knows to be final at a place (`chain id/contract`); 0 when there is none. */
async function lastAnchored(databaseUrl: string, place: string): Promise<number> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows: tables } = await client.query<{ there: boolean }>(`SELECT to_regclass('state') IS NOT NULL AS there`);
    if (!tables[0]?.there) return 0;
    const { rows } = await client.query<{ last: number }>(
      `SELECT coalesce(max((delivery ->> 'batchId')::int), 0) AS last
         FROM state CROSS JOIN LATERAL (SELECT convert_from(value, 'UTF8')::jsonb) AS parsed (delivery)
         WHERE key LIKE 'blockchain-forwarder||delivery:%'
           AND lower(delivery ->> 'place') = lower($1) AND delivery ->> 'stage' = 'finalized'`,
      [place],
    );
    return rows[0]?.last ?? 0;
  } finally {
    await client.end();
  }
}

function hex(text: string): Hex {
  return text.startsWith('0x') ? (text as Hex) : `0x${text}`;
}
