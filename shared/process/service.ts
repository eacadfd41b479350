import { createAuthenticator } from '../authz/authenticator';
import { createAuthorizer } from '../authz/authorizer';
import { keepBroker } from '../dapr/broker';
import { ensureSchema } from '../dapr/schema';
import { connectSidecar, type Sidecar } from '../dapr/sidecar';
import { messageOf, unavailable } from '../errors';
import { createApp } from '../http/app';
import { createMetrics, type Metrics } from '../metrics';
import { createRateLimit } from '../http/rate-limit';
import type { Route } from '../http/route';
import { serverOf } from '../http/server';
import { createLogger, type Logger } from '../logging/logger';
import { ConfigError } from './config';

/** The environment fields of `baseConfig` after parsing. */
export interface BaseConfig {
  NODE_ENV: string;
  APP_HOST: string;
  APP_PORT: number;
  DAPR_HTTP_PORT: number;
  DAPR_API_TOKEN?: string | undefined;
  APP_API_TOKEN: string;
  JWT_SECRET?: string | undefined;
  JWKS_URL?: string | undefined;
  JWT_ISSUER: string;
  JWT_AUDIENCE: string;
  POLICY_FILE: string;
  RATE_LIMIT_PER_SECOND: number;
  LOG_LEVEL: string;
  BROKER_URL?: string | undefined;
  SEQ_URL?: string | undefined;
  SEQ_API_KEY?: string | undefined;
}

/** What a service's composition root is given to build upon. */
export interface Rooms {
  logger: Logger;
  metrics: Metrics;
  sidecar: Sidecar;
  /** Aborted when the process is asked to end. */
  stopping: AbortSignal;
}

/** What it hands back. */
export interface Parts {
  routes: readonly Route[];
  /** Statements of its views and indexes: repeatable, made at start (decision 0008). `/readyz` waits for them. */
  schema: string;
  /** Begins background work, once the server listens and the schema is in place. */
  start?(): void;
  /** Ends background work; called when no request is under way any more. */
  stop?(): Promise<void>;
}

const GRACE_MS = 5_000;

/**
 * Runs a service until SIGTERM or SIGINT: reads its configuration, listens, and at the end lets requests under way
 * finish. A faulty configuration ends the process with code 78 (EX_CONFIG) and one message that lists every fault.
 */
export function runService<C extends BaseConfig>(
  name: string,
  configure: (environment: NodeJS.ProcessEnv) => C,
  compose: (config: C, rooms: Rooms) => Promise<Parts> | Parts,
): void {
  serve(name, configure, compose).catch((error: unknown) => {
    process.stderr.write(
      `${name}: ${error instanceof ConfigError ? error.message : `cannot start: ${messageOf(error)}`}\n`,
    );
    process.exit(error instanceof ConfigError ? 78 : 1);
  });
}

async function serve<C extends BaseConfig>(
  name: string,
  configure: (environment: NodeJS.ProcessEnv) => C,
  compose: (config: C, rooms: Rooms) => Promise<Parts> | Parts,
): Promise<void> {
  const config = configure(process.env);
  const logger = createLogger({
    service: name,
    level: config.LOG_LEVEL,
    seq: config.SEQ_URL === undefined ? undefined : { url: config.SEQ_URL, apiKey: config.SEQ_API_KEY },
  });
  const metrics = createMetrics();
  const sidecar = connectSidecar({ port: config.DAPR_HTTP_PORT, apiToken: config.DAPR_API_TOKEN });
  const authorizer = await createAuthorizer({ model: 'shared/authz/model.conf', policy: config.POLICY_FILE }, logger);
  const stopping = new AbortController();
  const parts = await compose(config, { logger, metrics, sidecar, stopping: stopping.signal });
  let hasSchema = false;
  const checkSchema = async (): Promise<void> => {
    if (!hasSchema) throw unavailable('schema.unavailable', 'the views of the database are not in place yet');
  };
  const app = createApp({
    service: name,
    routes: parts.routes,
    authenticate: createAuthenticator({
      secret: config.JWT_SECRET,
      jwksUrl: config.JWKS_URL,
      issuer: config.JWT_ISSUER,
      audience: config.JWT_AUDIENCE,
    }),
    authorizer,
    rateLimit: createRateLimit(config.RATE_LIMIT_PER_SECOND),
    appApiToken: config.APP_API_TOKEN,
    checks: { sidecar: () => sidecar.check(), schema: checkSchema },
    metrics,
    logger,
  });
  const server = serverOf(app);
  // longer than the sidecar keeps an idle connection, so that it never meets one that we are closing
  server.keepAliveTimeout = 95_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(config.APP_PORT, config.APP_HOST, resolve);
  });
  void ensureSchema(sidecar, parts.schema, logger, stopping.signal).then(() => {
    hasSchema = !stopping.signal.aborted;
    if (hasSchema) parts.start?.();
  });
  void keepBroker({ brokerUrl: config.BROKER_URL, sidecar, logger, stopping: stopping.signal });
  logger.info(`${name} listens`, {
    activity: 'start',
    resource: `${config.APP_HOST}:${config.APP_PORT}`,
    result: 'ok',
  });

  const stop = async (signal: string): Promise<void> => {
    if (stopping.signal.aborted) return;
    stopping.abort();
    logger.info(`${name} ends`, { activity: 'stop', result: signal });
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, GRACE_MS).unref())]);
    server.closeAllConnections();
    await parts.stop?.();
    await sidecar.close();
    authorizer.close();
    await logger.close();
    process.exit(0);
  };
  process.once('SIGTERM', () => void stop('SIGTERM'));
  process.once('SIGINT', () => void stop('SIGINT'));
}
