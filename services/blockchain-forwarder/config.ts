import { z } from 'zod';
import { baseConfig, ConfigError, readConfig } from '../../shared/process/config';
import { parseKeyReference, REFERENCE_FORMS, type KeyReference } from './adapters/keys/reference';

const hex = (bytes: number) =>
  z.custom<`0x${string}`>(
    (value) => typeof value === 'string' && new RegExp(`^0x[0-9a-fA-F]{${bytes * 2}}$`).test(value),
    `must be 0x and ${bytes * 2} hexadecimal digits`,
  );

// what is given may be a key that was put here by mistake: it is not shown
const keyReference = z.string().transform((text, context): KeyReference => {
  const reference = parseKeyReference(text);
  if (reference) return reference;
  context.addIssue({ code: 'custom', message: `must be ${REFERENCE_FORMS}` });
  return z.NEVER;
});

const shape = {
  ...baseConfig,
  BLOCKCHAIN_SERVICE_URL: z
    .url({ protocol: /^https?$/ })
    .optional()
    .meta({ description: 'where the sink `http` posts usage records' }),
  BLOCKCHAIN_SERVICE_TOKEN: z.string().optional().meta({ description: 'its bearer token' }),
  BLOCKCHAIN_SERVICE_TIMEOUT_MS: z.coerce
    .number()
    .int()
    .min(100)
    .max(10_000)
    .default(10_000)
    .meta({ description: 'for one request' }),
  EVM_RPC_URL: z
    .url({ protocol: /^https?$/ })
    .optional()
    .meta({ description: "the chain's JSON-RPC: switches the sink `evm` on" }),
  EVM_CHAIN_ID: z.coerce
    .number()
    .int()
    .min(1)
    .optional()
    .meta({ description: 'the chain that must be behind EVM_RPC_URL' }),
  EVM_CONTRACT: hex(20).optional().meta({ description: 'address of the UsageLedger contract' }),
  EVM_KEY: keyReference.optional().meta({ description: "where the key of the contract's anchorer is" }),
  EVM_PRIVATE_KEY: hex(32).optional().meta({ description: 'that key itself, for development' }),
  EVM_STUCK_MS: z.coerce
    .number()
    .int()
    .min(100)
    .max(86_400_000)
    .default(60_000)
    .meta({ description: 'after which a transaction that is not mined offers more' }),
  EVM_MAX_FEE_GWEI: z.coerce
    .number()
    .min(0.001)
    .max(1_000_000)
    .default(200)
    .meta({ description: 'more than this is never offered for a unit of gas' }),
  EVM_CONFIRMATIONS: z.coerce
    .number()
    .int()
    .min(1)
    .max(10_000)
    .optional()
    .meta({ description: 'blocks after which an anchor is final, where the chain knows no `finalized`' }),
  LEDGER_SIGNING_KEY: keyReference.optional().meta({ description: 'where the Ed25519 key is that signs receipts' }),
  LEDGER_RETIRED_KEYS: z.string().optional().meta({ description: 'file with a JWK set of keys that signed before' }),
  DELIVERY_BACK_OFF_CAP_MS: z.coerce
    .number()
    .int()
    .min(500)
    .max(3_600_000)
    .default(30_000)
    .meta({ description: 'longest wait between two attempts for a record' }),
};

const EVM = ['EVM_RPC_URL', 'EVM_CHAIN_ID', 'EVM_CONTRACT'] as const;

export type ForwarderConfig = ReturnType<typeof forwarderConfig>;

/** @throws ConfigError naming every fault; half a configuration of the chain is one */
export function forwarderConfig(environment: NodeJS.ProcessEnv) {
  const { EVM_RPC_URL, EVM_CHAIN_ID, EVM_CONTRACT, EVM_KEY, EVM_PRIVATE_KEY, ...config } = readConfig(
    shape,
    environment,
  );
  checkChain(environment);
  const chain =
    EVM_RPC_URL && EVM_CHAIN_ID && EVM_CONTRACT
      ? { rpcUrl: EVM_RPC_URL, chainId: EVM_CHAIN_ID, contract: EVM_CONTRACT }
      : undefined;
  const key: KeyReference = EVM_KEY ?? { kind: 'env', name: 'EVM_PRIVATE_KEY' };
  const { EVM_STUCK_MS: stuckMs, EVM_MAX_FEE_GWEI: maxFeeGwei, EVM_CONFIRMATIONS: confirmations } = config;
  return {
    ...config,
    evm: chain && EVM_PRIVATE_KEY && withHidden(chain, EVM_PRIVATE_KEY),
    anchor: chain && { ...chain, key, stuckMs, maxFeeGwei, confirmations },
    /** For references to keys: what is in the environment is not part of what is printed. */
    variable: (name: string): string | undefined => environment[name],
  };
}

function checkChain(environment: NodeJS.ProcessEnv): void {
  const missing: (keyof typeof shape)[] = EVM.filter((name) => !environment[name]);
  const keys = (['EVM_KEY', 'EVM_PRIVATE_KEY'] as const).filter((name) => environment[name]);
  if (keys.length === 2) throw new ConfigError(['EVM_KEY and EVM_PRIVATE_KEY are both set; keep one']);
  if (keys.length === 0) missing.push('EVM_KEY');
  if (missing.length > 0 && missing.length < EVM.length + 1) {
    throw new ConfigError(missing.map((name) => `${name} is missing (${shape[name].meta()?.description ?? ''})`));
  }
}

function withHidden<T extends object>(chain: T, privateKey: `0x${string}`): T & { privateKey: `0x${string}` } {
  const evm = { ...chain, privateKey };
  return Object.defineProperty(evm, 'privateKey', { enumerable: false, get: () => privateKey });
}
