import { LedgerWorld, NOW, soundWorld } from './ledger-world';

/** Issue 6, point 8: what is wrong with records and batches is found, each kind, and nothing where nothing is. */

let world: LedgerWorld;
beforeEach(async () => {
  world = await soundWorld();
});

/** The codes of what is found, and the sentences. */
async function found(): Promise<{ codes: string[]; text: string }> {
  const faults = await world.faults();
  return { codes: [...new Set(faults.map((fault) => fault.split(':')[0]!))].sort(), text: faults.join('\n') };
}

test('nothing where all is in order, and how much was looked at', async () => {
  const { findings, ledger } = await world.audit();
  expect(findings.faults).toEqual([]);
  expect(ledger).toMatchObject({ batches: 5, last: 5, records: 9, waiting: 0 });
  expect(findings.exitCode).toBe(0);
});

test('an empty ledger is in order', async () => {
  expect(await new LedgerWorld().faults()).toEqual([]);
});

test('one changed letter in a record', async () => {
  world.usage(4).record.reason = 'stopped_by_usee';
  const { codes, text } = await found();
  expect(codes).toEqual(['batch.changed', 'record.changed', 'use.differs']);
  expect(text).toContain(
    `record ${world.ids[4]} (batch 3, place 2): record and salt do not give the leaf that is kept with it; ` +
      'record and salt do not give the leaf that the ledger has; the record does not give its usage hash',
  );
  expect(text).toContain('batch 3: its records, in their order, do not give its root');
  expect(text).not.toContain('batch 4');
});

test('a record that was changed with every hash that is kept of it', async () => {
  const other = await soundWorld();
  const [row, foreign] = [world.usage(0), other.usage(0)];
  Object.assign(row, { record: { ...foreign.record, id: row.record.id }, salt: foreign.salt });
  expect((await found()).codes).toEqual(expect.arrayContaining(['batch.changed', 'record.changed']));
});

test('another salt', async () => {
  world.usage(0).salt = Buffer.alloc(16, 7).toString('base64url');
  expect((await found()).codes).toEqual(['batch.changed', 'record.changed']);
});

test('a salt that is written in another way, and one that is too short', async () => {
  world.usage(0).salt += '=';
  world.usage(1).salt = 'AAAA';
  const { text } = await found();
  expect(text).toContain(`record ${world.ids[0]} (batch 1, place 1): has no leaf`);
  expect(text).toContain(`record ${world.ids[1]} (batch 1, place 2): has no leaf`);
});

test('a leaf that is kept with the record, and a usage hash', async () => {
  world.usage(0).leaf = world.usage(1).leaf;
  world.usage(2).usageHash = world.usage(1).usageHash;
  const { codes, text } = await found();
  expect(codes).toEqual(['record.changed']);
  expect(text.split('\n')).toHaveLength(2);
});

test('two leaves swapped under their ids', async () => {
  const [first, second] = world.forwarder('leaves:1');
  world.rows.set('blockchain-forwarder||leaves:1', [
    [first[0], second[1]],
    [second[0], first[1]],
  ]);
  const { codes, text } = await found();
  expect(codes).toEqual(['record.changed']);
  expect(text).toContain('record and salt do not give the leaf that the ledger has');
});

test('another order of the same records', async () => {
  world.rows.set('blockchain-forwarder||leaves:3', [...world.forwarder('leaves:3')].reverse());
  const { codes, text } = await found();
  expect(codes).toEqual(['batch.changed']);
  expect(text).toContain('batch 3: its records, in their order, do not give its root');
});

test('a batch that is gone, with its list, from the middle', async () => {
  world.rows.delete('blockchain-forwarder||batch:3');
  world.rows.delete('blockchain-forwarder||leaves:3');
  const { codes, text } = await found();
  expect(codes).toEqual(['batch.missing', 'record.unplaced']);
  expect(text).toContain('batch 3: its row is not there');
  expect(text).toContain(`record ${world.ids[3]} is in no batch and waits for none`);
});

test('a batch whose list of records is gone', async () => {
  world.rows.delete('blockchain-forwarder||leaves:2');
  expect((await found()).text).toContain('batch 2: its list of records is not there');
});

test('the last batch that is gone', async () => {
  world.rows.delete('blockchain-forwarder||batch:5');
  world.rows.delete('blockchain-forwarder||leaves:5');
  const { codes, text } = await found();
  expect(codes).toEqual(['ledger.head', 'record.unplaced']);
  expect(text).toContain('the head says that batch 5 is the last; the last there is 4');
});

test('a head that is gone, or says something else', async () => {
  const head = world.forwarder('ledger-head');
  world.rows.set('blockchain-forwarder||ledger-head', { ...head, nextSequence: 11 });
  expect((await found()).codes).toEqual(['ledger.head']);
  world.rows.set('blockchain-forwarder||ledger-head', { ...head, peaks: [...head.peaks].reverse() });
  expect((await found()).text).toBe('ledger.head: the head has other peaks than the tree over the batches');
  world.rows.delete('blockchain-forwarder||ledger-head');
  expect((await found()).codes).toEqual(['ledger.head']);
});

test.each([
  ['root', `0x${'ab'.repeat(32)}`, 'do not give its root'],
  ['count', 5, 'says 5 records and lists 4'],
  ['firstSequence', 5, 'begins with number 5, the batch before ends in front of 4'],
  ['previousRoot', `0x${'cd'.repeat(32)}`, 'as the root before'],
  ['batchId', 4, 'says that it is 4'],
  ['chunks', [], '4 of its records came with a chunk that it does not name'],
  ['nodes', [`0x${'ef'.repeat(32)}`], 'its nodes are not those of the tree'],
])('%s of a batch that is another one', async (field, value, sentence) => {
  world.forwarder('batch:3')[field] = value;
  const { codes, text } = await found();
  expect(codes).toEqual(['batch.changed']);
  expect(text).toContain(sentence);
  expect(text.match(/its nodes are not/g)?.length ?? 0).toBeLessThanOrEqual(1);
});

test('a node of the tree over the batches: told once, not of each batch behind it', async () => {
  world.forwarder('batch:2').nodes[1] = 'ab'.repeat(32);
  expect(await world.faults()).toEqual([
    'batch.changed: batch 2: its nodes are not those of the tree over the batches up to it',
  ]);
});

test('a record that a batch names and that is not there', async () => {
  world.rows.delete(`blockchain-forwarder||usage:${world.ids[2]}`);
  const { codes, text } = await found();
  expect(codes).toEqual(['record.missing', 'use.lost']);
  expect(text).toContain(`record ${world.ids[2]} (batch 2, place 1) is not there`);
});

test('a record in two batches, and one that is in a batch and waits', async () => {
  world.forwarder('leaves:2').push(world.forwarder('leaves:1')[0]);
  const chunk = { id: world.usage(8).chunk, receivedAt: NOW.toISOString(), bytes: 1 };
  const entries = world.forwarder('leaves:5');
  world.rows.set(`blockchain-forwarder||unbatched:${chunk.id}`, { ...chunk, entries });
  const { text } = await found();
  expect(text).toContain(`record ${world.ids[0]} is in batch 1 and again in batch 2, place 2`);
  expect(text).toContain(`record ${world.ids[8]} is in batch 5 and again in chunk ${chunk.id}`);
});

test('a record that is in no batch', async () => {
  const row = structuredClone(world.usage(0));
  row.record.id = 'e0000000-0000-4000-8000-000000000000';
  world.rows.set(`blockchain-forwarder||usage:${row.record.id}`, row);
  expect((await found()).codes).toEqual(['record.unplaced', 'units.differ', 'use.twice']);
});

test('records that wait for their batch are in order, unless they wait for too long', async () => {
  const chunk = await world.waiting('2026-11-23T10:44:58.000Z', world.allocation());
  expect(await world.faults()).toEqual([]);
  expect((await world.audit()).ledger.waiting).toBe(1);
  expect(await world.faults({ maxAgeMs: 1000 })).toEqual([
    `record.stuck: chunk ${chunk}: its 1 records wait since 2026-11-23T10:44:58.000Z`,
  ]);
  world.usage(9).salt = world.usage(0).salt;
  expect((await found()).codes).toEqual(['record.changed']);
});

test('rows that are of no shape', async () => {
  world.rows.set('blockchain-forwarder||batch:x', {});
  world.rows.set('blockchain-forwarder||unbatched:y', {});
  world.rows.set(`blockchain-forwarder||usage:${world.ids[0]}`, { record: {} });
  const { text } = await found();
  expect(text).toContain('row blockchain-forwarder||batch:x is of no batch');
  expect(text).toContain('row blockchain-forwarder||unbatched:y has not the fields of a chunk');
  expect(text).toContain(`record ${world.ids[0]} (batch 1, place 1) has not the fields of a record, or no salt`);
});
