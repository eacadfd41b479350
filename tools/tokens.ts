import { sign } from 'jsonwebtoken';
import type { Secrets } from './secrets';

/** Issuer and audience of the tokens of a local instance; the services are started with the same. */
export const ISSUER = 'resource-manager';
export const AUDIENCE = 'resource-manager';

/** Who the ready-made tokens speak for: fixed ids, so that a second start finds its own tasks again. */
export const PEOPLE = {
  admin: { sub: '00000000-0000-4000-8000-000000000001', roles: ['admin'] },
  owner: { sub: '00000000-0000-4000-8000-000000000002', roles: ['resource-pool-owner'] },
  service: { sub: '00000000-0000-4000-8000-000000000003', roles: ['service'] },
  user: { sub: '00000000-0000-4000-8000-000000000004', roles: ['user'] },
} as const;

/** A signed HS256 token; `ttlSeconds` from now. */
export function mintToken(secrets: Secrets, sub: string, roles: readonly string[], ttlSeconds: number): string {
  return sign({ roles }, secrets.jwtSecret, {
    algorithm: 'HS256',
    subject: sub,
    issuer: ISSUER,
    audience: AUDIENCE,
    expiresIn: ttlSeconds,
  });
}

/** Tokens for a day, one a role. */
export function readyMadeTokens(secrets: Secrets): Record<keyof typeof PEOPLE, string> {
  const day = 24 * 3600;
  const of = (who: keyof typeof PEOPLE): string => mintToken(secrets, PEOPLE[who].sub, PEOPLE[who].roles, day);
  return { admin: of('admin'), owner: of('owner'), service: of('service'), user: of('user') };
}

/** `90s`, `30m`, `1h`, `7d` in seconds; undefined when it is not such a duration. */
export function parseTtl(text: string): number | undefined {
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  if (!match) return undefined;
  const unit = { s: 1, m: 60, h: 3600, d: 86_400 }[match[2] ?? ''];
  return unit === undefined ? undefined : Number(match[1]) * unit;
}
