import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { auditRows } from '../../tools/ledger-audit/audit';
import { Findings, type Fault } from '../../tools/ledger-audit/findings';
import { DatabaseRows } from '../../tools/ledger-audit/rows';
import { unreadEvents } from '../../tools/ledger-audit/stream';
import { root } from '../../tools/instance';
import { E2E } from './support/e2e-instance';
import { as, createPool, idOf, SERVICE } from './support/pools';
import { eventually, system } from './support/system';

/**
 * Issue 6, point 8, on the real database and broker. Other tests leave records without a use behind and publish events of
 * nobody: so only what a hand adds to what is found without it is judged.
 */

jest.setTimeout(120_000);

let client: Client;
let allocationId: string;
let recordId: string;

beforeAll(async () => {
  client = new Client({ connectionString: system().databaseUrl });
  await client.connect();
  const to = `allocation/resource_pools/${await createPool(10)}/allocations`;
  allocationId = idOf(await as('service', 'POST', to, { service_id: SERVICE, capacity: 4 }));
  expect((await as('service', 'DELETE', `${to}/${allocationId}`)).status).toBe(204);
  await eventually('the use is in a batch', async () => {
    const { rows } = await client.query<{ id: string }>(
      `SELECT usage_records.id FROM usage_records WHERE allocation_id = $1 AND EXISTS (SELECT FROM state
         WHERE key LIKE 'blockchain-forwarder||leaves:%' AND position(usage_records.id::bytea IN value) > 0)`,
      [allocationId],
    );
    recordId = rows[0]?.id ?? '';
    return recordId !== '';
  });
});
afterAll(() => client.end());

async function faults(): Promise<Fault[]> {
  const pending = await unreadEvents(system().natsUrl);
  const outside = { look: null, fileSize: null, pending };
  const options = { now: new Date(), maxAgeMs: 3_600_000 };
  return (await auditRows(new DatabaseRows(client), new Findings(), outside, options)).findings.faults;
}

/** What is found after a hand was in the database, and not without it; nobody else ever sees that hand. */
async function after(statement: string, ...params: unknown[]): Promise<string[]> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  try {
    const before = new Set((await faults()).map(({ text }) => text));
    await client.query(statement, params);
    return (await faults()).filter(({ text }) => !before.has(text)).map(({ code, text }) => `${code}: ${text}`);
  } finally {
    await client.query('ROLLBACK');
  }
}

const usage = () => `blockchain-forwarder||usage:${recordId}`;
const allocation = () => `allocation||allocation:${allocationId}`;
const SET = `UPDATE state SET value = convert_to(jsonb_set(state_json(value), $2::text[], $3::jsonb)::text, 'UTF8') WHERE key = $1`;

test('nothing of a use that went its way', async () => {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  const found = await faults();
  await client.query('ROLLBACK');
  expect(found.filter(({ text }) => text.includes(recordId) || text.includes(allocationId))).toEqual([]);
});

test('a record that was changed', async () => {
  const found = await after(SET, usage(), ['record', 'capacity'], '5');
  expect(found).toEqual([
    expect.stringMatching(
      `^record.changed: record ${recordId} \\(batch \\d+, place \\d+\\): record and salt do not give`,
    ),
    expect.stringMatching(/^batch.changed: batch \d+: its records, in their order, do not give its root/),
    `use.differs: record ${recordId} of allocation ${allocationId}: capacity is 5, not 4`,
    expect.stringMatching(/^units.differ: pool .* unit-seconds off its history$/),
  ]);
});

test('another salt', async () => {
  const found = await after(SET, usage(), ['salt'], JSON.stringify('A'.repeat(22)));
  expect(found.map((fault) => fault.split(':')[0])).toEqual(['record.changed', 'batch.changed']);
});

test('a record that is gone', async () => {
  const found = await after('DELETE FROM state WHERE key = $1', usage());
  expect(found).toEqual([
    expect.stringMatching(`^record.missing: record ${recordId} `),
    expect.stringMatching(`^use.lost: allocation ${allocationId} ended at .*: no record ${recordId}`),
  ]);
});

test('a record that is there twice, under another id', async () => {
  const second = randomUUID();
  const found = await after(
    `INSERT INTO state (key, value, etag) SELECT $2, convert_to(jsonb_set(state_json(value), '{record,id}', to_jsonb($3::text))::text, 'UTF8'), gen_random_uuid()
       FROM state WHERE key = $1`,
    usage(),
    `blockchain-forwarder||usage:${second}`,
    second,
  );
  expect(found.slice(0, 2)).toEqual([
    `record.unplaced: record ${second} is in no batch and waits for none`,
    `use.twice: allocation ${allocationId} has record ${recordId} and record ${second}`,
  ]);
});

test('a record whose use is gone', async () => {
  const found = await after('DELETE FROM state WHERE key = $1', allocation());
  expect(found[0]).toMatch(`use.invented: record ${recordId} is of allocation ${allocationId}, that is not there`);
});

test('a batch that is gone, and a head that is another one', async () => {
  const found = await after(
    `DELETE FROM state WHERE key = 'blockchain-forwarder||batch:' || (SELECT state_json(value) ->> 'batchId'
       FROM state WHERE key = 'blockchain-forwarder||ledger-head')`,
  );
  expect(found[0]).toMatch(/^batch.missing: batch \d+: its row is not there/);
  const head = await after(SET, 'blockchain-forwarder||ledger-head', ['nextSequence'], '1');
  expect(head).toEqual([expect.stringMatching(/^ledger.head: the head says 0x.*, next 1; the last batch: 0x/)]);
});

describe('npm run audit:ledger', () => {
  const run = (args: string[], env: Record<string, string> = {}) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['tools/run.mjs', 'audit:ledger', ...args], {
      cwd: root,
      env: { ...process.env, ...E2E, ...env },
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  };

  test('a report for people, and one for machines, with the code that goes with it', () => {
    const { status, stdout, stderr } = run([]);
    expect([0, 1]).toContain(status);
    expect(stdout).toMatch(/\nledger: \d+ batches of \d+ records, \d+ records wait for a batch\n/);
    expect(stdout.trim()).toMatch(status === 0 ? /\nclean: .*$/ : /\n\d+ faults in .*$/);
    expect(stderr).not.toContain('Error');
    const report = JSON.parse(run(['--json', '--max-age', '7200']).stdout);
    expect(report).toMatchObject({ result: status === 0 ? 'clean' : 'faults', days: expect.any(Array) });
  });

  test('without a database, or with a question that nobody understands: a sentence, and 2', () => {
    const away = run([], { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' });
    expect([away.status, away.stderr]).toEqual([2, expect.stringContaining('The database does not answer')]);
    const wrong = run(['--max-age', 'soon']);
    expect([wrong.status, wrong.stderr]).toEqual([2, expect.stringContaining('npm run audit:ledger -- [--json]')]);
  });
});
