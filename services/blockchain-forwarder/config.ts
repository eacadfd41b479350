import { z } from 'zod';
import { baseConfig, ConfigError, readConfig } from '../../shared/process/config';
import { sinkVariables } from './adapters/sinks';

const hex = (bytes: number) =>
  z.custom<`0x${string}`>(
    (value) => typeof value === 'string' && new RegExp(`^0x[0-9a-fA-F]{${bytes * 2}}$`).test(value),
    `must be 0x and ${bytes * 2} hexadecimal digits`,
  );

const shape = {
  ...baseConfig,
  ...sinkVariables,
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
  EVM_PRIVATE_KEY: hex(32).optional().meta({ description: "key of the ledger's recorder" }),
  LEDGER_BATCH_COUNT: z.coerce
    .number()
    .int()
    .min(1)
    .max(10_000)
    .default(1_000)
    .meta({ description: 'a batch is closed with so many records' }),
  LEDGER_BATCH_BYTES: z.coerce
    .number()
    .int()
    .min(1_000)
    .max(10_000_000)
    .default(1_000_000)
    .meta({ description: 'or with so many bytes of canonical JSON' }),
  LEDGER_BATCH_AGE_MS: z.coerce
    .number()
    .int()
    .min(100)
    .max(3_600_000)
    .default(5_000)
    .meta({ description: 'or when its oldest record waits so long' }),
  DELIVERY_BACK_OFF_CAP_MS: z.coerce
    .number()
    .int()
    .min(500)
    .max(3_600_000)
    .default(30_000)
    .meta({ description: 'longest wait of a sink that does not work until its next attempt' }),
};

const EVM = ['EVM_RPC_URL', 'EVM_CHAIN_ID', 'EVM_CONTRACT', 'EVM_PRIVATE_KEY'] as const;

export type ForwarderConfig = ReturnType<typeof forwarderConfig>;

/** @throws ConfigError naming every fault; half a configuration of the chain is one */
export function forwarderConfig(environment: NodeJS.ProcessEnv) {
  const { EVM_RPC_URL, EVM_CHAIN_ID, EVM_CONTRACT, EVM_PRIVATE_KEY, ...config } = readConfig(shape, environment);
  const missing = EVM.filter((name) => !environment[name]);
  if (missing.length > 0 && missing.length < EVM.length) {
    throw new ConfigError(missing.map((name) => `${name} is missing (${shape[name].meta()?.description ?? ''})`));
  }
  const evm =
    EVM_RPC_URL && EVM_CHAIN_ID && EVM_CONTRACT && EVM_PRIVATE_KEY
      ? { rpcUrl: EVM_RPC_URL, chainId: EVM_CHAIN_ID, contract: EVM_CONTRACT, privateKey: EVM_PRIVATE_KEY }
      : undefined;
  const { LEDGER_BATCH_COUNT: count, LEDGER_BATCH_BYTES: bytes, LEDGER_BATCH_AGE_MS: ageMs } = config;
  return { ...config, evm, limits: { count, bytes, ageMs } };
}
