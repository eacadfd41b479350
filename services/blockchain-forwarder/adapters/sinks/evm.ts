import { z } from 'zod';
import { parseKeyReference, REFERENCE_FORMS, type KeyReference } from '../keys/reference';
import type { SecretSources } from '../keys/secret-text';
import { HTTP_URL, httpUrl, variableOf } from '../../../../shared/process/variable';
import { transactionSigner } from '../keys/transaction-signer';
import { EvmAnchor } from './evm/evm-anchor';

const hex = (bytes: number) => z.string().regex(new RegExp(`^0x[0-9a-fA-F]{${bytes * 2}}$`));
const HEX = (bytes: number) => `0x and ${bytes * 2} hexadecimal digits`;

// what is given may be a key that was put here by mistake: it is not shown
export const keyReference = z.string().transform((text, context): KeyReference => {
  const reference = parseKeyReference(text);
  if (reference) return reference;
  context.addIssue({ code: 'custom', message: `must be ${REFERENCE_FORMS}` });
  return z.NEVER;
});

export const evmVariables = {
  EVM_RPC_URL: httpUrl
    .optional()
    .meta({ description: "the chain's JSON-RPC: switches the sink `evm` on", allowed: HTTP_URL }),
  EVM_CHAIN_ID: z.coerce
    .number()
    .int()
    .min(1)
    .optional()
    .meta({ description: 'the chain that must be behind EVM_RPC_URL' }),
  EVM_CONTRACT: hex(20)
    .optional()
    .meta({ description: 'address of the LedgerAnchor contract', allowed: HEX(20) }),
  EVM_KEY: keyReference
    .optional()
    .meta({ description: "where the key of the contract's anchorer is", allowed: REFERENCE_FORMS }),
  // read again where it is needed, so that it is in no configuration that somebody prints
  EVM_PRIVATE_KEY: hex(32)
    .transform(() => 'given' as const)
    .optional()
    .meta({ description: 'that key itself, for development', allowed: HEX(32), secret: true }),
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
};

type EvmConfig = z.output<z.ZodObject<typeof evmVariables>>;

/** What is wrong with variables that are fine one by one: half a configuration of the chain, or two keys. */
export function evmFaults(environment: NodeJS.ProcessEnv): string[] {
  const missing: (keyof typeof evmVariables)[] = (['EVM_RPC_URL', 'EVM_CHAIN_ID', 'EVM_CONTRACT'] as const).filter(
    (name) => !environment[name],
  );
  const keys = (['EVM_KEY', 'EVM_PRIVATE_KEY'] as const).filter((name) => environment[name]);
  if (keys.length === 2) return ['EVM_KEY and EVM_PRIVATE_KEY are both set; keep one'];
  if (keys.length === 0) missing.push('EVM_KEY');
  if (missing.length === 0 || missing.length === 4) return [];
  return missing.map((name) => `${name} is missing (${variableOf(evmVariables[name]).description})`);
}

export function evmSink(config: EvmConfig, sources: SecretSources): EvmAnchor | null {
  const { EVM_RPC_URL: rpcUrl, EVM_CHAIN_ID: chainId, EVM_CONTRACT: contract } = config;
  if (rpcUrl === undefined || chainId === undefined || contract === undefined) return null;
  return new EvmAnchor({
    rpcUrl,
    chainId,
    contract,
    signer: transactionSigner(config.EVM_KEY ?? { kind: 'env', name: 'EVM_PRIVATE_KEY' }, sources),
    stuckMs: config.EVM_STUCK_MS,
    maxFeeGwei: config.EVM_MAX_FEE_GWEI,
    confirmations: config.EVM_CONFIRMATIONS,
  });
}
