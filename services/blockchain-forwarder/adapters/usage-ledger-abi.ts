import { parseAbi } from 'viem';

/** The part of contracts/UsageLedger.sol that the sink calls; a test compares it with the compiled contract. */
export const usageLedgerAbi = parseAbi([
  'struct Entry { uint64 blockNumber; uint64 time; uint64 sequence; }',
  'function record(bytes32[] usageHashes)',
  'function recordedAt(bytes32 usageHash) view returns (Entry)',
  'function recordedAtAll(bytes32[] usageHashes) view returns (Entry[] found)',
  'event UsageRecorded(bytes32 indexed usageHash, uint64 indexed sequence, address indexed recorder)',
  'error NotAllowed(address caller)',
]);
