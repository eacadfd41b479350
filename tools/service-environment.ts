import type { Chain } from './chain';
import type { Instance } from './instance';
import type { Secrets } from './secrets';
import { AUDIENCE, ISSUER } from './tokens';

/** What sidecars and services of a local instance find in their environment, beside what the caller's holds. */
export function serviceEnvironment(
  instance: Instance,
  secrets: Secrets,
  parts: { databaseUrl: string; natsUrl: string; chain: Chain | undefined },
): NodeJS.ProcessEnv {
  return {
    // SEQ_URL, BLOCKCHAIN_SERVICE_URL, JWKS_URL, DOCKER_HOST … pass through when the caller has them
    ...process.env,
    // not production: what follows is made for this machine
    NODE_ENV: process.env.NODE_ENV || 'development',
    INSTANCE: instance.label,
    JWT_SECRET: secrets.jwtSecret,
    JWT_ISSUER: process.env.JWT_ISSUER ?? ISSUER,
    JWT_AUDIENCE: process.env.JWT_AUDIENCE ?? AUDIENCE,
    DAPR_API_TOKEN: secrets.daprApiToken,
    APP_API_TOKEN: secrets.appApiToken,
    DATABASE_URL: parts.databaseUrl,
    NATS_URL: parts.natsUrl,
    // supervise.sh starts a sidecar again
    BROKER_URL: parts.natsUrl,
    ...(parts.chain && {
      EVM_RPC_URL: parts.chain.rpcUrl,
      ...(parts.chain.privateKey !== undefined && { EVM_PRIVATE_KEY: parts.chain.privateKey }),
      EVM_CONTRACT: parts.chain.contract,
      EVM_CHAIN_ID: String(parts.chain.chainId),
      // a chain of our own makes a block for each transaction and none besides: nothing would ever come behind it
      ...(parts.chain.ours && { EVM_CONFIRMATIONS: process.env.EVM_CONFIRMATIONS ?? '1' }),
      LEDGER_SIGNING_SEED: secrets.ledgerSigningSeed,
      LEDGER_SIGNING_KEY: process.env.LEDGER_SIGNING_KEY ?? 'env:LEDGER_SIGNING_SEED',
    }),
  };
}
