import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createServer } from 'node:http';
import jwt from 'jsonwebtoken';
import { AUDIENCE, ISSUER } from '../../../tools/tokens';
import { IDENTITY_SERVICE } from './outside-world';

/** The IdentityService that the e2e instance reads keys from, for as long as a test needs it. */
export interface IdentityService {
  sign(algorithm: 'RS256' | 'ES256', sub: string, roles: string[], key?: KeyObject): string;
  close(): void;
}

export async function openIdentityService(): Promise<IdentityService> {
  const run = Date.now();
  const keys = {
    RS256: { kid: `rsa-${run}`, ...generateKeyPairSync('rsa', { modulusLength: 2048 }) },
    ES256: { kid: `ec-${run}`, ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) },
  };
  const set = Object.entries(keys).map(([alg, { kid, publicKey }]) => ({
    ...publicKey.export({ format: 'jwk' }),
    kid,
    alg,
    use: 'sig',
  }));
  const server = createServer((request, response) => {
    const known = request.url === new URL(IDENTITY_SERVICE.jwksUrl).pathname;
    response.writeHead(known ? 200 : 404, { 'Content-Type': 'application/json' }).end(JSON.stringify({ keys: set }));
  }).listen(IDENTITY_SERVICE.port, '127.0.0.1');
  await new Promise((resolve, reject) => server.once('listening', resolve).once('error', reject));
  return {
    sign: (algorithm, sub, roles, key = keys[algorithm].privateKey) =>
      jwt.sign({ roles }, key, {
        algorithm,
        keyid: keys[algorithm].kid,
        subject: sub,
        issuer: ISSUER,
        audience: AUDIENCE,
        expiresIn: '10m',
      }),
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
