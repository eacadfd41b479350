import { readdirSync, readFileSync } from 'node:fs';
import { Validator } from '@seriousme/openapi-schema-validator';
import { createAuthorizer, type Authorizer } from '../../shared/authz/authorizer';
import { openApiDocument } from '../../shared/http/openapi';
import { silentLogger } from '../../shared/logging/logger';
import { isTest, publishedCodes, typescriptFiles } from './error-codes';
import { ALL_ROUTES, pathOf, ROUTES } from './route-tables';
import { SHIPPED_ROLES } from './shipped-roles';

/** The route tables, the policies and the published codes belong together. */

/** Permissions that only administrators have: `p, admin, *, *`. This list can only shrink. */
const FOR_ADMINS_ONLY = ['usage:admin'];

/** Codes that no test has brought about yet. This list can only shrink. */
const UNTESTED_CODES = [
  // the seconds before views and indexes are in place
  'schema.unavailable',
  'task.start_refused',
  // a lost race of two replicas
  'task.version_conflict',
];

let authorizer: Authorizer;
beforeAll(async () => {
  authorizer = await createAuthorizer(
    { model: 'shared/authz/model.conf', policy: 'shared/authz/policy.csv' },
    silentLogger,
  );
});
afterAll(() => authorizer.close());

const closed = ALL_ROUTES.flatMap(({ route, name }) =>
  typeof route.access === 'object' && 'permission' in route.access
    ? [{ name, route, permission: route.access.permission }]
    : [],
);
const policies = readFileSync('shared/authz/policy.csv', 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('p,'))
  .map((line) => line.split(',').map((word) => word.trim()) as [string, string, string, string]);

test('the tables cover every service', () => {
  expect(Object.keys(ROUTES).sort()).toEqual(readdirSync('services').sort());
});

test('nothing is public but what the server itself serves, and the keys to check receipts by', () => {
  const open = ALL_ROUTES.filter(({ route }) => route.access === 'public').map(({ name }) => name);
  expect(open).toEqual(['blockchain-forwarder: GET /.well-known/jwks.json']);
});

test.each(closed)('$name: some role beside the administrators may use it', ({ route, permission }) => {
  const roles = [...new Set(policies.map(([, subject]) => subject))].filter((role) => role !== 'admin');
  const sub = '22222222-2222-4222-8222-222222222222';
  const allowed = roles.filter((role) => authorizer.allows({ sub, roles: [role] }, pathOf(route).slice(1), permission));
  const cure = `shared/authz/policy.csv needs a line: p, <role>, ${route.path.slice(1)}, ${permission}`;
  if (FOR_ADMINS_ONLY.includes(permission)) expect(allowed).toEqual([]);
  else expect(allowed.length > 0 ? allowed : cure).toEqual(allowed);
});

test('each role of the policies opens just what shipped-roles.ts says of it, and admin everything', () => {
  const doors = [
    ...closed.map(({ route, permission }) => ({ object: pathOf(route).slice(1), permission })),
    // asked for beside the permission of the route
    { object: 'api/tasks', permission: 'task:admin' },
    { object: 'api/usage', permission: 'usage:admin' },
  ];
  const sub = '22222222-2222-4222-8222-222222222222';
  const opened = (role: string): string[] =>
    doors
      .filter(({ object, permission }) => authorizer.allows({ sub, roles: [role] }, object, permission))
      .map(({ object, permission }) => `${permission} on ${object}`);
  const said = (role: string): string[] =>
    doors
      .filter(({ permission }) => role === 'admin' || SHIPPED_ROLES[role]?.includes(permission))
      .map(({ object, permission }) => `${permission} on ${object}`);
  const roles = [...new Set([...policies.map(([, subject]) => subject), ...Object.keys(SHIPPED_ROLES), 'nobody'])];
  expect(Object.fromEntries(roles.map((role) => [role, opened(role)]))).toEqual(
    Object.fromEntries(roles.map((role) => [role, said(role)])),
  );
});

test('every rule of the policies opens some route', () => {
  const dead = policies.filter(([, subject, object, permission]) => {
    if (subject === 'admin') return false;
    return !closed.some(
      (each) =>
        each.permission === permission &&
        each.route.path.slice(1).replace(/\{\w+\}/g, '{}') === object.replace(/\{\w+\}/g, '{}'),
    );
  });
  expect(dead).toEqual([]);
});

test.each(Object.keys(ROUTES))(
  'the OpenAPI document of %s is valid, and holds no route of the sidecars',
  async (service) => {
    const document = openApiDocument(service, ROUTES[service]!) as { paths: object };
    const result = await new Validator().validate({ ...document });
    expect(result.errors ?? []).toEqual([]);
    expect(Object.keys(document.paths).filter((path) => /^\/(internal|events)\//.test(path))).toEqual([]);
  },
);

test('no two routes of a service answer the same method and path', () => {
  for (const routes of Object.values(ROUTES)) {
    const keys = routes.map(({ method, path }) => `${method} ${path.replace(/\{\w+\}/g, '{}')}`);
    expect(new Set(keys).size).toBe(keys.length);
  }
});

describe('codes of errors, a published contract', () => {
  const own = ['services', 'shared'].flatMap(typescriptFiles);
  const tests = [...own.filter(isTest), ...typescriptFiles('test')]
    .filter((file) => !file.endsWith('routes.test.ts'))
    .map((file) => readFileSync(file, 'utf8'));
  const codes = publishedCodes().keys();

  test('each is in a test', () => {
    expect([...codes].sort().filter((code) => !tests.some((text) => text.includes(code)))).toEqual(UNTESTED_CODES);
  });

  test('what a route says that it may answer with, something throws', () => {
    const everything = own
      .filter((file) => !isTest(file) && !file.endsWith('/routes.ts'))
      .map((file) => readFileSync(file, 'utf8'));
    const named = new Set(ALL_ROUTES.flatMap(({ route }) => route.errors ?? []));
    expect([...named].filter((code) => !everything.some((text) => text.includes(`'${code}'`)))).toEqual([]);
  });
});
