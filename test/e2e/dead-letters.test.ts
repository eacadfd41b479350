import { randomUUID } from 'node:crypto';
import { DaprDeadLetterStore } from '../../services/blockchain-forwarder/adapters/dapr-dead-letter-store';
import { sidecarOf } from './support/sidecars';
import { call, eventually, tokenFor, type Answer } from './support/system';
import { publishRaw, taskStopped, usageOf } from './support/usage';

/** What administrators do with what became no record, and with records that are wrong: on the real broker and database. */

jest.setTimeout(120_000);

const adminId = randomUUID();
const admin = tokenFor(adminId, 'admin');
const userId = randomUUID();
const asUser = tokenFor(userId, 'user');
const USAGE = 'blockchain-forwarder/api/usage';

interface Letter extends Record<string, unknown> {
  id: string;
  eventId: string;
  state: string;
}

const sidecar = sidecarOf('blockchain-forwarder');

const post = (path: string, body: object = {}, headers: Record<string, string> = {}): Promise<Answer> =>
  call('POST', `${USAGE}/${path}`, { token: admin, body, headers });
const get = async (path: string) => (await call('GET', `${USAGE}/${path}`, { token: admin })).body as Letter;

async function lettersOf(eventId: string, query = ''): Promise<Letter[]> {
  const answer = await call('GET', `${USAGE}/dead-letters?eventId=${eventId}${query}`, { token: admin });
  expect(answer.status).toBe(200);
  return answer.body as Letter[];
}

async function letterOf(event: { id: string }): Promise<Letter> {
  await eventually('the event is in the dead letters', async () => (await lettersOf(event.id)).length === 1, 30_000);
  return (await lettersOf(event.id))[0]!;
}

/** As a deploy does whose schema takes what was refused. */
async function mended(id: string, event: object): Promise<void> {
  const store = new DaprDeadLetterStore(sidecar);
  const { value, version } = (await store.deadLetter(id))!;
  expect(await store.changeDeadLetter({ ...value, event: JSON.stringify(event) }, version)).toBe(true);
}

async function recordOf(event: { id: string }): Promise<void> {
  await eventually('the event has its record', async () => (await usageOf(asUser)).some(({ id }) => id === event.id));
}

test('when an event is replayed that still does not fit, then its letter stays open; dropped, it stays listed, and one of two who drop it is told', async () => {
  const poison = taskStopped('nobody');
  await publishRaw('usage.ended', poison);
  const { id, state } = await letterOf(poison);
  expect(state).toBe('open');
  expect((await post(`dead-letters/${id}/replay`)).body).toMatchObject({
    result: 'failed',
    letter: { state: 'open', reason: 'event.invalid', handling: [{ by: adminId, result: 'failed' }] },
  });
  const reason = 'a test of the publisher';
  const drops = await Promise.all([1, 2].map(() => post(`dead-letters/${id}/drop`, { reason })));
  expect(drops.map(({ status }) => status).sort()).toEqual([200, 409]);
  expect(await lettersOf(poison.id, '&state=dropped')).toMatchObject([
    { id, handling: [{ action: 'replay' }, { action: 'drop', detail: reason }] },
  ]);
  // the stream takes a second letter of daprd only minutes later
  await publishRaw('dead.usage.ended', poison);
  await eventually(
    'the same is seen again',
    async () => {
      const [letter] = await lettersOf(poison.id);
      return letter!['lastSeenAt'] !== letter!['receivedAt'];
    },
    30_000,
  );
  expect(await lettersOf(poison.id)).toMatchObject([{ id, state: 'dropped' }]);
});

test('when an event fits now, then its replay makes one record, also by two at once', async () => {
  const good = taskStopped(userId);
  await publishRaw('usage.ended', { ...good, data: { ...good.data, stopTime: 7 } });
  const { id } = await letterOf(good);
  await mended(id, good);
  const replays = await Promise.all([1, 2].map(() => post(`dead-letters/${id}/replay`)));
  for (const { status, body } of replays) {
    expect(status).toBe(200);
    expect(['recorded', 'known']).toContain((body as { result: string }).result);
  }
  expect((await usageOf(asUser)).filter((usage) => usage.id === good.id)).toHaveLength(1);
  expect(await get(good.id)).toMatchObject({ openLetters: 0 });
  expect(await lettersOf(good.id)).toMatchObject([{ state: 'replayed' }]);
});

test('when all open letters are replayed, then the cursor leads through all of them', async () => {
  const good = taskStopped(userId);
  await publishRaw('usage.ended', { ...good, data: {} }, taskStopped('nobody'));
  await mended((await letterOf(good)).id, good);
  let replayed = 0;
  for (let cursor: string | null | undefined; cursor !== null;) {
    const { status, body } = await post('dead-letters/replay', { reason: 'event.invalid', limit: 1, cursor });
    expect(status).toBe(200);
    const counts = body as { replayed: number; failed: number; left: number; cursor: string | null };
    expect(counts.replayed + counts.failed).toBe(1);
    replayed += counts.replayed;
    cursor = counts.cursor;
  }
  expect(replayed).toBe(1);
  await recordOf(good);
});

test('when a record has a quarantined event, then it tells so, and a correction, made once, says what is true', async () => {
  const event = taskStopped(userId, { startTime: '2026-01-01T10:00:00.000Z', stopTime: '2026-01-01T11:00:00.000Z' });
  await publishRaw('usage.ended', event);
  await recordOf(event);
  const before = await get(event.id);
  await publishRaw('usage.ended', { ...event, data: { ...event.data, stopTime: '2026-01-01T12:00:00.000Z' } });
  const { id } = await letterOf(event);
  expect((await post(`dead-letters/${id}/replay`)).body).toMatchObject({ result: 'quarantined' });
  expect(await get(event.id)).toMatchObject({ openLetters: 1, record: before['record'] });

  const body = { endedAt: '2026-01-01T12:00:00Z', reason: 'the first event came too early' };
  const key = { 'idempotency-key': randomUUID() };
  const corrections = await Promise.all([1, 2].map(() => post(`${event.id}/corrections`, body, key)));
  expect(corrections.map(({ status }) => status)).toEqual([201, 201]);
  const [made, twin] = corrections.map((answer) => answer.body as Letter);
  expect(twin!.id).toBe(made!.id);
  expect(await get(event.id)).toMatchObject({ record: before['record'], correctedBy: made!.id });
  expect(await get(made!.id)).toMatchObject({
    record: { version: 2, corrects: event.id, duration: 'PT2H', userId, sourceEvent: { type: 'usage.corrected' } },
  });
  await eventually('it is in a batch', async () => (await get(made!.id))['batch'] !== null, 30_000);
  expect(await get(`${made!.id}/verify`)).toMatchObject({ valid: true });
  expect((await post(`${event.id}/corrections`, body)).body).toMatchObject({
    code: 'usage.already_corrected',
    correctedBy: made!.id,
  });
  expect((await post(`dead-letters/${id}/drop`, { reason: 'corrected' })).status).toBe(200);
});

test('when two different corrections of a record come at once, then one is made', async () => {
  const event = taskStopped(userId, { startTime: '2026-01-01T10:00:00.000Z', stopTime: '2026-01-01T11:00:00.000Z' });
  await publishRaw('usage.ended', event);
  await recordOf(event);
  const answers = await Promise.all(
    [1, 2, 3].map((hour) =>
      post(`${event.id}/corrections`, { startedAt: `2026-01-01T0${hour}:00:00Z`, reason: 'late' }),
    ),
  );
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
  const corrects = (await usageOf(asUser)).filter(({ record }) => record['corrects'] === event.id);
  expect(corrects).toHaveLength(1);
});

test('when a user tries, then 403', async () => {
  const path = `${USAGE}/${randomUUID()}/corrections`;
  const body = { capacity: 1, reason: 'mine' };
  expect((await call('POST', path, { token: asUser, body })).status).toBe(403);
  expect((await call('POST', `${USAGE}/dead-letters/replay`, { token: asUser, body: {} })).status).toBe(403);
});
