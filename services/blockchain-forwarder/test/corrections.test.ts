import { randomUUID } from 'node:crypto';
import { unavailable } from '../../../shared/errors';
import { canonicalHash } from '../domain/canonical-hash';
import { toBase64url } from '../domain/bytes';
import { leafOf } from '../domain/leaf';
import { ADMIN, startForwarder, type Forwarder } from './support/forwarder';
import { PickySink } from './support/picky-sink';
import { allocationReleased, taskStopped, USER } from './support/samples';

let service: Forwarder;
let sink: PickySink;
let original: string;
const REASON = 'the clock of node 7 was an hour ahead';

beforeEach(async () => {
  sink = new PickySink();
  service = await startForwarder([sink]);
  const event = taskStopped();
  original = event.id;
  await service.deadLetter(event);
});

const correct = (body: object, id = original, headers: Record<string, string> = {}) =>
  service.post(`/api/usage/${id}/corrections`, { reason: REASON, ...body }, headers);
const usage = async (id: string, role = 'admin', sub = ADMIN) =>
  (await service.get(`/api/usage/${id}`, role, sub)).body;

describe('a correction', () => {
  it('when times are corrected, then a new record names the old one, which stays and tells by which', async () => {
    const before = await usage(original);
    const old = before['record'] as Record<string, unknown>;
    const { status, body, headers } = await correct({ endedAt: '2026-11-23T09:03:20.5Z' });
    expect(status).toBe(201);
    const id = body['id'] as string;
    expect(headers['location']).toBe(`/api/usage/${id}`);
    expect(body).toMatchObject({ state: 'received', correctedBy: null });
    expect(body['record']).toEqual({
      ...old,
      version: 2,
      corrects: original,
      id,
      endedAt: '2026-11-23T09:03:20.500Z',
      duration: 'PT3M20.5S',
      reason: REASON,
      sourceEvent: { id, source: 'blockchain-forwarder', type: 'usage.corrected' },
    });
    expect(await usage(original)).toEqual({ ...before, correctedBy: id });
    expect(await usage(id, 'user', USER)).toMatchObject({ record: { corrects: original } });
    expect(service.log.lines).toContainEqual(
      expect.objectContaining({
        activity: 'usage.correct',
        who: ADMIN,
        resource: original,
        correction: id,
        reason: REASON,
      }),
    );
  });

  it('when it is made, then it is a leaf of the ledger as every record is', async () => {
    const wokenBefore = service.woken();
    const { body } = await correct({ capacity: 500 });
    expect(service.woken()).toBe(wokenBefore + 1);
    const id = body['id'] as string;
    const stored = (await service.store.find([id])).get(id)!;
    expect(stored.usageHash).toBe(await canonicalHash(stored.record));
    const leaf = await leafOf(stored.record, Buffer.from(stored.salt, 'base64url'));
    expect(stored.leaf).toBe(toBase64url(leaf));
    await service.advance();
    await service.advance();
    expect(await usage(id)).toMatchObject({ state: 'batched', record: { capacity: 500 } });
    expect((await service.get(`/api/usage/${id}/verify`)).body).toMatchObject({ valid: true });
    expect(sink.tried).toContain(id);
  });

  it('when a record is corrected already, then 409 names the correction, which can be corrected itself', async () => {
    const first = (await correct({ capacity: 500 })).body['id'];
    const again = await correct({ capacity: 600 });
    expect(again).toMatchObject({ status: 409, body: { code: 'usage.already_corrected', correctedBy: first } });
    const second = await correct({ capacity: 600 }, first as string);
    expect(second).toMatchObject({ status: 201, body: { record: { corrects: first, capacity: 600 } } });
    expect((await service.get('/api/usage')).body).toHaveLength(3);
  });

  it('when two correct a record at once, then one does, and the other is told', async () => {
    const answers = await Promise.all([correct({ capacity: 500 }), correct({ capacity: 600 })]);
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409]);
    expect((await service.get('/api/usage')).body).toHaveLength(2);
  });

  it.each([
    ['nothing', {}, 'it changes nothing'],
    ['nothing, in another spelling', { startedAt: '2026-11-23T09:00:00Z', capacity: 1000 }, 'it changes nothing'],
    ['an end before its start', { endedAt: '2026-11-23T08:59:59.999Z' }, 'the use would end before it began'],
    ['an end in the future', { endedAt: '2026-11-23T12:00:00.001Z' }, 'the use would end in the future'],
    ['a time before 2000', { startedAt: '1999-12-31T23:59:59.999Z' }, 'the use would begin before the year 2000'],
    [
      'a reason that is too long as bytes',
      { capacity: 5, reason: '漢'.repeat(200) },
      'its record would have more than 900 bytes',
    ],
  ])('when it changes %s, then 422 and nothing is written', async (_, body, why) => {
    const answer = await correct(body);
    expect(answer).toMatchObject({ status: 422, body: { code: 'usage.correction_refused' } });
    expect(answer.body['detail']).toContain(why);
    expect(await usage(original)).toMatchObject({ correctedBy: null });
  });

  it('when the use held no pool, then its capacity cannot be corrected', async () => {
    const event = taskStopped({ poolId: null, allocationId: null, capacity: null });
    await service.deadLetter(event);
    expect((await correct({ capacity: 5 }, event.id)).body).toMatchObject({ code: 'usage.correction_refused' });
  });

  it('when it is of an allocation, then its capacity is corrected too', async () => {
    const event = allocationReleased();
    await service.deadLetter(event);
    expect((await correct({ capacity: 5 }, event.id)).body).toMatchObject({
      record: { kind: 'allocation', capacity: 5, serviceId: event.data.service_id },
    });
  });

  it('when the request is malformed, then every bad field is named', async () => {
    const { status, body } = await correct({
      startedAt: 'yesterday',
      endedAt: 7,
      capacity: 0,
      reason: 'x'.repeat(201),
      userId: USER,
    });
    expect(status).toBe(400);
    const fields = (body['errors'] as { field: string }[]).map(({ field }) => field).sort();
    expect(fields).toEqual(['body.capacity', 'body.endedAt', 'body.reason', 'body.startedAt', 'body.userId']);
  });

  it('when there is no such record, then 404', async () => {
    expect(await correct({ capacity: 5 }, randomUUID())).toMatchObject({
      status: 404,
      body: { code: 'usage.not_found' },
    });
  });
});

describe('a correction with an Idempotency-Key', () => {
  const key = { 'idempotency-key': 'once' };

  it('when it is repeated, also at once, then there is one correction and the same answer', async () => {
    const [first, twin] = await Promise.all([
      correct({ capacity: 5 }, original, key),
      correct({ capacity: 5 }, original, key),
    ]);
    expect([first.status, twin.status]).toEqual([201, 201]);
    expect(twin.body).toEqual(first.body);
    service.clock.now = new Date('2027-11-24T12:00:00.000Z');
    expect((await correct({ capacity: 5 }, original, key)).body).toEqual(first.body);
    expect((await service.get('/api/usage')).body).toHaveLength(2);
  });

  it('when its twin is committed between two reads, then it is the same answer and not that it is corrected already', async () => {
    const get = service.store.get.bind(service.store);
    const reads = jest.spyOn(service.store, 'get');
    let twin: Awaited<ReturnType<typeof correct>> | undefined;
    let tell = (): void => undefined;
    const committed = new Promise<void>((resolve) => (tell = resolve));
    reads.mockImplementation(async (id) => {
      if (id === original) return committed.then(() => get(id));
      const before = await get(id);
      reads.mockImplementation(get);
      twin = await correct({ capacity: 5 }, original, key);
      tell();
      return before;
    });
    const answer = await correct({ capacity: 5 }, original, key);
    expect(answer.status).toBe(201);
    expect(answer.body).toEqual(twin?.body);
  });

  it('when it comes with another content, then 422', async () => {
    await correct({ capacity: 5 }, original, key);
    for (const body of [{ capacity: 6 }, { capacity: 5, reason: 'another' }]) {
      expect(await correct(body, original, key)).toMatchObject({
        status: 422,
        body: { code: 'request.idempotency_key_reused' },
      });
    }
  });

  it('when the answer was lost, then the repeat finds the correction', async () => {
    const insert = service.store.insert.bind(service.store);
    jest.spyOn(service.store, 'insert').mockImplementationOnce(async (...given) => {
      await insert(...given);
      throw unavailable('state.unavailable', 'no answer within time');
    });
    expect((await correct({ capacity: 5 }, original, key)).status).toBe(503);
    expect((await correct({ capacity: 5 }, original, key)).status).toBe(201);
    expect((await service.get('/api/usage')).body).toHaveLength(2);
  });

  it('when others always write first, then 503', async () => {
    jest.spyOn(service.store, 'insert').mockResolvedValue(false);
    expect(await correct({ capacity: 5 })).toMatchObject({ status: 503, body: { code: 'usage.busy' } });
  });
});
