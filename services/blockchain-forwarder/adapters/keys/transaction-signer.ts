import {
  isAddressEqual,
  numberToHex,
  parseTransaction,
  recoverTransactionAddress,
  type Address,
  type Hex,
  type TransactionSerializedEIP1559,
} from 'viem';
import { privateKeyToAccount, type PrivateKeyAccount } from 'viem/accounts';
import { jsonRpc, RpcRefusal } from '../sinks/evm/json-rpc';
import { KeyUnusable, shownReference, type KeyReference } from './reference';
import { readSecret, type ReadableReference, type SecretSources } from './secret-text';

/** A transaction with everything but a signature. */
export interface Unsigned {
  chainId: number;
  nonce: number;
  to: Address;
  data: Hex;
  gas: bigint;
  maxFeePerGas: bigint;
  maxPriorityFeePerGas: bigint;
}

/** Signs for one account. Reads its key when it is first needed, and shows it to nobody. */
export interface TransactionSigner {
  /** @throws KeyUnusable with the cure @throws KeyUnavailable */
  address(): Promise<Address>;
  /** @throws KeyUnusable with the cure @throws KeyUnavailable */
  sign(transaction: Unsigned): Promise<Hex>;
}

const SIGNER_TIMEOUT_MS = 5_000;

export function transactionSigner(reference: KeyReference, sources: SecretSources): TransactionSigner {
  return reference.kind === 'rpc' ? new ExternalSigner(reference) : new LocalSigner(reference, sources);
}

class LocalSigner implements TransactionSigner {
  // not a plain field: whatever prints the signer would print the key
  #account: PrivateKeyAccount | undefined;
  readonly #sources: SecretSources;

  constructor(
    private readonly reference: ReadableReference,
    sources: SecretSources,
  ) {
    this.#sources = sources;
  }

  async address(): Promise<Address> {
    return (await this.account()).address;
  }

  async sign(transaction: Unsigned): Promise<Hex> {
    return (await this.account()).signTransaction({ ...transaction, type: 'eip1559' });
  }

  private async account(): Promise<PrivateKeyAccount> {
    return (this.#account ??= accountOf(await readSecret(this.reference, this.#sources), this.reference));
  }
}

function accountOf(key: string, reference: ReadableReference): PrivateKeyAccount {
  const [, digits] = /^(?:0x)?([0-9a-fA-F]{64})$/.exec(key) ?? [];
  try {
    if (digits !== undefined) return privateKeyToAccount(`0x${digits}`);
  } catch {
    // out of the curve's range; the library's message holds the key
  }
  throw new KeyUnusable(`${shownReference(reference)} holds no key of an account: it is 64 hexadecimal digits`);
}

class ExternalSigner implements TransactionSigner {
  // its URL may hold a password
  readonly #rpc;
  private readonly account: Address;
  private readonly shown: string;

  constructor(reference: Extract<KeyReference, { kind: 'rpc' }>) {
    this.#rpc = jsonRpc(reference.url, SIGNER_TIMEOUT_MS);
    this.account = reference.address as Address;
    this.shown = shownReference(reference);
  }

  async address(): Promise<Address> {
    const accounts = await this.ask('eth_accounts');
    const offered = Array.isArray(accounts) ? (accounts as unknown[]).map(String) : [];
    if (!offered.some((each) => each.toLowerCase() === this.account.toLowerCase()))
      throw new KeyUnusable(`${this.shown} does not offer this account; unlock or name another`);
    return this.account;
  }

  async sign(transaction: Unsigned): Promise<Hex> {
    const answer = await this.ask('eth_signTransaction', {
      from: this.account,
      to: transaction.to,
      data: transaction.data,
      value: '0x0',
      type: '0x2',
      chainId: numberToHex(transaction.chainId),
      nonce: numberToHex(transaction.nonce),
      gas: numberToHex(transaction.gas),
      maxFeePerGas: numberToHex(transaction.maxFeePerGas),
      maxPriorityFeePerGas: numberToHex(transaction.maxPriorityFeePerGas),
    });
    // geth answers {raw, tx}, others the bytes alone
    const raw = typeof answer === 'object' && answer !== null && 'raw' in answer ? answer.raw : answer;
    if (!(await isSigned(raw, transaction, this.account)))
      throw new KeyUnusable(`${this.shown} signed something else than it was given; look into it`);
    return raw as Hex;
  }

  private async ask(method: string, ...params: unknown[]): Promise<unknown> {
    return this.#rpc.ask(method, ...params).catch((error: unknown) => {
      if (error instanceof RpcRefusal) throw new KeyUnusable(`${this.shown} refuses ${method}: ${error.reason}`);
      throw new KeyUnusable(`${this.shown} does not answer; start it or name another`);
    });
  }
}

async function isSigned(raw: unknown, asked: Unsigned, account: Address): Promise<boolean> {
  try {
    const serializedTransaction = raw as TransactionSerializedEIP1559;
    const given = parseTransaction(serializedTransaction);
    const isSame =
      given.chainId === asked.chainId &&
      (given.nonce ?? 0) === asked.nonce &&
      given.data === asked.data &&
      given.gas === asked.gas &&
      given.maxFeePerGas === asked.maxFeePerGas &&
      (given.maxPriorityFeePerGas ?? 0n) === asked.maxPriorityFeePerGas &&
      (given.value ?? 0n) === 0n &&
      given.to?.toLowerCase() === asked.to.toLowerCase();
    return isSame && isAddressEqual(await recoverTransactionAddress({ serializedTransaction }), account);
  } catch {
    return false;
  }
}
