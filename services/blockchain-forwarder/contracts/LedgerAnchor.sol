// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title The chain's side of the usage ledger: the Merkle roots of its batches, one after the other, without a gap.
/// @notice The records stay off chain. Whoever holds one, and its path through the batch's tree, computes the root and
/// asks the chain for it: by `anchorOf` for the last `RECENT` batches, and for every batch ever by the event
/// `BatchAnchored`, which a receipt finds with `eth_getLogs` of the one block that it names.
///
/// Nobody, owner and anchorer included, can change or remove an anchor, skip one or put one between two others: an id
/// follows the id before it, a batch names the root before it, and its first sequence is the one after the last.
///
/// @dev Why old anchors are in events only: a new slot costs 22,100 gas. With the transaction's 21,000, its calldata,
/// its log and the slot that holds the order, that is more than the 50,000 that a batch may cost. Writing over a slot
/// costs 5,000, so the last anchors lie in a ring that the constructor fills, and no batch ever opens a slot. 128 is
/// more than the batches between two steps of Ethereum's finality (384 s, 77 batches of 5 s): who calls `anchorOf` at
/// each `finalized` block meets every batch.
contract LedgerAnchor {
    /// Two slots.
    struct Anchor {
        bytes32 root;
        /// Place of the batch's first record in the ledger, counted from 1.
        uint64 firstSequence;
        /// How many records the batch has.
        uint32 count;
        uint64 blockNumber;
        uint64 time;
    }

    /// One slot, so that caller and order cost one read and one write.
    struct Head {
        address anchorer;
        uint32 batchId;
        uint64 nextSequence;
    }

    /// For how many of the latest batches `anchorOf` answers.
    uint256 public constant RECENT = 128;

    /// Batch n lies at n % RECENT.
    Anchor[RECENT] private ring;
    Head private head;

    /// Names owner and anchorer, and can do nothing else. There is no way to be without one.
    address public owner;
    address public ownerNominee;
    address public anchorerNominee;

    event BatchAnchored(
        uint256 indexed batchId,
        bytes32 root,
        uint64 firstSequence,
        uint32 count,
        bytes32 previousRoot
    );

    event OwnerNominated(address indexed owner, address indexed nominee);
    event OwnerNominationWithdrawn(address indexed nominee);
    event OwnerChanged(address indexed previous, address indexed next);
    event AnchorerNominated(address indexed anchorer, address indexed nominee);
    event AnchorerNominationWithdrawn(address indexed nominee);
    event AnchorerChanged(address indexed previous, address indexed next);

    error NotOwner(address caller);
    error NotAnchorer(address caller);
    error NotNominated(address caller);
    error NothingNominated();
    error ZeroAddress();

    /// The batch is anchored already; nothing was changed.
    error BatchKnown(uint256 batchId, uint256 latest);
    error WrongBatchId(uint256 batchId, uint256 expected);
    error EmptyBatch(uint256 batchId);
    error ZeroRoot(uint256 batchId);
    error WrongPreviousRoot(bytes32 previousRoot, bytes32 expected);
    error WrongFirstSequence(uint64 firstSequence, uint64 expected);

    error BatchUnknown(uint256 batchId, uint256 latest);
    /// The batch is anchored, but so long ago that only its event tells of it.
    error BatchInEventsOnly(uint256 batchId, uint256 oldestHeld);

    modifier onlyOwner() {
        if (msg.sender != owner) revert NotOwner(msg.sender);
        _;
    }

    /// Whoever deploys is the owner.
    constructor(address initialAnchorer) {
        if (initialAnchorer == address(0)) revert ZeroAddress();
        owner = msg.sender;
        head = Head(initialAnchorer, 0, 1);
        // opens every slot of the ring; no view shows this filling
        for (uint256 i = 0; i < RECENT; ++i) ring[i] = Anchor(bytes32(uint256(1)), 1, 0, 0, 0);
        emit OwnerChanged(address(0), msg.sender);
        emit AnchorerChanged(address(0), initialAnchorer);
    }

    /// @param batchId 1 for the first batch, then one more each time
    /// @param root of the batch's tree
    /// @param firstSequence 1 for the first batch, then the one before's firstSequence + count
    /// @param count how many records the batch has
    /// @param previousRoot root of the batch before; zero for the first
    function anchor(
        uint256 batchId,
        bytes32 root,
        uint64 firstSequence,
        uint32 count,
        bytes32 previousRoot
    ) external {
        Head memory last = head;
        if (msg.sender != last.anchorer) revert NotAnchorer(msg.sender);

        uint256 expectedId = uint256(last.batchId) + 1;
        if (batchId != expectedId) {
            if (batchId != 0 && batchId < expectedId) revert BatchKnown(batchId, last.batchId);
            revert WrongBatchId(batchId, expectedId);
        }
        if (count == 0) revert EmptyBatch(batchId);
        if (root == 0) revert ZeroRoot(batchId);
        bytes32 expectedRoot = last.batchId == 0 ? bytes32(0) : ring[last.batchId % RECENT].root;
        if (previousRoot != expectedRoot) revert WrongPreviousRoot(previousRoot, expectedRoot);
        if (firstSequence != last.nextSequence) revert WrongFirstSequence(firstSequence, last.nextSequence);

        head = Head(last.anchorer, last.batchId + 1, firstSequence + count);
        ring[batchId % RECENT] = Anchor(root, firstSequence, count, uint64(block.number), uint64(block.timestamp));
        emit BatchAnchored(batchId, root, firstSequence, count, previousRoot);
    }

    /// One of the last `RECENT` batches. An older one is refused, since zeros would deny an anchor that exists.
    function anchorOf(uint256 batchId) external view returns (Anchor memory) {
        uint256 last = head.batchId;
        if (batchId == 0 || batchId > last) revert BatchUnknown(batchId, last);
        if (last - batchId >= RECENT) revert BatchInEventsOnly(batchId, last - RECENT + 1);
        return ring[batchId % RECENT];
    }

    /// All zero while no batch is anchored.
    function latest() external view returns (uint256 batchId, Anchor memory last) {
        batchId = head.batchId;
        if (batchId != 0) last = ring[batchId % RECENT];
    }

    function anchorer() external view returns (address) {
        return head.anchorer;
    }

    /// Replaces a nomination that is not accepted yet.
    function nominateOwner(address nominee) external onlyOwner {
        if (nominee == address(0)) revert ZeroAddress();
        clearOwnerNominee();
        ownerNominee = nominee;
        emit OwnerNominated(msg.sender, nominee);
    }

    function withdrawOwnerNomination() external onlyOwner {
        if (ownerNominee == address(0)) revert NothingNominated();
        clearOwnerNominee();
    }

    /// What the owner before had nominated for anchorer falls: the new owner chooses.
    function acceptOwnerNomination() external {
        mustBe(ownerNominee);
        emit OwnerChanged(owner, msg.sender);
        owner = msg.sender;
        ownerNominee = address(0);
        clearAnchorerNominee();
    }

    /// Replaces a nomination that is not accepted yet. The anchorer stays until the nominee accepts.
    function nominateAnchorer(address nominee) external onlyOwner {
        if (nominee == address(0)) revert ZeroAddress();
        clearAnchorerNominee();
        anchorerNominee = nominee;
        emit AnchorerNominated(head.anchorer, nominee);
    }

    function withdrawAnchorerNomination() external onlyOwner {
        if (anchorerNominee == address(0)) revert NothingNominated();
        clearAnchorerNominee();
    }

    function acceptAnchorerNomination() external {
        mustBe(anchorerNominee);
        emit AnchorerChanged(head.anchorer, msg.sender);
        head.anchorer = msg.sender;
        anchorerNominee = address(0);
    }

    function mustBe(address nominee) private view {
        if (nominee == address(0) || msg.sender != nominee) revert NotNominated(msg.sender);
    }

    function clearOwnerNominee() private {
        if (ownerNominee == address(0)) return;
        emit OwnerNominationWithdrawn(ownerNominee);
        ownerNominee = address(0);
    }

    function clearAnchorerNominee() private {
        if (anchorerNominee == address(0)) return;
        emit AnchorerNominationWithdrawn(anchorerNominee);
        anchorerNominee = address(0);
    }
}
