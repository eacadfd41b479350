import { parseAbi, type Hex } from 'viem';

/** The part of contracts/LedgerAnchor.sol that the sink calls; a test compares it with the compiled contract. */
export const ledgerAnchorAbi = parseAbi([
  'struct Anchor { bytes32 root; uint64 firstSequence; uint32 count; uint64 blockNumber; uint64 time; }',
  'function anchor(uint256 batchId, bytes32 root, uint64 firstSequence, uint32 count, bytes32 previousRoot)',
  'function anchorOf(uint256 batchId) view returns (Anchor)',
  'function latest() view returns (uint256 batchId, Anchor last)',
  'function anchorer() view returns (address)',
  'event BatchAnchored(uint256 indexed batchId, bytes32 root, uint64 firstSequence, uint32 count, bytes32 previousRoot)',
  'error NotAnchorer(address caller)',
  'error BatchKnown(uint256 batchId, uint256 latest)',
  'error WrongBatchId(uint256 batchId, uint256 expected)',
  'error EmptyBatch(uint256 batchId)',
  'error ZeroRoot(uint256 batchId)',
  'error WrongPreviousRoot(bytes32 previousRoot, bytes32 expected)',
  'error WrongFirstSequence(uint64 firstSequence, uint64 expected)',
  'error BatchUnknown(uint256 batchId, uint256 latest)',
  'error BatchInEventsOnly(uint256 batchId, uint256 oldestHeld)',
]);

/** Of `deployedBytecode`; the contract has no immutables, so each one that is deployed has it. */
export const LEDGER_ANCHOR_CODE_HASH: Hex = '0x6e77c3ceb47f6b6fdf6d37ebf27f686e4dfe998d662c2b6e9a4506d2050a3c5c';

/** For how many of its latest batches the contract tells the block. */
export const RECENT = 128;
