import { createSecretKey, randomUUID } from 'node:crypto';
import type { Express } from 'express';
import jwt from 'jsonwebtoken';
import { createAuthenticator } from '../authz/authenticator';
import { createAuthorizer, type Authorizer } from '../authz/authorizer';
import { createApp } from '../http/app';
import { createMetrics } from '../metrics';
import { createRateLimit } from '../http/rate-limit';
import type { Route } from '../http/route';
import { silentLogger, type Logger } from '../logging/logger';

/** For stories over HTTP: the real app with real tokens and policies over whatever adapters the test picks. */
export const TEST_SECRET = 'a-secret-for-tests-that-is-long-enough';
export const APP_API_TOKEN = 'the-sidecars-own-token';
const KEY = createSecretKey(Buffer.from(TEST_SECRET));

// one for all: each watches the policy file
let authorizer: Promise<Authorizer> | undefined;
afterAll(async () => (await authorizer)?.close());

export async function testApp(
  routes: readonly Route[],
  logger: Logger = silentLogger,
  rateLimit = createRateLimit(0),
): Promise<Express> {
  authorizer ??= createAuthorizer(
    { model: 'shared/authz/model.conf', policy: 'shared/authz/policy.csv' },
    silentLogger,
  );
  return createApp({
    service: 'test',
    routes,
    authenticate: createAuthenticator({
      secret: TEST_SECRET,
      issuer: 'resource-manager',
      audience: 'resource-manager',
    }),
    authorizer: await authorizer,
    rateLimit,
    appApiToken: APP_API_TOKEN,
    checks: {},
    metrics: createMetrics(),
    logger,
  });
}

/** A signed token, ready for the Authorization header; without a `sub` of anybody in particular. */
export function bearer(role: string, sub: string = randomUUID()): string {
  const token = jwt.sign({ roles: [role] }, KEY, {
    algorithm: 'HS256',
    subject: sub,
    issuer: 'resource-manager',
    audience: 'resource-manager',
    expiresIn: '1h',
  });
  return `Bearer ${token}`;
}

/** Headers of a call that the own sidecar makes, on behalf of another app when `callerApp` is given. */
export function sidecarHeaders(callerApp?: string): Record<string, string> {
  return { 'dapr-api-token': APP_API_TOKEN, ...(callerApp === undefined ? {} : { 'dapr-caller-app-id': callerApp }) };
}
