// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// A list of usage hashes that only grows. What a hash stands for stays off chain; whoever holds a usage record
/// can recompute its hash and see here since when it has been unchanged.
contract UsageLedger {
    /// One storage slot a hash.
    struct Entry {
        uint64 blockNumber;
        uint64 time;
        /// Place in the ledger, counted from 1; 0 means that the hash is unknown.
        uint64 sequence;
    }

    /// Appoints the recorder. Fixed at deployment.
    address public immutable owner;
    /// May record beside the owner.
    address public recorder;
    /// How many hashes are recorded.
    uint64 public count;

    mapping(bytes32 usageHash => Entry) private entries;

    event UsageRecorded(bytes32 indexed usageHash, uint64 indexed sequence, address indexed recorder);
    event RecorderChanged(address indexed previous, address indexed next);

    error NotAllowed(address caller);

    constructor(address initialRecorder) {
        owner = msg.sender;
        recorder = initialRecorder;
        emit RecorderChanged(address(0), initialRecorder);
    }

    function setRecorder(address next) external {
        if (msg.sender != owner) revert NotAllowed(msg.sender);
        emit RecorderChanged(recorder, next);
        recorder = next;
    }

    /// Records every hash that is not known yet. A known one is passed over, never overwritten, so a batch that is
    /// sent again, whole or in part, changes nothing.
    function record(bytes32[] calldata usageHashes) external {
        if (msg.sender != recorder && msg.sender != owner) revert NotAllowed(msg.sender);
        uint64 last = count;
        for (uint256 i = 0; i < usageHashes.length; ++i) {
            bytes32 usageHash = usageHashes[i];
            if (entries[usageHash].sequence != 0) continue;
            entries[usageHash] = Entry(uint64(block.number), uint64(block.timestamp), ++last);
            emit UsageRecorded(usageHash, last, msg.sender);
        }
        count = last;
    }

    /// All zero for a hash that is not in the ledger.
    function recordedAt(bytes32 usageHash) external view returns (Entry memory) {
        return entries[usageHash];
    }

    /// The same for many hashes, in their order.
    function recordedAtAll(bytes32[] calldata usageHashes) external view returns (Entry[] memory found) {
        found = new Entry[](usageHashes.length);
        for (uint256 i = 0; i < usageHashes.length; ++i) found[i] = entries[usageHashes[i]];
    }
}
