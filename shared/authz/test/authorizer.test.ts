import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, type Logger } from '../../logging/logger';
import { recordingLogger } from '../../testing/recording-logger';
import { createAuthorizer, type Authorizer } from '../authorizer';

const MODEL = 'shared/authz/model.conf';
const ALICE = '11111111-1111-4111-8111-111111111111';
const POOL = '0b0f9a52-4c0e-4f5e-9a39-5d2a1a6f3c11';
const OTHER = '1b0f9a52-4c0e-4f5e-9a39-5d2a1a6f3c11';

let folder: string;
let opened: Authorizer[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'policy-'));
});
afterEach(() => {
  for (const authorizer of opened) authorizer.close();
  opened = [];
});
afterAll(() => rm(folder, { recursive: true }));

let files = 0;
async function withPolicy(
  policy: string,
  logger: Logger = silentLogger,
): Promise<{ authorizer: Authorizer; file: string }> {
  const file = join(folder, `policy-${(files += 1)}.csv`);
  await writeFile(file, policy);
  const authorizer = await createAuthorizer({ model: MODEL, policy: file }, logger, 50);
  opened.push(authorizer);
  return { authorizer, file };
}

const as = (...roles: string[]) => ({ sub: ALICE, roles });

describe('the matcher', () => {
  test('* as object and permission allows everything to that role, and nothing to others', async () => {
    const { authorizer } = await withPolicy('p, admin, *, *');
    expect(authorizer.allows(as('admin'), `resource_pools/${POOL}`, 'resource_pool:delete')).toBe(true);
    expect(authorizer.allows(as('user'), 'resource_pools', 'resource_pool:list')).toBe(false);
    expect(authorizer.allows(as(), 'resource_pools', 'resource_pool:list')).toBe(false);
  });

  test('a path template stands for exactly one segment', async () => {
    const { authorizer } = await withPolicy('p, owner, resource_pools/{pool_id}, resource_pool:get');
    const may = (path: string) => authorizer.allows(as('owner'), path, 'resource_pool:get');
    expect(may(`resource_pools/${POOL}`)).toBe(true);
    expect(
      ['resource_pools', 'resource_pools/', `resource_pools/${POOL}/allocations`, `x/resource_pools/${POOL}`].map(may),
    ).toEqual([false, false, false, false]);
    expect(authorizer.allows(as('owner'), `resource_pools/${POOL}`, 'resource_pool:delete')).toBe(false);
  });

  test('two templates in one path, and a permission of * on one object', async () => {
    const { authorizer } = await withPolicy('p, owner, resource_pools/{pool_id}/allocations/{allocation_id}, *');
    expect(authorizer.allows(as('owner'), `resource_pools/${POOL}/allocations/${OTHER}`, 'anything')).toBe(true);
    expect(authorizer.allows(as('owner'), `resource_pools/${POOL}/allocations`, 'anything')).toBe(false);
  });

  test('a grant for one pool to one user opens that pool only, and for that user only', async () => {
    const { authorizer } = await withPolicy(
      `p, ${ALICE}, resource_pools/${POOL}, resource_pool:update\np, ${ALICE}, resource_pools/${POOL}/*, resource_allocation:list`,
    );
    expect(authorizer.allows(as('user'), `resource_pools/${POOL}`, 'resource_pool:update')).toBe(true);
    expect(authorizer.allows(as('user'), `resource_pools/${POOL}/allocations`, 'resource_allocation:list')).toBe(true);
    expect(authorizer.allows(as('user'), `resource_pools/${OTHER}`, 'resource_pool:update')).toBe(false);
    expect(authorizer.allows({ sub: OTHER, roles: ['user'] }, `resource_pools/${POOL}`, 'resource_pool:update')).toBe(
      false,
    );
  });

  test('what was decided for one id holds for others that no rule names, and for those only', async () => {
    const { authorizer } = await withPolicy(`p, user, resource_pools/${POOL}, resource_pool:get`);
    const may = (id: string) => authorizer.allows(as('user'), `resource_pools/${id}`, 'resource_pool:get');
    expect([OTHER, POOL, OTHER, POOL.toUpperCase()].map(may)).toEqual([false, true, false, false]);
  });

  test('g lines give a user a role, and a role another role', async () => {
    const { authorizer } = await withPolicy(`p, user, api/tasks, task:list\ng, ${ALICE}, lead\ng, lead, user`);
    expect(authorizer.allows(as(), 'api/tasks', 'task:list')).toBe(true);
    expect(authorizer.allows({ sub: OTHER, roles: [] }, 'api/tasks', 'task:list')).toBe(false);
  });

  test('a role of the token cannot be somebody else’s id', async () => {
    const { authorizer } = await withPolicy(`p, ${ALICE}, api/tasks, task:list`);
    expect(authorizer.allows({ sub: OTHER, roles: [ALICE] }, 'api/tasks', 'task:list')).toBe(false);
  });
});

describe('a policy file that is faulty', () => {
  test.each([
    ['a word too few', 'p, admin, *'],
    ['a word too many', 'p, admin, *, *, allow'],
    ['another kind of line', 'q, admin, *, *'],
    ['an empty word', 'p, , resource_pools, x'],
    ['a brace that is never closed', 'p, user, resource_pools/{pool_id, x'],
    ['empty braces', 'p, user, resource_pools/{}, x'],
    ['a regular expression', 'p, user, resource_pools/(, x'],
    ['a leading slash', 'p, user, /resource_pools, x'],
    ['a star inside a word', 'p, user, resource_pools/a*, x'],
  ])('with %s: the service does not start, and the sentence names the line', async (_name, line) => {
    await expect(withPolicy(`p, admin, *, *\n\n# a comment\n${line} # why`)).rejects.toThrow(/policy lines 4/);
  });

  test('that is missing: the service does not start', async () => {
    await expect(createAuthorizer({ model: MODEL, policy: join(folder, 'none.csv') }, silentLogger)).rejects.toThrow(
      /ENOENT/,
    );
  });
});

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 6_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('it did not come to be within 6 s');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('a policy file that changes', () => {
  test('is taken over without a restart, also when the file is swapped for another', async () => {
    const { authorizer, file } = await withPolicy('p, user, api/tasks, task:list');
    expect(authorizer.allows(as('user'), 'api/tasks', 'task:create')).toBe(false);
    await writeFile(`${file}.new`, 'p, user, api/tasks, task:create');
    await rename(`${file}.new`, file);
    await until(() => authorizer.allows(as('user'), 'api/tasks', 'task:create'));
    expect(authorizer.allows(as('user'), 'api/tasks', 'task:list')).toBe(false);
  }, 10_000);

  test('into a faulty one is refused loudly; the old rules stay until it is mended', async () => {
    const logger = recordingLogger();
    const { authorizer, file } = await withPolicy('p, user, api/tasks, task:list', logger);
    await writeFile(file, 'p, user, api/tasks');
    await until(() => logger.lines.some(({ level }) => level === 'error'));
    expect(authorizer.allows(as('user'), 'api/tasks', 'task:list')).toBe(true);
    await writeFile(file, 'p, user, api/tasks, task:get');
    await until(() => authorizer.allows(as('user'), 'api/tasks', 'task:get'));
  }, 15_000);
});
