import { createPublicClient, createTestClient, encodeFunctionData, http, numberToHex } from 'viem';
import { anvil } from 'viem/chains';
import { toHex } from '../../domain/bytes';
import { partsOf, receiptBodyOf, type ReceiptBody, type ReceiptParts } from '../../domain/receipt';
import type { TestChain } from './anvil';
import { ANCHORER, OWNER, ZERO_ROOT, creationCode, ledgerAnchorAbi as abi, mined } from './ledger-anchor';
import { receiptBody } from './receipts';

/** Anchors the batches of receipts, one after the other, in a LedgerAnchor of its own on a real chain. */
export async function anchorsOn(chain: TestChain) {
  const transport = http(chain.rpcUrl);
  const reader = createPublicClient({ chain: anvil, transport, cacheTime: 0 });
  const tester = createTestClient({ chain: anvil, mode: 'anvil', transport });
  const deployment = { from: OWNER, data: creationCode(ANCHORER), gas: numberToHex(8_000_000) };
  const deployed = await mined(reader, deployment);
  const contract = deployed.contractAddress!;

  /** What a receipt says after its batch was anchored. @param count 0 makes the contract refuse the batch */
  async function anchor(body: ReceiptBody, count = body.treeSize): Promise<ReceiptBody> {
    const { root, leafIndex } = partsOf(body);
    const [batchId, last] = await reader.readContract({ abi, address: contract, functionName: 'latest' });
    const firstSequence = batchId === 0n ? 1n : last.firstSequence + BigInt(last.count);
    const previousRoot = batchId === 0n ? ZERO_ROOT : last.root;
    const args = [batchId + 1n, `0x${toHex(root)}`, firstSequence, count, previousRoot] as const;
    const data = encodeFunctionData({ abi, functionName: 'anchor', args });
    const call = { from: ANCHORER, to: contract, data, gas: numberToHex(200_000) };
    const { transactionHash, blockHash } = await mined(reader, call);
    const place: Partial<ReceiptParts> = { transaction: transactionHash, block: blockHash, contract };
    return receiptBodyOf({ ...partsOf(body), ...place, sequence: Number(firstSequence) + leafIndex });
  }

  return {
    reader,
    tester,
    contract,
    anchor,
    anchored: async (size: number, leafIndex: number) => anchor(await receiptBody(size, leafIndex)),
    /** Blocks on top, so that what lies below is final. */
    bury: () => tester.mine({ blocks: 100 }),
  };
}
