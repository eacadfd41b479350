import {
  BaseError,
  ContractFunctionRevertedError,
  concat,
  createPublicClient,
  createTestClient,
  encodeFunctionData,
  formatTransactionReceipt,
  http,
  numberToHex,
  pad,
  parseAbi,
  parseEventLogs,
  type Abi,
  type Address,
  type ContractFunctionArgs,
  type Hex,
  type PublicClient,
  type RpcTransactionReceipt,
  type TransactionReceipt,
} from 'viem';
import { anvil } from 'viem/chains';
import { ledgerAnchorAbi as sinkAbi } from '../../adapters/sinks/evm/ledger-anchor-abi';
import { artifactOf } from './artifacts';
import { OWNER_KEY, RECORDER_KEY, STRANGER_KEY, accountOf, type TestChain } from './anvil';

/** Written by hand, so that a change of the contract's interface is seen; a test compares it with the compiled one. */
export const ledgerAnchorAbi = [
  ...sinkAbi,
  ...parseAbi([
    'constructor(address initialAnchorer)',
    'function RECENT() view returns (uint256)',
    'function owner() view returns (address)',
    'function ownerNominee() view returns (address)',
    'function nominateOwner(address nominee)',
    'function withdrawOwnerNomination()',
    'function acceptOwnerNomination()',
    'function anchorerNominee() view returns (address)',
    'function nominateAnchorer(address nominee)',
    'function withdrawAnchorerNomination()',
    'function acceptAnchorerNomination()',
    'event OwnerNominated(address indexed owner, address indexed nominee)',
    'event OwnerNominationWithdrawn(address indexed nominee)',
    'event OwnerChanged(address indexed previous, address indexed next)',
    'event AnchorerNominated(address indexed anchorer, address indexed nominee)',
    'event AnchorerNominationWithdrawn(address indexed nominee)',
    'event AnchorerChanged(address indexed previous, address indexed next)',
    'error NotOwner(address caller)',
    'error NotNominated(address caller)',
    'error NothingNominated()',
    'error ZeroAddress()',
  ]),
] as const;

export const OWNER = accountOf(OWNER_KEY);
export const ANCHORER = accountOf(RECORDER_KEY);
export const NOMINEE = accountOf(STRANGER_KEY);
/** Anvil's fourth account. */
export const STRANGER: Address = '0x90F79bf6EB2c4f870365E785982E1f101E93b906';
export const NOBODY: Address = '0x0000000000000000000000000000000000000000';
export const ZERO_ROOT: Hex = `0x${'0'.repeat(64)}`;

type Role = 'Owner' | 'Anchorer';
export type Write = 'anchor' | `nominate${Role}` | `withdraw${Role}Nomination` | `accept${Role}Nomination`;
type View = 'anchorOf' | 'latest' | 'RECENT' | 'owner' | 'ownerNominee' | 'anchorer' | 'anchorerNominee';
export type WriteArgs<N extends Write> = ContractFunctionArgs<typeof ledgerAnchorAbi, 'nonpayable', N>;

export interface Told {
  name: string;
  args: unknown;
}

/** LedgerAnchor on a test chain. Anvil signs for its own accounts, so a caller is no more than an address. */
export async function deployLedgerAnchor(chain: TestChain) {
  const transport = http(chain.rpcUrl, { batch: { batchSize: 1000 } });
  const reader = createPublicClient({ chain: anvil, transport, cacheTime: 0 });
  const tester = createTestClient({ chain: anvil, mode: 'anvil', transport });
  const abi = ledgerAnchorAbi;
  const anyAbi: Abi = abi;
  const call = { from: OWNER, data: creationCode(ANCHORER), gas: numberToHex(8_000_000) };
  const deployed = await mined(reader, call);
  const address = deployed.contractAddress!;
  const told = (logs: typeof deployed.logs): Told[] =>
    parseEventLogs({ abi, logs }).map(({ eventName, args }) => ({ name: eventName, args }));
  const request = (from: Address, functionName: Write, args: readonly unknown[]) => {
    const data = encodeFunctionData({ abi: anyAbi, functionName, args });
    return { from, to: address, data, gas: numberToHex(150_000) };
  };

  return {
    address,
    reader,
    tester,
    deployment: { gasUsed: deployed.gasUsed, events: told(deployed.logs) },

    /** Mined, also when it is refused. */
    async send<N extends Write>(from: Address, functionName: N, args: WriteArgs<N>) {
      const receipt = await mined(reader, request(from, functionName, args as readonly unknown[]));
      return { ...receipt, events: told(receipt.logs) };
    },

    /** The anchorer's batches, all in one block. */
    async anchorInOneBlock(batches: WriteArgs<'anchor'>[]): Promise<TransactionReceipt[]> {
      const first = await reader.getTransactionCount({ address: ANCHORER });
      await chain.automine(false);
      const sent = batches.map((args, n) => ({ ...request(ANCHORER, 'anchor', args), nonce: numberToHex(first + n) }));
      const hashes = await Promise.all(sent.map((each) => rpc<Hex>(reader, 'eth_sendTransaction', each)));
      await chain.mine();
      await chain.automine(true);
      return Promise.all(hashes.map((hash) => reader.getTransactionReceipt({ hash })));
    },

    /** The error, with its arguments, by which a call is refused; undefined when it is not. */
    async refusal(from: Address, functionName: Write | View, args: readonly unknown[]): Promise<Told | undefined> {
      try {
        await reader.simulateContract({ abi: anyAbi, address, functionName, args, account: from });
        return undefined;
      } catch (error) {
        const reverted =
          error instanceof BaseError && error.walk((cause) => cause instanceof ContractFunctionRevertedError);
        if (!(reverted instanceof ContractFunctionRevertedError) || !reverted.data) throw error;
        return { name: reverted.data.errorName, args: reverted.data.args ?? [] };
      }
    },

    latest: () => reader.readContract({ abi, address, functionName: 'latest' }),
    anchorOf: (batchId: bigint) => reader.readContract({ abi, address, functionName: 'anchorOf', args: [batchId] }),
    role: (functionName: 'owner' | 'ownerNominee' | 'anchorer' | 'anchorerNominee') =>
      reader.readContract({ abi, address, functionName }),
  };
}

export function creationCode(anchorer: Address): Hex {
  return concat([artifactOf('LedgerAnchor').bytecode as Hex, pad(anchorer)]);
}

async function rpc<T>(client: PublicClient, method: string, params: unknown): Promise<T> {
  const answer: unknown = await client.request({ method: method as never, params: [params] as never });
  return answer as T;
}

/** Sends and answers with the receipt at once: anvil mines each transaction in a block of its own. */
export async function mined(client: PublicClient, call: { from: Address; data: Hex }): Promise<TransactionReceipt> {
  return formatTransactionReceipt(await rpc<RpcTransactionReceipt>(client, 'eth_sendTransactionSync', call));
}

export type LedgerOnChain = Awaited<ReturnType<typeof deployLedgerAnchor>>;
