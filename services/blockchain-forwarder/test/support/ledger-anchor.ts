import {
  BaseError,
  ContractFunctionRevertedError,
  createPublicClient,
  createTestClient,
  createWalletClient,
  http,
  parseAbi,
  parseEventLogs,
  type Abi,
  type Address,
  type ContractFunctionArgs,
  type Hex,
} from 'viem';
import { anvil } from 'viem/chains';
import { artifactOf } from './artifacts';
import { OWNER_KEY, RECORDER_KEY, STRANGER_KEY, accountOf, type TestChain } from './anvil';

/** Written by hand, so that a change of the contract's interface is seen; a test compares it with the compiled one. */
export const ledgerAnchorAbi = parseAbi([
  'struct Anchor { bytes32 root; uint64 firstSequence; uint32 count; uint64 blockNumber; uint64 time; }',
  'constructor(address initialAnchorer)',
  'function anchor(uint256 batchId, bytes32 root, uint64 firstSequence, uint32 count, bytes32 previousRoot)',
  'function anchorOf(uint256 batchId) view returns (Anchor)',
  'function latest() view returns (uint256 batchId, Anchor last)',
  'function RECENT() view returns (uint256)',
  'function owner() view returns (address)',
  'function ownerNominee() view returns (address)',
  'function nominateOwner(address nominee)',
  'function withdrawOwnerNomination()',
  'function acceptOwnerNomination()',
  'function anchorer() view returns (address)',
  'function anchorerNominee() view returns (address)',
  'function nominateAnchorer(address nominee)',
  'function withdrawAnchorerNomination()',
  'function acceptAnchorerNomination()',
  'event BatchAnchored(uint256 indexed batchId, bytes32 root, uint64 firstSequence, uint32 count, bytes32 previousRoot)',
  'event OwnerNominated(address indexed owner, address indexed nominee)',
  'event OwnerNominationWithdrawn(address indexed nominee)',
  'event OwnerChanged(address indexed previous, address indexed next)',
  'event AnchorerNominated(address indexed anchorer, address indexed nominee)',
  'event AnchorerNominationWithdrawn(address indexed nominee)',
  'event AnchorerChanged(address indexed previous, address indexed next)',
  'error NotOwner(address caller)',
  'error NotAnchorer(address caller)',
  'error NotNominated(address caller)',
  'error NothingNominated()',
  'error ZeroAddress()',
  'error BatchKnown(uint256 batchId, uint256 latest)',
  'error WrongBatchId(uint256 batchId, uint256 expected)',
  'error EmptyBatch(uint256 batchId)',
  'error ZeroRoot(uint256 batchId)',
  'error WrongPreviousRoot(bytes32 previousRoot, bytes32 expected)',
  'error WrongFirstSequence(uint64 firstSequence, uint64 expected)',
  'error BatchUnknown(uint256 batchId, uint256 latest)',
  'error BatchInEventsOnly(uint256 batchId, uint256 oldestHeld)',
]);

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
export async function deployLedgerAnchor(chain: TestChain, anchorer = ANCHORER) {
  const transport = http(chain.rpcUrl);
  const reader = createPublicClient({ chain: anvil, transport, pollingInterval: 10, cacheTime: 0 });
  const tester = createTestClient({ chain: anvil, mode: 'anvil', transport });
  const wallet = createWalletClient({ chain: anvil, transport });
  const { bytecode } = artifactOf('LedgerAnchor');
  const abi = ledgerAnchorAbi;

  const deployed = await reader.waitForTransactionReceipt({
    hash: await wallet.deployContract({ abi, bytecode: bytecode as Hex, args: [anchorer], account: OWNER }),
  });
  const address = deployed.contractAddress!;
  const told = (logs: typeof deployed.logs): Told[] =>
    parseEventLogs({ abi, logs }).map(({ eventName, args }) => ({ name: eventName, args }));

  return {
    address,
    reader,
    tester,
    deployment: { gasUsed: deployed.gasUsed, events: told(deployed.logs) },

    /** Mined, also when it is refused. */
    async send<N extends Write>(from: Address, functionName: N, args: WriteArgs<N>) {
      const request = { abi: abi as Abi, address, functionName, args, account: from, gas: 500_000n };
      const hash = await wallet.writeContract(request as never);
      const receipt = await reader.waitForTransactionReceipt({ hash });
      return { ...receipt, events: told(receipt.logs) };
    },

    /** The error, with its arguments, by which a call is refused; undefined when it is not. */
    async refusal(from: Address, functionName: Write | View, args: readonly unknown[]): Promise<Told | undefined> {
      try {
        await reader.simulateContract({ abi: abi as Abi, address, functionName, args, account: from });
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

export type LedgerOnChain = Awaited<ReturnType<typeof deployLedgerAnchor>>;
