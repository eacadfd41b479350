import { createPublicClient, http, type Address, type Hex } from 'viem';
import { ledgerAnchorAbi } from '../../../services/blockchain-forwarder/test/support/ledger-anchor';

/** One `BatchAnchored` of the contract. */
export interface Anchored {
  batchId: number;
  root: Hex;
  firstSequence: number;
  count: number;
  previousRoot: Hex;
  transactionHash: Hex;
  blockHash: Hex;
}

/** All anchors that the contract ever told of, in the chain's order. */
export async function anchorsOn({ rpcUrl, contract }: { rpcUrl: string; contract: string }): Promise<Anchored[]> {
  const logs = await createPublicClient({ transport: http(rpcUrl) }).getContractEvents({
    address: contract as Address,
    abi: ledgerAnchorAbi,
    eventName: 'BatchAnchored',
    fromBlock: 0n,
    strict: true,
  });
  return logs.map(({ args, transactionHash, blockHash }) => ({
    ...args,
    batchId: Number(args.batchId),
    firstSequence: Number(args.firstSequence),
    transactionHash,
    blockHash,
  }));
}

/** Any question to a node. */
export async function askNode<T>(rpcUrl: string, method: string, ...params: unknown[]): Promise<T> {
  const response = await fetch(rpcUrl, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  });
  const { result, error } = (await response.json()) as { result: T; error?: { message: string } };
  if (error) throw new Error(`${method}: ${error.message}`);
  return result;
}
