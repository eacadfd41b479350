import { createHash, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import jwt from 'jsonwebtoken';
import jwksClient from 'jwks-rsa';
import { z } from 'zod';
import { AppError, unavailable } from '../errors';

/** Who sends a request, as its token says. */
export interface Identity {
  /** The user's or service's UUID. */
  sub: string;
  roles: readonly string[];
}

/** @throws AppError `auth.token_missing`, `auth.token_invalid` (401), `auth.keys_unavailable` (503) */
export type Authenticate = (authorization: string | undefined) => Promise<Identity>;

export interface TokenRules {
  /** Shared secret for HS256, at least 32 bytes. */
  secret?: string | undefined;
  /** The IdentityService's JSON Web Key Set, for RS256 and ES256. */
  jwksUrl?: string | undefined;
  issuer: string;
  audience: string;
}

/** Tokens that were found good; beyond it all are forgotten. */
const REMEMBERED = 1_000;
/** How long one is not verified again: a key that is withdrawn stops working within that. */
const REMEMBERED_MS = 60_000;

const claims = z.object({
  // a UUID and nothing else: a `sub` such as "admin" would otherwise match the role of that name
  sub: z.uuid().toLowerCase(),
  exp: z.number(),
  roles: z.array(z.string().min(1).max(100)).max(50).default([]),
});

function refused(detail: string): AppError {
  return new AppError('unauthenticated', 'auth.token_invalid', detail);
}

/** The header of a token that nothing is proved of yet; `jwt.decode` throws where the payload is no JSON. */
function headerOf(token: string): jwt.JwtHeader {
  let decoded: jwt.Jwt | null;
  try {
    decoded = jwt.decode(token, { complete: true });
  } catch {
    decoded = null;
  }
  if (decoded === null) throw refused('The token is not a JWT; sign in again.');
  return decoded.header;
}

/** Checks signature, algorithm, issuer, audience and expiry (RFC 7519, RFC 8725). */
export function createAuthenticator(rules: TokenRules): Authenticate {
  // a KeyObject made once: with a string secret each verification costs fifty times as much
  const secret = rules.secret === undefined ? undefined : createSecretKey(Buffer.from(rules.secret, 'utf8'));
  const keySet =
    rules.jwksUrl === undefined
      ? undefined
      : jwksClient({ jwksUri: rules.jwksUrl, cache: true, cacheMaxAge: 600_000, rateLimit: true, timeout: 3_000 });
  const publicKeys = new Map<string, { pem: string; key: KeyObject }>();
  /** By the hash of the token: nobody finds tokens in the memory of the process. */
  const good = new Map<string, { identity: Identity; until: number }>();

  async function keyFor(header: jwt.JwtHeader): Promise<{ key: KeyObject; algorithms: jwt.Algorithm[] }> {
    if (header.alg === 'HS256' && secret) return { key: secret, algorithms: ['HS256'] };
    if ((header.alg === 'RS256' || header.alg === 'ES256') && keySet && header.kid !== undefined) {
      const pem = await publicKeyPem(keySet, header.kid);
      let cached = publicKeys.get(header.kid);
      if (cached?.pem !== pem) {
        cached = { pem, key: createPublicKey(pem) };
        publicKeys.set(header.kid, cached);
      }
      return { key: cached.key, algorithms: [header.alg] };
    }
    throw refused('The token is signed in a way that this system does not accept; get one from the IdentityService.');
  }

  async function publicKeyPem(keys: jwksClient.JwksClient, kid: string): Promise<string> {
    try {
      return (await keys.getSigningKey(kid)).getPublicKey();
    } catch (error) {
      if (error instanceof Error && error.name === 'SigningKeyNotFoundError') {
        throw refused('The key that signed the token is not known; sign in again.');
      }
      throw unavailable(
        'auth.keys_unavailable',
        'The keys that prove tokens cannot be read now; try again shortly.',
        error,
      );
    }
  }

  return async (authorization) => {
    const token = /^Bearer +([\w-]+\.[\w-]+\.[\w-]*)$/i.exec(authorization ?? '')?.[1];
    if (token === undefined) {
      throw new AppError(
        'unauthenticated',
        'auth.token_missing',
        'Send a token in the header "Authorization: Bearer <JWT>".',
      );
    }
    const hash = createHash('sha256').update(token).digest('base64');
    const known = good.get(hash);
    if (known && Date.now() < known.until) return known.identity;
    const { key, algorithms } = await keyFor(headerOf(token));
    let payload: unknown;
    try {
      payload = jwt.verify(token, key, { algorithms, issuer: rules.issuer, audience: rules.audience });
    } catch (error) {
      throw error instanceof jwt.TokenExpiredError
        ? new AppError('unauthenticated', 'auth.token_expired', 'The token has expired; sign in again.')
        : refused('The token is not valid here (signature, issuer, audience or time); sign in again.');
    }
    const parsed = claims.safeParse(payload);
    if (!parsed.success)
      throw refused('The token needs "sub" (a UUID), "exp" and, for roles, "roles" (a list of names).');
    const { sub, exp, roles } = parsed.data;
    if (good.size >= REMEMBERED) good.clear();
    good.set(hash, { identity: { sub, roles }, until: Math.min(exp * 1000, Date.now() + REMEMBERED_MS) });
    return { sub, roles };
  };
}
