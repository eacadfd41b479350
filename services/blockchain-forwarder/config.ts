import { z } from 'zod';
import { baseConfig, ConfigError, developmentSecret, isProduction, readConfig } from '../../shared/process/config';
import { FILE_TO_READ, fileToRead, variableOf } from '../../shared/process/variable';
import { sinkFaults, sinkVariables } from './adapters/sinks';
import { keyReference } from './adapters/sinks/evm';

export const configShape = {
  ...baseConfig,
  ...sinkVariables,
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
  LEDGER_SIGNING_KEY: keyReference.optional().meta({
    description: 'where the Ed25519 key is that signs receipts; needed with EVM_RPC_URL',
    allowed: 'env:NAME, file:/path or dapr:STORE/NAME',
  }),
  LEDGER_RETIRED_KEYS: fileToRead
    .optional()
    .meta({ description: 'file with a JWK set of keys that signed before', allowed: FILE_TO_READ }),
  DELIVERY_BACK_OFF_CAP_MS: z.coerce
    .number()
    .int()
    .min(500)
    .max(3_600_000)
    .default(30_000)
    .meta({ description: 'longest wait of a sink that does not work until its next attempt' }),
};

/** @throws ConfigError naming every fault; half a configuration of a sink is one */
export function forwarderConfig(environment: NodeJS.ProcessEnv) {
  const config = readConfig(configShape, environment);
  const faults = sinkFaults(environment);
  if (config.EVM_RPC_URL !== undefined && config.LEDGER_SIGNING_KEY === undefined) {
    faults.push(`LEDGER_SIGNING_KEY is missing (${variableOf(configShape.LEDGER_SIGNING_KEY).description})`);
  }
  if (faults.length > 0) throw new ConfigError(faults);
  const { LEDGER_BATCH_COUNT: count, LEDGER_BATCH_BYTES: bytes, LEDGER_BATCH_AGE_MS: ageMs } = config;
  return {
    ...config,
    limits: { count, bytes, ageMs },
    /** For references to keys: what is in the environment is not part of what is printed. */
    variable: (name: string): string | undefined => environment[name],
    /** Why a key that a reference led to must not be used here. */
    refused: (key: string): string | undefined => (isProduction(environment) ? developmentSecret(key) : undefined),
  };
}
