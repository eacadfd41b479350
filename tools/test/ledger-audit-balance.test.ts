import { randomUUID } from 'node:crypto';
import {
  usageRecordOf,
  type EndOfUse,
  type UsageRecord,
} from '../../services/blockchain-forwarder/domain/usage-record';
import { linesOf, reportOf } from '../ledger-audit/report';
import { nobodyKnows } from '../ledger-audit/stream';
import { auditBalance } from '../ledger-audit/balance';
import { Findings } from '../ledger-audit/findings';
import { LedgerWorld, NOW, POOL, soundWorld } from './ledger-world';

/** Issue 6, point 8: each use has one record that says what its service says, and each record has a use. */

let world: LedgerWorld;
beforeEach(async () => {
  world = await soundWorld();
});

const recordOf = (end: EndOfUse, change: object = {}) => ({ ...usageRecordOf(end)!, ...change }) as UsageRecord;
const taskOf = (end: EndOfUse) => (end.data as { taskId: string }).taskId;

test('all days and pools, where all is in order', async () => {
  const { days } = await world.audit();
  const counts = { uses: 9, records: 9, corrections: 0, quarantined: 0, dead: 0, pending: 0 };
  expect(days.list()).toEqual([{ day: '2026-11-23', ...counts, lost: 0, invented: 0, twice: 0, differing: 0 }]);
  // four tasks of 1.5 h on 2 units, five allocations of half an hour on 4
  expect(days.unitSeconds()).toEqual([
    { day: '2026-11-23', pool: POOL, records: '79200', history: '79200', open: '0', difference: '0' },
  ]);
});

test('tasks that never ran or still run, and what tasks or nobody has given back, are no uses', async () => {
  world.task({ startTime: null });
  world.task({ status: 'Running', stopTime: '2026-11-23T10:30:00.000Z' });
  world.allocation({ taskId: randomUUID() });
  const held = world.allocation();
  const row = world.rows.get(`allocation||allocation:${(held.data as { allocation_id: string }).allocation_id}`);
  for (const field of ['released_at', 'released_by', 'end_reason']) delete row[field];
  expect(await world.faults()).toEqual([]);
});

test('a use that is lost', async () => {
  const end = world.task();
  expect(await world.faults()).toEqual([
    `use.lost: task ${taskOf(end)} ended at 2026-11-23T10:30:00.000Z: no record ${end.id}, no dead letter, not on its way`,
  ]);
  const { days } = await world.audit();
  expect(days.unitSeconds()).toMatchObject([{ open: '10800', difference: '0' }]);
});

test('a use whose event is in an outbox, in the broker alone or in a bundle, is on its way', async () => {
  const [single, first, second, third] = [world.allocation(), world.task(), world.task(), world.allocation()];
  world.rows.set(`allocation||outbox:${single.id}`, [single]);
  world.broker.push([first, second], third, 'no event', 7);
  expect(await world.faults()).toEqual([]);
  expect((await world.audit()).days.total()).toMatchObject({ uses: 13, records: 9, pending: 4, lost: 0 });
});

test('a use that is on its way for too long', async () => {
  const end = world.task();
  world.broker.push(end);
  expect(await world.faults({ maxAgeMs: 60_000 })).toEqual([
    `use.stuck: task ${taskOf(end)} ended at 2026-11-23T10:30:00.000Z, and its event is still in the broker`,
  ]);
});

test('a use that came to a dead letter is no fault, but told', async () => {
  const [unusable, invalid] = [world.task(), world.allocation()];
  const letter = { topic: 't', detail: 'd', receivedAt: NOW.toISOString() };
  const reason = 'usage.unusable';
  world.rows.set('blockchain-forwarder||dead:1', { ...letter, id: '1', eventId: unusable.id, reason, event: '' });
  const bundle = JSON.stringify([invalid]);
  world.rows.set('blockchain-forwarder||dead:2', { ...letter, id: '2', eventId: null, reason, event: bundle });
  const { findings, days } = await world.audit();
  expect(findings.faults).toEqual([]);
  expect(findings.notes).toEqual([
    `task ${taskOf(unusable)} has no record but the dead letter 1 (usage.unusable)`,
    expect.stringContaining('but the dead letter 2'),
  ]);
  expect(days.total()).toMatchObject({ dead: 2, lost: 0 });
});

test('a record without a use', async () => {
  const end = new LedgerWorld().task();
  await world.batch(end);
  expect(await world.faults()).toEqual([
    `use.invented: record ${end.id} is of task ${taskOf(end)}, that is not there, or not of its shape`,
  ]);
});

test('a record of what a task held, of a task that never ran, and one under another id than its event has', async () => {
  const held = world.allocation({ taskId: randomUUID() });
  const never = world.task({ startTime: null });
  const other = world.allocation();
  await world.batchOf(
    recordOf({ ...held, data: { ...held.data, task_id: null } } as EndOfUse),
    recordOf({ ...never, data: { ...never.data, startTime: '2026-11-23T09:00:00.000Z' } } as EndOfUse),
    recordOf(other, { id: randomUUID() }),
  );
  const faults = await world.faults();
  expect(faults).toHaveLength(5);
  expect(faults).toEqual([
    expect.stringMatching(/^use.invented: record .* that task .* held, whose own record covers it$/),
    expect.stringMatching(/^use.invented: record .* that never ran$/),
    expect.stringMatching(/^use.invented: record .* whose event has the id /),
    expect.stringMatching(/^use.lost: allocation /),
    // the record counts, and the use waits for one
    expect.stringMatching(/^units.differ: pool .* 7200 unit-seconds off its history$/),
  ]);
});

test('two records of one use', async () => {
  const end = world.task();
  const second = randomUUID();
  await world.batchOf(recordOf(end), recordOf(end, { id: second }));
  const faults = await world.faults();
  expect(faults).toEqual([
    `use.twice: task ${taskOf(end)} has record ${end.id} and record ${second}`,
    expect.stringContaining('the records are 10800 unit-seconds off'),
  ]);
});

test.each([
  ['capacity', 3],
  ['poolId', '00000000-0000-4000-8000-000000000001'],
  ['userId', '00000000-0000-4000-8000-000000000002'],
  ['allocationId', null],
  ['serviceType', 'demo'],
  ['startedAt', '2026-11-23T09:00:00.001Z'],
  ['endedAt', '2026-11-24T00:00:00.000Z'],
  ['duration', 'PT1H'],
  ['reason', 'exited'],
])('a record whose %s is another one than the task says', async (field, value) => {
  const end = world.task();
  const record = recordOf(end);
  await world.batchOf({ ...record, [field]: value });
  const faults = await world.faults();
  const was = JSON.stringify(record[field as keyof UsageRecord]);
  expect(faults[0]).toBe(
    `use.differs: record ${end.id} of task ${taskOf(end)}: ${field} is ${JSON.stringify(value)}, not ${was}`,
  );
  const units = ['capacity', 'poolId', 'startedAt', 'endedAt'].includes(field);
  expect(faults.slice(1).every((fault) => fault.startsWith('units.differ'))).toBe(true);
  expect(faults.length > 1).toBe(units);
});

test('a record of another event that took the id: a fault, and counted as quarantined where a letter says so', async () => {
  const end = world.task();
  await world.batchOf(recordOf(end, { reason: 'invented' }));
  const letter = { id: '1', topic: 't', detail: 'd', receivedAt: '', eventId: end.id, event: JSON.stringify(end) };
  world.rows.set('blockchain-forwarder||dead:1', { ...letter, reason: 'usage.content_mismatch' });
  const { findings, days } = await world.audit();
  expect(findings.faults.map(({ code }) => code)).toEqual(['use.differs']);
  expect(days.total()).toMatchObject({ quarantined: 1, differing: 1 });
});

test('a task whose allocation says something else, or is not there', async () => {
  const end = world.task();
  await world.batch(end);
  const key = `allocation||allocation:${(end.data as { allocationId: string }).allocationId}`;
  world.rows.get(key).allocated_capacity = 5;
  world.rows.get(key).resource_pool_id = 'another';
  expect((await world.faults())[0]).toMatch(/is of pool another, not .*, is of 5 units, not 2$/);
  world.rows.delete(key);
  expect(await world.faults()).toEqual([
    expect.stringMatching(/^holding.differs: task .*: allocation .*, which it held, is not there$/),
  ]);
});

test('a correction is counted apart, and must name a record that is there', async () => {
  const first = world.usage(0).record as UsageRecord;
  const correction = (corrects: string) =>
    ({ ...first, id: randomUUID(), version: 2, corrects, capacity: 1 }) as unknown as UsageRecord;
  await world.batchOf(correction(first.id), correction('nothing'));
  expect(await world.faults()).toEqual([
    expect.stringMatching(/^correction.dangling: record .* corrects record nothing, which is not there$/),
  ]);
  expect((await world.audit()).days.total()).toMatchObject({ uses: 9, records: 9, corrections: 2 });
});

test('only what ended since a time is balanced', async () => {
  const late = world.allocation({ releasedAt: '2026-11-24T00:00:00.000Z' });
  world.task();
  await world.batch(late);
  const { days, findings } = await world.audit({ since: '2026-11-24' });
  expect(findings.faults).toEqual([]);
  expect(days.list()).toMatchObject([{ day: '2026-11-24', uses: 1, records: 1 }]);
});

test('where the broker is away, it is asked only for uses that are in nothing else', async () => {
  const away = { now: NOW, maxAgeMs: 1, pending: nobodyKnows('the broker does not answer') };
  let findings = new Findings();
  await auditBalance(world, findings, away);
  expect(findings.exitCode).toBe(0);
  world.task();
  findings = new Findings();
  await auditBalance(world, findings, away);
  expect(findings.faults).toEqual([]);
  expect(findings.unchecked).toEqual([
    { part: 'broker', reason: '1 uses may be on their way, and the broker does not answer' },
  ]);
  expect(findings.exitCode).toBe(2);
});

test('the report, for people and for machines', async () => {
  world.task();
  const audit = await world.audit();
  const lines = linesOf(audit, { chain: false, file: true });
  expect(lines[0]).toMatch(/^use.lost: task /);
  expect(lines).toContainEqual(expect.stringMatching(/^2026-11-23 +10 +9 +0 +0 +0 +0 +1 +0 +0 +0$/));
  expect(lines.slice(-4)).toEqual([
    'ledger: 5 batches of 9 records, 0 records wait for a batch',
    'chain: none is configured, nothing was compared',
    'file: could not be checked',
    '1 faults in 5 batches, 9 records',
  ]);
  expect(reportOf(audit)).toMatchObject({ result: 'faults', faults: [{ code: 'use.lost' }], ledger: { records: 9 } });
});

test('of each kind of fault a thousand are told, and of the others how many there are', () => {
  const findings = new Findings();
  for (let count = 0; count < 1_003; count += 1) findings.fault('use.lost', String(count));
  expect(findings.faults).toHaveLength(1_000);
  expect(findings.untold()).toEqual([{ code: 'use.lost', count: 3 }]);
  expect(findings.total).toBe(1_003);
});
