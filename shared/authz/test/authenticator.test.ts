import { createHmac, createPublicKey, generateKeyPairSync, randomUUID, type KeyObject } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import jwt from 'jsonwebtoken';
import { AppError } from '../../errors';
import { createAuthenticator } from '../authenticator';

const SECRET = 'a-secret-for-tests-that-is-long-enough';
const SUB = '11111111-1111-4111-8111-111111111111';
const rules = { secret: SECRET, issuer: 'identity', audience: 'resource-manager' };

const usual: jwt.SignOptions = {
  algorithm: 'HS256',
  subject: SUB,
  issuer: 'identity',
  audience: 'resource-manager',
  expiresIn: '1h',
};

function sign(
  options: jwt.SignOptions = {},
  claims: object = { roles: ['user'] },
  key: jwt.Secret | KeyObject = SECRET,
): string {
  return `Bearer ${jwt.sign(claims, key, { ...usual, ...options })}`;
}

const part = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

async function codeOf(answer: Promise<unknown>): Promise<string> {
  return answer.then(
    () => 'accepted',
    (error: unknown) => (error instanceof AppError ? `${error.kind} ${error.code}` : `unexpected: ${String(error)}`),
  );
}

describe('HS256 with the shared secret', () => {
  const authenticate = createAuthenticator(rules);

  test('a good token says who it is and what roles it has', async () => {
    await expect(authenticate(sign())).resolves.toEqual({ sub: SUB, roles: ['user'] });
    await expect(authenticate(sign({}, {}))).resolves.toEqual({ sub: SUB, roles: [] });
    await expect(authenticate(sign().replace('Bearer', 'bearer'))).resolves.toMatchObject({ sub: SUB });
  });

  test.each([
    ['no header', undefined],
    ['an empty header', ''],
    ['another scheme', 'Basic YTpi'],
    ['no JWT', 'Bearer abc'],
    ['two tokens', `${sign()} ${sign()}`],
  ])('%s: token_missing', async (_name, header) => {
    expect(await codeOf(authenticate(header))).toBe('unauthenticated auth.token_missing');
  });

  const body = {
    sub: SUB,
    iss: 'identity',
    aud: 'resource-manager',
    exp: Math.floor(Date.now() / 1000) + 600,
    roles: ['admin'],
  };
  const forged = (header: unknown): string => {
    const text = `${part(header)}.${part(body)}`;
    return `Bearer ${text}.${createHmac('sha256', 'guess').update(text).digest('base64url')}`;
  };

  test.each<[string, string]>([
    ['algorithm none', `Bearer ${part({ alg: 'none', typ: 'JWT' })}.${part(body)}.`],
    ['algorithm None in another spelling', `Bearer ${part({ alg: 'nOnE' })}.${part(body)}.`],
    ['algorithm none with a signature', forged({ alg: 'none' })],
    ['a wrong signature', forged({ alg: 'HS256', typ: 'JWT' })],
    ['no signature', `Bearer ${part({ alg: 'HS256' })}.${part(body)}.`],
    ['HS384 with the right secret', sign({ algorithm: 'HS384' })],
    ['HS512 with the right secret', sign({ algorithm: 'HS512' })],
    ['RS256 where no key set is configured', forged({ alg: 'RS256', kid: 'a' })],
    ['a wrong issuer', sign({ issuer: 'somebody' })],
    ['a wrong audience', sign({ audience: 'somewhere' })],
    ['a time that has not come', sign({ notBefore: '1h' })],
    ['a sub that is a role’s name', sign({ subject: 'admin' })],
    [
      'no expiry',
      `Bearer ${jwt.sign({ roles: [] }, SECRET, { subject: SUB, issuer: 'identity', audience: 'resource-manager' })}`,
    ],
    ['roles that are no list', sign({}, { roles: 'admin' })],
    ['a header that is no JSON', `Bearer ${part('{')}.${part(body)}.abc`],
    ['a header that is a number', `Bearer ${part('1')}.${part(body)}.abc`],
    ['a payload that is no JSON', `Bearer ${part({ alg: 'HS256', typ: 'JWT' })}.${part('{')}.abc`],
    ['critical extensions that nobody knows', forged({ alg: 'HS256', crit: ['x'], x: 1 })],
  ])('%s: refused', async (_name, header) => {
    expect(await codeOf(authenticate(header))).toBe('unauthenticated auth.token_invalid');
  });

  test('an expired token: its own code', async () => {
    expect(await codeOf(authenticate(sign({ expiresIn: -1 })))).toBe('unauthenticated auth.token_expired');
  });

  test('a token that was accepted is refused once it has expired', async () => {
    const token = sign({ expiresIn: 30 });
    expect(await codeOf(authenticate(token))).toBe('accepted');
    const clock = jest.spyOn(Date, 'now').mockReturnValue(Date.now() + 31_000);
    expect(await codeOf(authenticate(token))).toBe('unauthenticated auth.token_expired');
    clock.mockRestore();
  });

  test('a secret that changes one byte refuses', async () => {
    expect(await codeOf(createAuthenticator({ ...rules, secret: `${SECRET}.` })(sign()))).toContain('token_invalid');
  });
});

describe('RS256 and ES256 by the key set of the IdentityService', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 });
  let server: Server;
  let url: string;
  let answers: 'keys' | 'error';
  let asked: number;

  beforeEach(async () => {
    answers = 'keys';
    asked = 0;
    server = createServer((_request, response) => {
      asked += 1;
      if (answers === 'error') return void response.writeHead(500).end('{}');
      const keys = [
        { ...rsa.publicKey.export({ format: 'jwk' }), kid: 'rsa', use: 'sig', alg: 'RS256' },
        { ...ec.publicKey.export({ format: 'jwk' }), kid: 'ec', use: 'sig', alg: 'ES256' },
      ];
      response.setHeader('Content-Type', 'application/json').end(JSON.stringify({ keys }));
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/.well-known/jwks.json`;
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  const withKeys = (more: Partial<typeof rules> = {}) => createAuthenticator({ ...rules, ...more, jwksUrl: url });
  const rs = (options: jwt.SignOptions = {}, key = rsa.privateKey) =>
    sign({ algorithm: 'RS256', keyid: 'rsa', ...options }, {}, key);

  test('both are accepted, the keys are read once, and HS256 still works beside them', async () => {
    const authenticate = withKeys();
    for (let round = 0; round < 3; round += 1) await expect(authenticate(rs())).resolves.toMatchObject({ sub: SUB });
    expect(asked).toBe(1);
    await expect(authenticate(sign({ algorithm: 'ES256', keyid: 'ec' }, {}, ec.privateKey))).resolves.toMatchObject({
      sub: SUB,
    });
    await expect(authenticate(sign())).resolves.toMatchObject({ sub: SUB });
  });

  test('without a shared secret, HS256 is refused', async () => {
    expect(
      await codeOf(createAuthenticator({ jwksUrl: url, issuer: 'identity', audience: 'resource-manager' })(sign())),
    ).toContain('token_invalid');
  });

  test.each<[string, () => string]>([
    ['signed by a stranger’s key', () => rs({}, stranger.privateKey)],
    ['with a key id that nobody knows', () => rs({ keyid: 'other' })],
    ['without a key id', () => sign({ algorithm: 'RS256' }, {}, rsa.privateKey)],
    ['with the key of another algorithm', () => sign({ algorithm: 'ES256', keyid: 'rsa' }, {}, ec.privateKey)],
    ['by RS512', () => rs({ algorithm: 'RS512' })],
    ['from another issuer', () => rs({ issuer: 'somebody' })],
    ['for another audience', () => rs({ audience: 'somewhere' })],
  ])('a token %s is refused', async (_name, token) => {
    expect(await codeOf(withKeys()(token()))).toBe('unauthenticated auth.token_invalid');
  });

  test('an HS256 token signed with the public RSA key as its secret is refused', async () => {
    const pem = createPublicKey(rsa.privateKey).export({ format: 'pem', type: 'spki' }) as string;
    const text = `${part({ alg: 'HS256', typ: 'JWT', kid: 'rsa' })}.${part({ sub: SUB, exp: 9_999_999_999, iss: 'identity', aud: 'resource-manager' })}`;
    const token = `Bearer ${text}.${createHmac('sha256', pem).update(text).digest('base64url')}`;
    expect(await codeOf(withKeys()(token))).toBe('unauthenticated auth.token_invalid');
  });

  test('an expired token: its own code', async () => {
    expect(await codeOf(withKeys()(rs({ expiresIn: -5 })))).toBe('unauthenticated auth.token_expired');
  });

  test('the key set cannot be read: 503, and a known key goes on working; it heals without a restart', async () => {
    const known = withKeys();
    await known(rs());
    answers = 'error';
    await expect(known(rs())).resolves.toMatchObject({ sub: SUB });
    const fresh = withKeys();
    expect(await codeOf(fresh(rs()))).toBe('unavailable auth.keys_unavailable');
    answers = 'keys';
    await expect(fresh(rs())).resolves.toMatchObject({ sub: SUB });
  });

  test('nobody listens at the URL: 503 at once', async () => {
    const authenticate = createAuthenticator({ ...rules, jwksUrl: 'http://127.0.0.1:9/jwks' });
    expect(await codeOf(authenticate(rs({ subject: randomUUID() })))).toBe('unavailable auth.keys_unavailable');
  });
});
