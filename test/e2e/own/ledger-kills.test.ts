// Slow: everything that the ledger stands on is killed in turn, and each part comes back by itself.
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { eventOf, toReleasedRow } from '../../../services/allocation/adapters/rows';
import { usageRecordOf, type EndOfUse } from '../../../services/blockchain-forwarder/domain/usage-record';
import type { CloudEvent } from '../../../shared/contracts/events';
import { root } from '../../../tools/instance';
import { askNode } from '../support/chain';
import { E2E_PORT_OFFSET } from '../support/e2e-instance';
import { isSettled, judgeLedger } from '../support/ledger-judge';
import { OwnSystem } from '../support/own-system';
import { eventually } from '../support/system';

/** Issue 6: everything that the ledger stands on is killed in turn while ends of uses flow, and nothing is lost or doubled. */

jest.setTimeout(400_000);

const EVENTS = 20_000;
const ROWS_AT_ONCE = 50;
const ENDS_A_ROW = 10;
const FEED_EVERY_MS = 1_500;
const KILLED = [
  'blockchain-forwarder',
  'daprd-blockchain-forwarder',
  'nats',
  'postgres',
  'chain',
  'allocation',
  'daprd-allocation',
];
const KILL_EVERY_MS = 4_500;
const ENV = {
  RM_INSTANCE: 'ledger-kills',
  RM_PORT_OFFSET: String(E2E_PORT_OFFSET + 500),
  RM_APPS: 'allocation,blockchain-forwarder',
  DELIVERY_BACK_OFF_CAP_MS: '2000',
  LEDGER_BATCH_AGE_MS: '1000',
  // a killed anvil forgets up to a second of blocks: what is final must lie deeper
  EVM_CONFIRMATIONS: '12',
};
const [POOL, SERVICE, USER] = [randomUUID(), randomUUID(), randomUUID()];
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

let system: OwnSystem;
let mining: NodeJS.Timeout;
beforeAll(async () => {
  system = await OwnSystem.start(ENV);
  // while the chain is away nothing is mined
  mining = setInterval(() => void askNode(system.info.evm!.rpcUrl, 'anvil_mine', '0x1').catch(() => undefined), 500);
}, 150_000);
afterAll(async () => {
  clearInterval(mining);
  // it may not have come up
  await (system as OwnSystem | undefined)?.stop();
});

/** An allocation that has ended, as allocation writes it down and tells of it. */
interface Ended {
  key: string;
  row: object;
  event: CloudEvent;
}

function ended(n: number): Ended {
  const from = Date.UTC(2026, 0, 1) + n * 20_000;
  const at = (ms: number) => new Date(ms).toISOString();
  const allocation = {
    id: randomUUID(),
    poolId: POOL,
    serviceId: SERVICE,
    capacity: 1 + (n % 7),
    createdAt: at(from),
    createdBy: USER,
    taskId: null,
    groupId: null,
    lease: null,
    updatedAt: at(from),
  };
  const end = { releasedAt: at(from + n * 1_001), releasedBy: USER, reason: 'released' };
  return {
    key: `allocation||allocation:${allocation.id}`,
    row: toReleasedRow({ ...allocation, ...end }),
    event: eventOf({ kind: 'released', allocation, ...end } as Parameters<typeof eventOf>[0])!,
  };
}

/** As transactions of allocation leave them: the ends, and a row of its outbox, which its relay publishes. Twice is once. */
async function happen(ends: readonly Ended[]): Promise<void> {
  const transactions = Array.from({ length: Math.ceil(ends.length / ENDS_A_ROW) }, (_, n) =>
    ends.slice(n * ENDS_A_ROW, (n + 1) * ENDS_A_ROW).map(({ event }) => event),
  );
  const rows: (readonly [string, object])[] = [
    ...ends.map(({ key, row }) => [key, row] as const),
    ...transactions.map((events) => [`allocation||outbox:${events[0]!.id}`, events] as const),
  ];
  await system.sql(
    `INSERT INTO state (key, value) SELECT key, convert_to(value, 'UTF8') FROM unnest($1::text[], $2::text[]) AS made(key, value)
     ON CONFLICT (key) DO NOTHING`,
    [rows.map(([key]) => key), rows.map(([, value]) => JSON.stringify(value))],
  );
}

/** `npm run audit:ledger` of this instance, for which nothing is too young to be looked at. */
function audit(): { code: number | null; report: string } {
  const args = ['tools/run.mjs', 'audit:ledger', '--max-age', '0'];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: root,
    env: { ...process.env, ...ENV },
    encoding: 'utf8',
  });
  return { code: status, report: `${stdout}${stderr}` };
}

test('when forwarder, sidecars, broker, database, chain and relay are killed in turn while 20,000 uses end, then each is one record in one anchored batch', async () => {
  const ends = Array.from({ length: EVENTS }, (_, n) => ended(n));
  const events = ends.map(({ event }) => event);
  const began = Date.now();
  const seconds = () => ((Date.now() - began) / 1_000).toFixed(1);
  let fed = 0;
  const feed = async () => {
    while (fed < EVENTS) {
      const wave = ends.slice(fed, fed + ROWS_AT_ONCE * ENDS_A_ROW);
      try {
        await happen(wave);
        fed += wave.length;
      } catch {
        // the database is away: the same wave again
      }
      await pause(FEED_EVERY_MS);
    }
  };
  const kills: string[] = [];
  const killInTurn = async () => {
    while (fed < EVENTS) {
      await pause(KILL_EVERY_MS);
      const name = KILLED[kills.length % KILLED.length]!;
      system.kill(name);
      kills.push(name);
    }
  };
  await Promise.all([feed(), killInTurn()]);
  const flowed = seconds();
  const stored = async () =>
    Number(
      (
        await system.sql<{ count: string }>(`SELECT count(*) FROM state WHERE key LIKE 'blockchain-forwarder||usage:%'`)
      )[0]?.count,
    );
  await eventually(
    'all are stored',
    () =>
      stored().then(
        (count) => count >= EVENTS,
        () => false,
      ),
    120_000,
  );
  const allStored = seconds();
  await eventually('nothing waits', () => isSettled(system).catch(() => false), 120_000);

  const { faults, ids, batches } = await judgeLedger(system);
  console.log(
    `${EVENTS} ends of uses in ${flowed} s with ${kills.length} kills (${kills.join(', ')}); all stored after ${allStored} s, ` +
      `anchored after ${seconds()} s: ${ids.length} records in ${batches.length} batches, ${faults.length} faults`,
  );
  expect(faults).toEqual([]);
  expect(new Set(kills)).toEqual(new Set(KILLED));
  expect(ids.slice().sort()).toEqual(events.map(({ id }) => id).sort());
  const records = new Map(
    (await system.rows<{ record: { id: string } }>('blockchain-forwarder', 'usage:')).map(({ record }) => [
      record.id,
      record,
    ]),
  );
  for (const event of events) expect(records.get(event.id)).toEqual(usageRecordOf(event as EndOfUse));
  expect(await system.rows('blockchain-forwarder', 'dead:')).toEqual([]);
  const { code, report } = audit();
  console.log(report);
  expect([code, report]).toEqual([0, expect.any(String)]);
});

test('when a record, a batch or an order is changed in the database, then the judge of the test before says so, and the audit', async () => {
  const change = async (key: string, from: string, to: string) => {
    const rows = await system.sql(
      `UPDATE state SET value = convert_to(regexp_replace(convert_from(value, 'UTF8'), $2, $3), 'UTF8')
       WHERE key = (SELECT min(key) FROM state WHERE key LIKE $1) RETURNING key`,
      [`blockchain-forwarder||${key}%`, from, to],
    );
    expect(rows).toHaveLength(1);
  };
  await change('usage:', '"capacity":\\d+', '"capacity":99');
  expect((await judgeLedger(system)).faults).toEqual([expect.stringMatching(/^record .* has another leaf$/)]);
  await change('batch:2', '"firstSequence":', '"firstSequence":1');
  await change('leaves:3', '\\[\\[.*?\\],', '[');
  const { faults } = await judgeLedger(system);
  expect(faults.some((fault) => /^batch 2\d* begins with 1/.test(fault))).toBe(true);
  expect(faults.some((fault) => /^batch 3\d* says \d+ records and has \d+$/.test(fault))).toBe(true);
  expect(faults.some((fault) => /^batch 3\d* has another root than its leaves$/.test(fault))).toBe(true);
  expect(faults).toContainEqual(expect.stringMatching(/^20000 records, 19999 in batches$/));
  expect(audit().code).toBe(1);
});
