import { E2E_PORT_OFFSET } from './e2e-instance';

/**
 * Where the e2e instance looks for what is not part of the system. Most tests leave these ports closed; the one that needs
 * a BlockchainService, a Seq or an IdentityService listens there for as long as it needs it.
 */
const at = (port: number): string => `http://127.0.0.1:${port}`;

export const BLOCKCHAIN_SERVICE = {
  port: 8790 + E2E_PORT_OFFSET,
  url: `${at(8790 + E2E_PORT_OFFSET)}/usage`,
  token: 'token-of-the-blockchain-service',
};
export const SEQ = { port: 8791 + E2E_PORT_OFFSET, url: at(8791 + E2E_PORT_OFFSET), apiKey: 'key-of-the-seq-server' };
export const IDENTITY_SERVICE = {
  port: 8792 + E2E_PORT_OFFSET,
  jwksUrl: `${at(8792 + E2E_PORT_OFFSET)}/.well-known/jwks.json`,
};

/** What the services of the e2e instance are told of it. */
export const OUTSIDE_WORLD = {
  BLOCKCHAIN_SERVICE_URL: BLOCKCHAIN_SERVICE.url,
  BLOCKCHAIN_SERVICE_TOKEN: BLOCKCHAIN_SERVICE.token,
  SEQ_URL: SEQ.url,
  SEQ_API_KEY: SEQ.apiKey,
  JWKS_URL: IDENTITY_SERVICE.jwksUrl,
};

/** Tests need not wait for a batch for five seconds, nor for half a minute until a sink that was away is tried again. */
export const QUICK_LEDGER = { LEDGER_BATCH_AGE_MS: '1000', DELIVERY_BACK_OFF_CAP_MS: '2000' };
