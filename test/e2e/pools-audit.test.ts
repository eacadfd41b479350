import { spawnSync } from 'node:child_process';
import { Client } from 'pg';
import { readBooks } from '../../tools/books';
import { root } from '../../tools/instance';
import { E2E } from './support/e2e-instance';
import { as, createPool, faultsInTheBooks, idOf, poolInput, SERVICE } from './support/pools';
import { system } from './support/system';

/** Issue 4, point 9: the audit finds each kind of difference, and nothing where there is none. */

jest.setTimeout(60_000);

let client: Client;
let poolId: string;
let allocationId: string;

beforeAll(async () => {
  client = new Client({ connectionString: system().databaseUrl });
  await client.connect();
  poolId = await createPool(10);
  const to = `allocation/resource_pools/${poolId}/allocations`;
  allocationId = idOf(await as('service', 'POST', to, { service_id: SERVICE, capacity: 4 }));
});
afterAll(() => client.end());

/** What the audit says after a hand has been in the database; nobody else ever sees it. */
async function after(statement: string, ...params: unknown[]): Promise<string[]> {
  await client.query('BEGIN');
  try {
    await client.query(statement, params);
    return (await readBooks(client, 0)).differences;
  } finally {
    await client.query('ROLLBACK');
  }
}

/** Sets one field of a row. */
const set = (key: string, field: string, value: unknown) =>
  after(
    `UPDATE state SET value = convert_to(jsonb_set(state_json(value), ARRAY[$2], $3::jsonb)::text, 'UTF8') WHERE key = $1`,
    key,
    field,
    JSON.stringify(value),
  );
const inventory = () => `allocation||inventory:${poolId}`;
const pool = () => `resource-pool||pool:${poolId}`;

test('nothing where there is nothing', async () => {
  expect(await faultsInTheBooks()).toEqual([]);
});

test('an inventory that is not the sum of its allocations', async () => {
  expect(await set(inventory(), 'allocated', 5)).toEqual([
    `pool ${poolId}: its inventory says 5 allocated, its 1 allocations hold 4`,
  ]);
});

test('an allocation without an inventory, and a pool without one', async () => {
  expect(await after('DELETE FROM state WHERE key = $1', inventory())).toEqual([
    `allocation ${allocationId}: its pool ${poolId} has no open inventory`,
    `pool ${poolId}: it has no open inventory`,
  ]);
});

test('an allocation that ended without its capacity', async () => {
  const found = await after(
    `UPDATE state SET value = convert_to((state_json(value) || '{"released_at": "2026-11-23T09:30:00.000Z"}')::text, 'UTF8') WHERE key = $1`,
    `allocation||allocation:${allocationId}`,
  );
  expect(found).toEqual([`pool ${poolId}: its inventory says 4 allocated, its 0 allocations hold 0`]);
});

test('an inventory without a pool', async () => {
  expect(await after('DELETE FROM state WHERE key = $1', pool())).toEqual([
    `inventory ${poolId}: there is no such pool`,
  ]);
});

test('a pool that is oversold, and one that differs from its inventory', async () => {
  expect(await set(inventory(), 'total', 3)).toEqual([
    `pool ${poolId}: oversold, 4 allocated of 3`,
    `pool ${poolId}: total_capacity is 10 in the catalogue and 3 in its inventory`,
  ]);
  expect(await set(pool(), 'state', 'cordoned')).toEqual([
    `pool ${poolId}: state is "cordoned" in the catalogue and "open" in its inventory`,
  ]);
});

test('a change that was left pending', async () => {
  const since = '2026-01-01T00:00:00.000Z';
  const found = await after(
    `UPDATE state SET value = convert_to((state_json(value) || jsonb_build_object('pending', 'close', 'pending_since', $2::text))::text, 'UTF8') WHERE key = $1`,
    pool(),
    since,
  );
  expect(found).toEqual([`pool ${poolId}: a change (close) is pending since ${since}`]);
});

test('over its capacity because that was allowed is no difference', async () => {
  const to = `resource-pool/resource_pools/${poolId}`;
  const shrunk = await as('owner', 'PUT', `${to}?resize=allow`, poolInput({ total_capacity: 3 }));
  expect(shrunk.status).toBe(200);
  expect(await faultsInTheBooks()).toEqual([]);
  await as('owner', 'PUT', to, poolInput({ total_capacity: 10 }));
});

describe('npm run audit', () => {
  const audit = (env: Record<string, string> = {}) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['tools/run.mjs', 'audit'], {
      cwd: root,
      env: { ...process.env, ...E2E, ...env },
      encoding: 'utf8',
    });
    return { status, lines: stdout.trim().split('\n'), stderr };
  };

  test('clean: one line with the counts, and 0', () => {
    const { status, lines } = audit();
    expect([status, lines]).toEqual([
      0,
      [expect.stringMatching(/^clean: \d+ pools, \d+ allocations, \d+ of \d+ units allocated$/)],
    ]);
  });

  test('a difference: a line that tells it, and 1', async () => {
    const change = `UPDATE state SET value = convert_to(jsonb_set(state_json(value), '{allocated}', $2::jsonb)::text, 'UTF8') WHERE key = $1`;
    try {
      await client.query(change, [inventory(), '9']);
      const { status, lines } = audit({ DATABASE_URL: system().databaseUrl });
      expect([status, lines]).toEqual([
        1,
        [
          `pool ${poolId}: its inventory says 9 allocated, its 1 allocations hold 4`,
          expect.stringMatching(/^1 differences in \d+ pools/),
        ],
      ]);
    } finally {
      await client.query(change, [inventory(), '4']);
    }
  });

  test('a database that does not answer: a sentence that says so, and neither 0 nor 1', () => {
    const { status, stderr } = audit({ DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' });
    expect([status, stderr]).toEqual([2, expect.stringContaining('The database does not answer')]);
  });
});
