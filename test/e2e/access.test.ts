import { createHmac, generateKeyPairSync, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import jwt from 'jsonwebtoken';
import { instanceSecrets } from '../../tools/secrets';
import { AUDIENCE, ISSUER } from '../../tools/tokens';
import type { Route } from '../../shared/http/route';
import { ALL_ROUTES, pathOf, ROUTES } from '../architecture/route-tables';
import { SHIPPED_ROLES } from '../architecture/shipped-roles';
import { e2eInstance } from './support/e2e-instance';
import { openIdentityService, type IdentityService } from './support/identity-service';
import { startAlone, type LoneService } from './support/lone-service';
import { call, eventually, system, tokenFor, type Answer } from './support/system';

/** Issue 3, E14 and E15: every route of every service, on the running system. */

jest.setTimeout(120_000);

type Row = (typeof ALL_ROUTES)[number];
const permissionOf = ({ route: { access } }: Row): string | undefined =>
  typeof access === 'object' && 'permission' in access ? access.permission : undefined;
const closed = ALL_ROUTES.filter((row) => permissionOf(row) !== undefined);
const internal = ALL_ROUTES.filter(({ route: { access } }) => typeof access === 'object' && 'callers' in access);
const secrets = instanceSecrets(e2eInstance(), {});
const codeOf = ({ body }: Answer): unknown => (body as { code?: string }).code;

/** Asks a route in a way that it refuses once the caller is let in, so that nothing is done: an id that is none, no body. */
function knock(row: Row, headers: Record<string, string>, base?: string): Promise<Answer> {
  const path = `${pathOf(row.route, 'x')}${row.route.query ? '?limit=0' : ''}`;
  return call(row.route.method.toUpperCase(), base === undefined ? `${row.service}${path}` : `${base}${path}`, {
    headers,
  });
}
const bearing = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
const isLetIn = ({ status }: Answer): boolean => status !== 401 && status !== 403;

function sign(options: jwt.SignOptions = {}, secret = secrets.jwtSecret): string {
  return jwt.sign({ roles: ['admin'] }, secret, {
    algorithm: 'HS256',
    subject: randomUUID(),
    issuer: ISSUER,
    audience: AUDIENCE,
    expiresIn: '10m',
    ...options,
  });
}

function unsigned(): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + 600;
  return `${part({ alg: 'none', typ: 'JWT' })}.${part({ sub: randomUUID(), roles: ['admin'], iss: ISSUER, aud: AUDIENCE, exp })}.`;
}

describe.each(closed)('$name', (row) => {
  test('without a token: 401 and how to send one', async () => {
    const answer = await knock(row, {});
    expect([answer.status, codeOf(answer)]).toEqual([401, 'auth.token_missing']);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  });

  test('with a token that proves nothing here: 401', async () => {
    const tokens: Record<string, string> = {
      'a wrong signature': sign({}, 'another-secret-that-is-long-enough-00'),
      'a wrong issuer': sign({ issuer: 'somebody' }),
      'a wrong audience': sign({ audience: 'somewhere' }),
      'algorithm none': unsigned(),
      'another algorithm': sign({ algorithm: 'HS512' }),
      'a sub that is no UUID': sign({ subject: 'admin' }),
    };
    for (const [what, token] of Object.entries(tokens)) {
      const answer = await knock(row, bearing(token));
      expect([what, answer.status, codeOf(answer)]).toEqual([what, 401, 'auth.token_invalid']);
    }
    expect(codeOf(await knock(row, bearing(sign({ expiresIn: -5 }))))).toBe('auth.token_expired');
  });

  test('with a token without the permission: 403 that names it; as an administrator one is let in', async () => {
    const nobody = await knock(row, bearing(tokenFor(randomUUID(), 'visitor')));
    expect([nobody.status, codeOf(nobody)]).toEqual([403, 'auth.forbidden']);
    expect((nobody.body as { permission: string }).permission).toBe(permissionOf(row));
    expect(isLetIn(await knock(row, bearing(tokenFor(randomUUID(), 'admin'))))).toBe(true);
  });
});

test.each(Object.keys(SHIPPED_ROLES))('%s is let into exactly the routes of its permissions', async (role) => {
  const token = tokenFor(randomUUID(), role);
  for (const row of closed) {
    expect([row.name, isLetIn(await knock(row, bearing(token)))]).toEqual([
      row.name,
      SHIPPED_ROLES[role]!.includes(permissionOf(row)!),
    ]);
  }
});

describe('policies from a file that is replaced', () => {
  let folder: string;
  let policyFile: string;
  let alone: Record<string, LoneService> = {};
  const grant = (sub: string, { route }: Row, permission = permissionOf({ route } as Row)): string =>
    `p, ${sub}, ${route.path.slice(1)}, ${permission}`;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'access-'));
    policyFile = join(folder, 'policy.csv');
    await writeFile(policyFile, '# nobody may do anything yet\n');
    const typesFile = 'services/task-runner/service-types.yaml';
    const env = {
      JWT_SECRET: secrets.jwtSecret,
      APP_API_TOKEN: secrets.appApiToken,
      POLICY_FILE: policyFile,
      SERVICE_TYPES_FILE: typesFile,
    };
    const services = await Promise.all(
      Object.keys(ROUTES).map(async (appId) => [appId, await startAlone(appId, env)] as const),
    );
    alone = Object.fromEntries(services);
  });
  afterAll(async () => {
    await Promise.all(Object.values(alone).map((service) => service.stop()));
    await rm(folder, { recursive: true });
  });
  const knockAlone = (row: Row, sub: string) => knock(row, bearing(tokenFor(sub)), alone[row.service]!.url);

  test('each permission opens exactly its route, without a build or a restart', async () => {
    const people = closed.map((row) => ({ row, sub: randomUUID() }));
    for (const { row, sub } of people) expect((await knockAlone(row, sub)).status).toBe(403);
    await writeFile(policyFile, people.map(({ row, sub }) => grant(sub, row)).join('\n'));
    for (const { row, sub } of people) {
      await eventually(`${row.name} is open`, async () => isLetIn(await knockAlone(row, sub)), 10_000);
    }
    for (const { row: own, sub } of people) {
      const open: string[] = [];
      for (const row of closed) if (isLetIn(await knockAlone(row, sub))) open.push(row.name);
      // a path template does not tell a name from an id, the permission does
      const same = closed.filter((row) => permissionOf(row) === permissionOf(own) && row.route.path === own.route.path);
      expect(open).toEqual(same.map(({ name }) => name));
    }
  });

  test('a grant for one pool opens that pool only', async () => {
    const alice = randomUUID();
    const [mine, other] = [randomUUID(), randomUUID()];
    await writeFile(policyFile, `p, ${alice}, resource_pools/${mine}, resource_pool:get`);
    const get = (id: string) =>
      call('GET', `${alone['resource-pool']!.url}/resource_pools/${id}`, { token: tokenFor(alice) });
    // without a sidecar there is no pool to show: 503 says that one was let in
    await eventually('her pool is open', async () => (await get(mine)).status === 503, 10_000);
    expect((await get(other)).status).toBe(403);
  });

  test('a faulty file is refused and the rules before it stay', async () => {
    const alice = randomUUID();
    const row = closed[0]!;
    await writeFile(policyFile, grant(alice, row));
    await eventually('it is open', async () => isLetIn(await knockAlone(row, alice)), 10_000);
    await writeFile(policyFile, 'p, everybody, *');
    await eventually(
      'the fault is told',
      () => alone[row.service]!.output().includes('the changed policy file is faulty'),
      10_000,
    );
    expect(isLetIn(await knockAlone(row, alice))).toBe(true);
  });
});

describe('tokens of the IdentityService', () => {
  let identity: IdentityService;
  beforeAll(async () => {
    identity = await openIdentityService();
  });
  afterAll(() => identity.close());

  test.each(['RS256', 'ES256'] as const)(
    '%s by its key set is accepted by every service, beside HS256',
    async (algorithm) => {
      const token = identity.sign(algorithm, randomUUID(), ['admin']);
      for (const row of closed) expect([row.name, isLetIn(await knock(row, bearing(token)))]).toEqual([row.name, true]);
      expect((await knock(closed[0]!, bearing(identity.sign(algorithm, randomUUID(), ['visitor'])))).status).toBe(403);
    },
  );

  test('a stranger’s key under a known id: 401', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const answer = await knock(closed[0]!, bearing(identity.sign('RS256', randomUUID(), ['admin'], privateKey)));
    expect([answer.status, codeOf(answer)]).toEqual([401, 'auth.token_invalid']);
  });

  test('HS256 signed with something public: 401', async () => {
    const [header] = identity.sign('RS256', randomUUID(), ['admin']).split('.');
    const { kid } = JSON.parse(Buffer.from(header!, 'base64url').toString()) as { kid: string };
    const text = [
      { alg: 'HS256', kid },
      { sub: randomUUID(), roles: ['admin'], iss: ISSUER, aud: AUDIENCE, exp: 9_999_999_999 },
    ]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    const token = `${text}.${createHmac('sha256', kid).update(text).digest('base64url')}`;
    expect((await knock(closed[0]!, bearing(token))).status).toBe(401);
  });
});

describe('routes that only a sidecar may call', () => {
  const through = (row: Row, caller: string): Promise<Answer> =>
    call(
      row.route.method.toUpperCase(),
      `${system().services[caller]!.daprHttpUrl}/v1.0/invoke/${row.service}/method${pathOf(row.route, 'x')}`,
      {
        headers: { 'dapr-api-token': system().daprApiToken },
      },
    );
  const callersOf = ({ route }: { route: Route }): readonly string[] =>
    (route.access as { callers: readonly string[] }).callers;

  test.each(internal)('$name: refused without the app API token, also to an administrator', async (row) => {
    for (const headers of [
      {},
      bearing(tokenFor(randomUUID(), 'admin')),
      { 'dapr-api-token': 'x'.repeat(secrets.appApiToken.length) },
    ]) {
      const answer = await knock(row, headers);
      expect([answer.status, codeOf(answer)]).toEqual([401, 'auth.sidecar_only']);
    }
  });

  test.each(internal)('$name: by invocation, open to its callers only', async (row) => {
    for (const caller of Object.keys(ROUTES).filter((appId) => appId !== row.service)) {
      expect([caller, isLetIn(await through(row, caller))]).toEqual([caller, callersOf(row).includes(caller)]);
    }
  });

  test('the API of a sidecar is closed without its token', async () => {
    for (const { daprHttpUrl } of Object.values(system().services)) {
      expect((await call('GET', `${daprHttpUrl}/v1.0/metadata`)).status).toBe(401);
    }
  });
});
