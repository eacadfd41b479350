import { formatEther, isAddressEqual, keccak256, type Address } from 'viem';
import { present } from '../../../domain/fees';
import { SinkMisconfigured, SinkUnavailable } from '../../../ports/ledger-sink';
import { KeyUnavailable, KeyUnusable } from '../../keys/reference';
import type { TransactionSigner } from '../../keys/transaction-signer';
import { anchorerOf, answered, block, bytes, calls, GAS, quantity } from './chain';
import { RpcRefusal, RpcSilence, type JsonRpc } from './json-rpc';
import { LEDGER_ANCHOR_CODE_HASH } from './ledger-anchor-abi';

interface Configured {
  rpc: JsonRpc;
  signer: TransactionSigner;
  chainId: number;
  contract: Address;
  maxFeePerGas: bigint;
}

/**
 * Whether anchors can be sent as configured.
 * @throws SinkMisconfigured a sentence with the cure @throws SinkUnavailable
 */
export async function checkChain(configured: Configured): Promise<void> {
  const { rpc, chainId, contract } = configured;
  try {
    const actual = Number(quantity.parse(await rpc.ask('eth_chainId')));
    if (actual !== chainId)
      throw new SinkMisconfigured(`the node is on chain ${actual}, not ${chainId}; set EVM_CHAIN_ID or EVM_RPC_URL`);
    const code = bytes.parse(await rpc.ask('eth_getCode', contract, 'latest'));
    if (code === '0x') throw new SinkMisconfigured(`no contract is at ${contract} on chain ${chainId}; ${DEPLOY}`);
    if (keccak256(code) !== LEDGER_ANCHOR_CODE_HASH)
      throw new SinkMisconfigured(`the contract at ${contract} on chain ${chainId} is not LedgerAnchor; ${DEPLOY}`);
    await checkAccount(configured, await addressOf(configured.signer));
  } catch (error) {
    if (error instanceof SinkMisconfigured || error instanceof SinkUnavailable) throw error;
    const reason = error instanceof RpcSilence || error instanceof RpcRefusal ? error.message : 'it cannot be read';
    throw new SinkUnavailable(`the node of chain ${chainId} cannot be asked: ${reason}`);
  }
}

const DEPLOY = 'deploy LedgerAnchor there (see the README of blockchain-forwarder) or set EVM_CONTRACT';

async function addressOf(signer: TransactionSigner): Promise<Address> {
  return signer.address().catch((error: unknown) => {
    if (error instanceof KeyUnusable) throw new SinkMisconfigured(`EVM_KEY: ${error.message}`);
    if (error instanceof KeyUnavailable) throw new SinkUnavailable(`EVM_KEY: ${error.message}`);
    throw error;
  });
}

async function checkAccount({ rpc, chainId, contract, maxFeePerGas }: Configured, account: Address): Promise<void> {
  const [anchorer, balance, head, tip] = await rpc.askAll([
    calls.anchorer(contract),
    { method: 'eth_getBalance', params: [account, 'latest'] },
    calls.block('latest'),
    calls.tip,
  ]);
  const actual = anchorerOf(answered(anchorer));
  if (!isAddressEqual(actual, account)) {
    throw new SinkMisconfigured(
      `${account} is not the anchorer of ${contract} on chain ${chainId}, which is ${actual}; set EVM_KEY, or let the contract's owner nominate it and accept`,
    );
  }
  const market = {
    baseFee: block.parse(answered(head)).baseFeePerGas ?? 0n,
    tip: tip instanceof RpcRefusal ? 0n : quantity.parse(tip),
  };
  const asked = present(market).maxFeePerGas;
  const cost = GAS * (asked < maxFeePerGas ? asked : maxFeePerGas);
  const has = quantity.parse(answered(balance));
  if (has < cost) {
    throw new SinkMisconfigured(
      `${account} has ${formatEther(has)} of chain ${chainId}'s currency, and a transaction may cost ${formatEther(cost)} at the present fee; send it funds`,
    );
  }
}
