import { randomUUID } from 'node:crypto';
import http from 'node:http';
import { Client } from 'pg';
import {
  DaprUsageReports,
  recordsStatement,
  SLICE,
  sliceStatement,
} from '../../services/blockchain-forwarder/adapters/dapr-usage-reports';
import { DaprUsageStore } from '../../services/blockchain-forwarder/adapters/dapr-usage-store';
import { usageRecord } from '../../services/blockchain-forwarder/test/support/samples';
import { describeUsageReports } from '../../services/blockchain-forwarder/test/usage-reports.contract';
import { sidecarOf } from './support/sidecars';
import { call, eventually, kill, system, tokenFor } from './support/system';

/** Issue 6, point 10: summaries and files of usage records, on the real state store and PostgreSQL. */

jest.setTimeout(300_000);

const FORWARDER = 'blockchain-forwarder';
const sidecar = sidecarOf(FORWARDER);

describe.each([
  ['Dapr', SLICE],
  ['Dapr, in slices of two,', 2],
])('%s', (name, slice) => {
  describeUsageReports(name, () => ({
    store: new DaprUsageStore(sidecar),
    reports: new DaprUsageReports(sidecar, slice),
  }));
});

describe('at scale', () => {
  const RECORDS = Number(process.env.RM_REPORT_RECORDS || '100000');
  const heavyUser = randomUUID();
  const lightUser = randomUUID();
  /** Tells the rows of this test. */
  const poolId = randomUUID();
  /** 20 years of records, so a month is about 420 of 100,000. */
  const stepSeconds = Math.floor((20 * 365 * 86_400) / RECORDS);
  const month = { from: '2012-03-01T00:00:00.000Z', to: '2012-04-01T00:00:00.000Z' };
  const rangeOfTest = 'to=2021-01-01T00:00:00.000Z';
  const admin = tokenFor(randomUUID(), 'admin');
  let database: Client;

  beforeAll(async () => {
    database = new Client({ connectionString: system().databaseUrl });
    await database.connect();
    const record = { ...usageRecord(), poolId, capacity: 3, startedAt: '2000-01-01T00:00:00.000Z' };
    const iso = `'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'`;
    await database.query(
      `INSERT INTO state (key, value)
       SELECT '${FORWARDER}||usage:' || id, convert_to(jsonb_build_object('usageHash', '0x' || repeat('a', 64),
           'contentHash', '0x' || repeat('b', 64), 'receivedAt', '2026-01-01T00:00:00.000Z', 'traceparent', null,
           'record', $1::jsonb || jsonb_build_object('id', id,
             'startedAt', to_char(ended - interval '90.5 seconds', ${iso}), 'endedAt', to_char(ended, ${iso}),
             'userId', CASE WHEN n % 2 = 0 THEN $2::text WHEN n % 1000 = 1 THEN $3 ELSE '00000000-0000-4000-8000-' || lpad((n % 500)::text, 12, '0') END,
             'serviceType', CASE WHEN n % 10 = 0 THEN 'jupyter' ELSE 'demo' END))::text, 'UTF8')
       FROM (SELECT n, gen_random_uuid()::text AS id, timestamp '2001-01-01' + n * interval '${stepSeconds} seconds' AS ended
         FROM generate_series(1, ${RECORDS}) AS n) AS made`,
      [JSON.stringify(record), heavyUser, lightUser],
    );
    await database.query('VACUUM ANALYZE state');
  });
  afterAll(async () => {
    await database.query(
      `DELETE FROM state WHERE key LIKE '${FORWARDER}||usage:%' AND state_json(value) #>> '{record,poolId}' = $1`,
      [poolId],
    );
    await database.query('VACUUM ANALYZE state');
    await database.end();
  });

  async function planOf({ sql, params }: { sql: string; params: string[] }): Promise<Plan> {
    const { rows } = await database.query<{ 'QUERY PLAN': [{ Plan: Plan }] }>(
      `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${sql}`,
      params,
    );
    return rows[0]!['QUERY PLAN'][0].Plan;
  }
  async function rowsRead(statement: { sql: string; params: string[] }): Promise<number> {
    const nodes = nodesOf(await planOf(statement));
    expect(nodes.map((node) => node['Node Type'])).not.toContain('Seq Scan');
    const scans = nodes.filter((node) => node['Relation Name'] === 'state');
    expect(scans.length).toBeGreaterThan(0);
    return scans.reduce(
      (sum, scan) => sum + (scan['Actual Rows'] + (scan['Rows Removed by Filter'] ?? 0)) * scan['Actual Loops'],
      0,
    );
  }

  test.each([
    ['of a user with few, over a month', { userId: lightUser, ...month }, 10],
    ['of a user with half of all, over a month', { userId: heavyUser, ...month }, 0.01 * RECORDS],
    ['of a type over a month', { serviceType: 'jupyter', ...month }, 0.01 * RECORDS],
    ['of everyone over a month', month, 0.02 * RECORDS],
    ['of a user with few', { userId: lightUser }, 0.01 * RECORDS],
    ['of a user with half of all, a slice at a time', { userId: heavyUser, serviceType: 'gone' }, 1.1 * SLICE],
    ['of everyone, a slice at a time', { kind: 'allocation' as const }, 1.1 * SLICE],
  ])('when a summary %s is asked for, then only what it sums up is read, by an index', async (_name, filter, most) => {
    for (const by of ['day', 'pool', 'serviceType'] as const) {
      const statement = sliceStatement(filter, by, { limit: SLICE });
      expect(await rowsRead(statement)).toBeLessThanOrEqual(most);
    }
  });

  test('when a page of records is read for a file, then only that page is, by an index', async () => {
    const after = { at: '2012-03-01T00:00:00.000Z', id: randomUUID() };
    for (const filter of [{}, { userId: heavyUser }, { userId: lightUser }, { serviceType: 'demo' }]) {
      expect(await rowsRead(recordsStatement(filter, { limit: 1000, after }))).toBeLessThanOrEqual(1000);
    }
  });

  test('when a page or slice lies far within the times asked for, then the way to it is as short as without them', async () => {
    const after = { at: '2012-03-01T00:00:00.000Z', id: randomUUID() };
    const blocks = async (statement: { sql: string; params: string[] }) => {
      const plan = await planOf(statement);
      return plan['Shared Hit Blocks'] + plan['Shared Read Blocks'];
    };
    const page = { limit: 100, after };
    const times = { from: '2001-01-01T00:00:00.000Z', to: '2021-01-01T00:00:00.000Z' };
    const [records, slice] = [await blocks(recordsStatement({}, page)), await blocks(sliceStatement({}, 'day', page))];
    expect(await blocks(recordsStatement(times, page))).toBeLessThanOrEqual(records + 20);
    expect(await blocks(sliceStatement(times, 'day', page))).toBeLessThanOrEqual(slice + 20);
  });

  test('when everything is summed up, then it is answered and right', async () => {
    const began = Date.now();
    const { status, body } = await call('GET', `${FORWARDER}/api/usage/summary?by=pool&${rangeOfTest}`, {
      token: admin,
    });
    console.log(`a summary of ${RECORDS} records by pool took ${Date.now() - began} ms`);
    expect(status).toBe(200);
    const sum = (body as { key: string }[]).find(({ key }) => key === poolId);
    expect(sum).toEqual({
      key: poolId,
      count: RECORDS,
      seconds: `${RECORDS * 90.5}.000`,
      unitSeconds: `${RECORDS * 90.5 * 3}.000`,
    });
  });

  test('when a user sums up a month, then it takes a moment', async () => {
    const query = `by=day&from=${month.from}&to=${month.to}`;
    const token = tokenFor(heavyUser, 'user');
    const began = Date.now();
    const { body } = await call('GET', `${FORWARDER}/api/usage/summary?${query}`, { token });
    console.log(`a summary of a user over a month by day took ${Date.now() - began} ms`);
    expect(body).toHaveLength(31);
    expect(Date.now() - began).toBeLessThan(1_000);
  });

  test('when all are exported, then each is one line, and the memory of the service stays flat', async () => {
    const before = await residentBytes();
    const began = Date.now();
    let highest = 0;
    const watch = setInterval(() => void residentBytes().then((bytes) => (highest = Math.max(highest, bytes))), 200);
    const response = await exportAll();
    expect(response.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    expect(response.headers.get('content-disposition')).toBe('attachment; filename="usage.csv"');
    const ids = new Set<string>();
    let [chunks, rest, bytes] = [0, '', 0];
    for await (const chunk of response.body!) {
      chunks += 1;
      bytes += (chunk as Uint8Array).length;
      const lines = (rest + Buffer.from(chunk as Uint8Array).toString()).split('\r\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line.includes(poolId)) ids.add(line.slice(0, 36));
    }
    clearInterval(watch);
    const grown = Math.round((highest - before) / 1e6);
    console.log(
      `${ids.size} records, ${bytes} bytes, ${chunks} chunks, ${Date.now() - began} ms; memory grew by ${grown} MB`,
    );
    expect(rest).toBe('');
    expect(ids.size).toBe(RECORDS);
    expect(chunks).toBeGreaterThan(RECORDS / 1000);
    expect(grown).toBeLessThan(100);
  });

  test('when the client goes away, then no more is read', async () => {
    const caller = new AbortController();
    const response = await exportAll(caller.signal);
    await response.body!.getReader().read();
    caller.abort();
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const reads = async () =>
      (
        await database.query<{ count: string }>(
          `SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%document%' AND pid <> pg_backend_pid()`,
        )
      ).rows[0]!.count;
    for (let look = 0; look < 10; look += 1) {
      expect(await reads()).toBe('0');
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  });

  test('when the database goes away in the middle, then the connection breaks: the file does not end as if complete', async () => {
    await database.end();
    const outcome = await new Promise<string>((resolve, reject) => {
      const url = `${system().services[FORWARDER]!.url}/api/usage?${rangeOfTest}`;
      const headers = { authorization: `Bearer ${admin}`, accept: 'text/csv' };
      http
        .get(url, { headers }, (response) => {
          expect(response.statusCode).toBe(200);
          // read no further until the database is gone
          response.once('data', () => {
            response.pause();
            const postgres = kill('postgres', { hold: true });
            setTimeout(() => response.resume(), 500);
            setTimeout(() => postgres.release(), 3_000);
          });
          response.once('end', () => resolve(response.complete ? 'complete' : 'broken'));
          response.once('error', () => resolve('broken'));
        })
        .once('error', reject);
    });
    expect(outcome).toBe('broken');
    await eventually('the service has its database back', async () => {
      return (await call('GET', `${FORWARDER}/api/usage?limit=1`, { token: admin })).status === 200;
    });
    database = new Client({ connectionString: system().databaseUrl });
    await database.connect();
  });

  function exportAll(signal?: AbortSignal): Promise<Response> {
    return fetch(`${system().services[FORWARDER]!.url}/api/usage?${rangeOfTest}`, {
      headers: { authorization: `Bearer ${admin}`, accept: 'text/csv' },
      ...(signal ? { signal } : {}),
    });
  }
});

async function residentBytes(): Promise<number> {
  const { body } = await call('GET', `${FORWARDER}/metrics`);
  return Number(/^process_resident_memory_bytes (\S+)$/m.exec(String(body))?.[1]);
}

interface Plan {
  'Node Type': string;
  'Relation Name'?: string;
  'Actual Rows': number;
  'Actual Loops': number;
  'Shared Hit Blocks': number;
  'Shared Read Blocks': number;
  'Rows Removed by Filter'?: number;
  Plans?: Plan[];
}

function nodesOf(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodesOf)];
}
