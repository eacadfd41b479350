import { randomUUID } from 'node:crypto';
import request from 'supertest';
import { unavailable } from '../../../shared/errors';
import { ADMIN, startForwarder, type Forwarder } from './support/forwarder';
import { taskFailed, taskStopped, USER } from './support/samples';

let service: Forwarder;
beforeEach(async () => {
  service = await startForwarder();
});

const PATH = '/api/usage/dead-letters';
const NOBODY = { userId: 'nobody' };

type Letter = Record<string, unknown> & { id: string; eventId: string };
async function letters(query = ''): Promise<Letter[]> {
  return (await service.get(`${PATH}${query}`)).body;
}
async function theLetter(): Promise<Letter> {
  const all = await letters();
  expect(all).toHaveLength(1);
  return all[0]!;
}
const replay = (id: string) => service.post(`${PATH}/${id}/replay`);
const drop = (id: string, reason = 'a test of the publisher') => service.post(`${PATH}/${id}/drop`, { reason });

/** As a deploy does that takes what was refused: the letter's event fits the schema that is there now. */
async function mended(event: object): Promise<void> {
  const { value, version } = (await service.store.deadLetter((await theLetter()).id))!;
  await service.store.changeDeadLetter({ ...value, event: JSON.stringify(event) }, version);
}

describe('a dead letter', () => {
  it('when it is listed, then it is open, and its filters are honoured', async () => {
    const event = { ...taskStopped(), data: NOBODY };
    await service.deadLetter(event, { ...taskFailed(), data: NOBODY });
    const found = await letters(`?eventId=${event.id}&state=open&reason=event.invalid`);
    expect(found).toEqual([
      {
        id: expect.any(String) as string,
        topic: 'task.stopped',
        eventId: event.id,
        reason: 'event.invalid',
        detail: expect.stringContaining('data.userId: ') as string,
        event,
        refusedBy: null,
        receivedAt: '2026-11-23T12:00:00.000Z',
        lastSeenAt: '2026-11-23T12:00:00.000Z',
        state: 'open',
        handling: [],
      },
    ]);
    expect(await letters()).toHaveLength(2);
    expect(await letters('?state=dropped')).toEqual([]);
    expect(await letters('?sink=http')).toEqual([]);
    expect((await service.get(`${PATH}?state=lost&reason=none`)).status).toBe(400);
  });

  it('when it is dropped with a reason, then it stays listed with who, when and why, and the log tells', async () => {
    await service.deadLetter({ ...taskStopped(), data: NOBODY });
    const { id } = await theLetter();
    const { status, body } = await drop(id);
    expect(status).toBe(200);
    const handling = [
      {
        action: 'drop',
        by: ADMIN,
        at: '2026-11-23T12:00:00.000Z',
        result: 'dropped',
        detail: 'a test of the publisher',
      },
    ];
    expect(body).toMatchObject({ id, state: 'dropped', handling });
    expect(await theLetter()).toEqual(body);
    expect(service.log.lines).toContainEqual(
      expect.objectContaining({ activity: 'dead_letter.drop', who: ADMIN, resource: id, result: 'dropped' }),
    );
  });

  it('when two administrators drop it at once, then one does, and the other is told', async () => {
    await service.deadLetter({ ...taskStopped(), data: NOBODY });
    const { id } = await theLetter();
    const answers = await Promise.all([drop(id), drop(id)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
    expect(answers.find(({ status }) => status === 409)?.body).toMatchObject({
      code: 'dead_letter.not_open',
      state: 'dropped',
    });
    expect((await theLetter())['handling']).toHaveLength(1);
  });

  it('when the same comes again after it was dropped, then it stays dropped and tells when it came last', async () => {
    const event = { ...taskStopped(), data: NOBODY };
    await service.deadLetter(event);
    await drop((await theLetter()).id);
    service.clock.now = new Date('2026-11-25T12:00:00.000Z');
    await service.deadLetter(event);
    expect(await theLetter()).toMatchObject({
      state: 'dropped',
      receivedAt: '2026-11-23T12:00:00.000Z',
      lastSeenAt: '2026-11-25T12:00:00.000Z',
    });
  });

  it('when there is none with the id, then 404; without a reason it is not dropped', async () => {
    for (const answer of [await replay(randomUUID()), await drop(randomUUID())]) {
      expect(answer).toMatchObject({ status: 404, body: { code: 'dead_letter.not_found' } });
    }
    await service.deadLetter({ ...taskStopped(), data: NOBODY });
    const { id } = await theLetter();
    for (const reason of ['', ' blank ', 'nul \u0000', 'x'.repeat(201)])
      expect((await drop(id, reason)).status).toBe(400);
    expect(await theLetter()).toMatchObject({ state: 'open' });
  });

  it('when others change it again and again, then 503, and it is as it was', async () => {
    await service.deadLetter({ ...taskStopped(), data: NOBODY });
    const { id } = await theLetter();
    jest.spyOn(service.store, 'changeDeadLetter').mockResolvedValue(false);
    for (const answer of [await replay(id), await drop(id)]) {
      expect(answer).toMatchObject({ status: 503, body: { code: 'dead_letter.contended' } });
    }
    expect(await theLetter()).toMatchObject({ state: 'open', handling: [] });
  });

  it('when anybody but an administrator asks, then 401 or 403', async () => {
    for (const path of [`${PATH}/replay`, `${PATH}/${randomUUID()}/replay`, `${PATH}/${randomUUID()}/drop`]) {
      expect((await request(service.app).post(path)).status).toBe(401);
    }
    expect((await service.get(PATH, 'user', USER)).status).toBe(403);
  });
});

describe('the replay of an event', () => {
  it('when it fits now, then it is a record, and the letter tells what came of it', async () => {
    const event = taskStopped();
    await service.deadLetter({ ...event, data: NOBODY });
    await mended(event);
    const { id } = await theLetter();
    expect((await replay(id)).body).toMatchObject({
      result: 'recorded',
      letter: { state: 'replayed', handling: [{ action: 'replay', by: ADMIN, result: 'recorded' }] },
    });
    expect((await service.get(`/api/usage/${event.id}`)).body).toMatchObject({ id: event.id, openLetters: 0 });
    expect(service.woken()).toBe(1);
    expect(service.log.lines).toContainEqual(
      expect.objectContaining({ activity: 'dead_letter.replay', who: ADMIN, resource: id, result: 'recorded' }),
    );
  });

  it('when it is repeated, also by two at once, then there is one record', async () => {
    const event = taskStopped();
    await service.deadLetter({ ...event, data: NOBODY });
    await mended(event);
    const { id } = await theLetter();
    const answers = await Promise.all([replay(id), replay(id)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect((await replay(id)).body).toMatchObject({ result: 'known', letter: { state: 'replayed' } });
    expect((await theLetter())['handling']).toHaveLength(3);
    expect((await service.get('/api/usage')).body).toHaveLength(1);
  });

  it('when the process dies after the record is committed, then a repeat finds it and marks the letter', async () => {
    const event = taskStopped();
    await service.deadLetter({ ...event, data: NOBODY });
    await mended(event);
    const { id } = await theLetter();
    jest.spyOn(service.store, 'changeDeadLetter').mockRejectedValueOnce(unavailable('state.unavailable', 'away'));
    expect((await replay(id)).status).toBe(503);
    expect(await theLetter()).toMatchObject({ state: 'open' });
    expect((await replay(id)).body).toMatchObject({ result: 'known', letter: { state: 'replayed' } });
    expect((await service.get('/api/usage')).body).toHaveLength(1);
  });

  it('when the store is away while it is taken in, then the letter is as it was', async () => {
    const event = taskStopped();
    await service.deadLetter({ ...event, data: NOBODY });
    await mended(event);
    jest.spyOn(service.store, 'insert').mockRejectedValueOnce(unavailable('state.unavailable', 'away'));
    expect((await replay((await theLetter()).id)).status).toBe(503);
    expect(await theLetter()).toMatchObject({ state: 'open', handling: [] });
  });

  it('when it fails again, then the letter stays open with what is wrong now, and is still one', async () => {
    const event = taskStopped();
    await service.deadLetter({ ...event, data: { ...NOBODY, stopTime: 7 } });
    await mended({ ...event, data: { ...event.data, reason: 'x'.repeat(1_001) }, surprise: 1 });
    const { id } = await theLetter();
    expect((await replay(id)).body).toMatchObject({ result: 'failed' });
    expect(await theLetter()).toMatchObject({
      state: 'open',
      reason: 'usage.unusable',
      detail: expect.stringContaining('characters') as string,
      handling: [{ result: 'failed' }],
    });
  });

  it('when it is replayed very often, then the letter remembers the last 20 acts', async () => {
    await service.deadLetter({ ...taskStopped(), data: NOBODY });
    const { id } = await theLetter();
    for (let time = 0; time < 20; time += 1) await replay(id);
    await drop(id);
    const handling = (await theLetter())['handling'] as { action: string }[];
    expect([handling.length, handling[0]?.action, handling.at(-1)?.action]).toEqual([20, 'replay', 'drop']);
  });

  it('when it is no event that ends a use, or tells of no use, then the answer says so', async () => {
    await service.deadLetter('no JSON');
    expect((await replay((await theLetter()).id)).body).toMatchObject({
      result: 'failed',
      detail: 'event: it is no JSON object',
    });
    await mended(taskFailed({ startTime: null }));
    expect((await replay((await theLetter()).id)).body).toMatchObject({
      result: 'nothing_used',
      letter: { state: 'replayed' },
    });
  });

  it('when it is quarantined, then it stays so, and the answer names the way out; the record tells of it', async () => {
    const event = taskStopped();
    await service.deadLetter(event, { ...event, data: { ...event.data, duration: 'PT1000H' } });
    const { id, reason } = await theLetter();
    expect(reason).toBe('usage.content_mismatch');
    expect((await replay(id)).body).toMatchObject({
      result: 'quarantined',
      detail: expect.stringContaining(`POST /api/usage/${event.id}/corrections`) as string,
      letter: { state: 'open', reason: 'usage.content_mismatch' },
    });
    const asAdmin = await service.get(`/api/usage/${event.id}`);
    expect(asAdmin.body).toMatchObject({ openLetters: 1, record: { duration: event.data.duration } });
    expect((await service.get(`/api/usage/${event.id}`, 'user', USER)).body).not.toHaveProperty('openLetters');
  });

  it('when somebody drops it while it is replayed, then what was achieved is told', async () => {
    const event = taskStopped();
    await service.deadLetter({ ...event, data: NOBODY });
    await mended(event);
    const { id } = await theLetter();
    const insert = service.store.insert.bind(service.store);
    jest.spyOn(service.store, 'insert').mockImplementationOnce(async (...given) => {
      await drop(id);
      return insert(...given);
    });
    expect((await replay(id)).body).toMatchObject({
      letter: { state: 'replayed', handling: [{ action: 'drop' }, { action: 'replay' }] },
    });
  });
});

describe('the replay of all', () => {
  it('when there are more than one request takes up, then the cursor leads through all of them', async () => {
    const good = taskStopped();
    await service.deadLetter({ ...good, data: NOBODY });
    await mended(good);
    for (let index = 0; index < 4; index += 1) {
      service.clock.now = new Date(service.clock.now.getTime() + 1_000);
      await service.deadLetter({ ...taskStopped(), data: NOBODY });
    }
    await drop((await letters())[0]!.id);
    const first = await service.post(`${PATH}/replay`, { limit: 2 });
    expect(first).toMatchObject({ status: 200, body: { replayed: 0, failed: 2, left: 2 } });
    const { cursor } = first.body;
    const rest = await service.post(`${PATH}/replay`, { limit: 2, cursor });
    expect(rest.body).toEqual({ replayed: 1, failed: 1, left: 0, cursor: null });
    expect((await letters()).map(({ state }) => state)).toEqual(['dropped', 'open', 'open', 'open', 'replayed']);
  });

  it('when filtered, then only those are tried; a malformed request names its fields', async () => {
    await service.deadLetter({ ...taskStopped(), data: NOBODY });
    const body = { replayed: 0, failed: 0, left: 0, cursor: null };
    expect((await service.post(`${PATH}/replay`, { reason: 'sink.refused' })).body).toEqual(body);
    expect((await service.post(`${PATH}/replay`, { sink: 'http' })).body).toEqual(body);
    expect((await theLetter())['handling']).toEqual([]);
    const bad = await service.post(`${PATH}/replay`, { reason: 'none', sink: 5, limit: 501, cursor: 'x'.repeat(501) });
    expect(bad.status).toBe(400);
    expect((bad.body['errors'] as unknown[]).length).toBe(4);
    expect((await service.post(`${PATH}/replay`, { cursor: 'x' })).status).toBe(400);
  });
});
