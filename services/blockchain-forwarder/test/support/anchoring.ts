import { createPublicClient, createWalletClient, http, parseAbi, type Address, type Hex } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { anvil } from 'viem/chains';
import type { ReceiptBody } from '../../domain/receipt';
import { OWNER_KEY, type TestChain } from './anvil';

/** Tells what it is told, so that a test can have any anchor on a real chain. */
const SOURCE = `// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;
contract Anchors {
    event BatchAnchored(uint256 indexed batchId, bytes32 root, uint64 firstSequence, uint32 count, bytes32 previousRoot);
    function anchor(uint256 batchId, bytes32 root, uint64 firstSequence, uint32 count, bytes32 previousRoot) external {
        require(count > 0, "an empty batch");
        emit BatchAnchored(batchId, root, firstSequence, count, previousRoot);
    }
}`;
const abi = parseAbi(['function anchor(uint256, bytes32, uint64, uint32, bytes32)']);

export type Anchored = Pick<ReceiptBody, 'chainId' | 'contract' | 'transaction' | 'blockNumber' | 'blockHash'>;
type Batch = Pick<ReceiptBody, 'batchId' | 'root' | 'firstSequence' | 'treeSize' | 'previousRoot'>;

export async function anchorsOn(chain: TestChain) {
  const { default: solc } = await import('solc');
  const settings = { evmVersion: 'shanghai', outputSelection: { '*': { Anchors: ['evm.bytecode.object'] } } };
  const input = { language: 'Solidity', sources: { 'Anchors.sol': { content: SOURCE } }, settings };
  const { contracts } = JSON.parse(solc.compile(JSON.stringify(input)));
  const bytecode: Hex = `0x${contracts['Anchors.sol'].Anchors.evm.bytecode.object}`;
  const transport = http(chain.rpcUrl);
  const reader = createPublicClient({ chain: anvil, transport, pollingInterval: 20 });
  const wallet = createWalletClient({ account: privateKeyToAccount(OWNER_KEY), chain: anvil, transport });
  const deployed = await reader.waitForTransactionReceipt({ hash: await wallet.deployContract({ abi: [], bytecode }) });
  const contract = deployed.contractAddress as Address;

  return async (batch: Batch): Promise<Anchored> => {
    const hash = await wallet.writeContract({
      address: contract,
      abi,
      functionName: 'anchor',
      args: [
        BigInt(batch.batchId),
        batch.root as Hex,
        BigInt(batch.firstSequence),
        batch.treeSize,
        batch.previousRoot as Hex,
      ],
      // without asking first what it costs: also what fails is to be in a block
      gas: 200_000n,
    });
    const { blockNumber, blockHash } = await reader.waitForTransactionReceipt({ hash });
    const chainId = chain.chainId;
    return {
      chainId,
      contract: contract.toLowerCase(),
      transaction: hash,
      blockNumber: Number(blockNumber),
      blockHash,
    };
  };
}
