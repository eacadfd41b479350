import { unavailable } from '../../../shared/errors';
import { allocationReleased, taskFailed, taskStopped } from './support/samples';
import { startForwarder, type Forwarder } from './support/forwarder';

let forwarder: Forwarder;

beforeEach(async () => {
  forwarder = await startForwarder();
});

const records = async () => (await forwarder.get('/api/usage?limit=1000', 'admin')).body as { id: string }[];
const deadLetters = async () =>
  (await forwarder.get('/api/usage/dead-letters', 'admin')).body as Record<string, unknown>[];

describe('the events that end a use', () => {
  it('when an event comes three times, also within one bundle, then there is one record, and a sink gets one', async () => {
    const event = taskStopped();
    expect(await forwarder.publish(event, event)).toBe('SUCCESS');
    expect(await forwarder.publish(event)).toBe('SUCCESS');
    expect(await records()).toHaveLength(1);
    await forwarder.closeBatch();
    await forwarder.step('http');
    expect([...forwarder.http.batches.values()].flatMap(({ records: given }) => given)).toHaveLength(1);
    expect(await deadLetters()).toEqual([]);
  });

  it('when the same events arrive in two bundles at once, then each makes one record', async () => {
    const events = Array.from({ length: 20 }, () => taskStopped());
    const verdicts = await Promise.all([
      forwarder.publish(...events),
      forwarder.publish(...events.slice(10), ...events),
    ]);
    expect(verdicts).toEqual(['SUCCESS', 'SUCCESS']);
    expect(await records()).toHaveLength(20);
  });

  it('when a record is there already with other content, then it stays as it is and the event is reported', async () => {
    const event = taskStopped();
    await forwarder.publish(event);
    const forged = { ...event, data: { ...event.data, userId: '77777777-0c9e-4c55-8d67-0d5b1f1f6a01' } };
    const good = taskStopped();
    expect(await forwarder.publish(forged, good)).toBe('SUCCESS');
    const response = await forwarder.get(`/api/usage/${event.id}`, 'admin');
    expect(response.body).toMatchObject({ record: { userId: event.data.userId } });
    expect(await deadLetters()).toMatchObject([
      { reason: 'usage.content_mismatch', eventId: event.id, topic: 'task.stopped' },
    ]);
    expect(forwarder.log.lines).toContainEqual(
      expect.objectContaining({
        level: 'error',
        result: 'usage.content_mismatch',
      }),
    );
    expect(await records()).toHaveLength(2);
  });

  it('when two events of one bundle have the same id and other content, then the first counts', async () => {
    const event = taskStopped();
    await forwarder.publish(event, { ...event, data: { ...event.data, reason: 'another' } });
    expect(await records()).toHaveLength(1);
    expect(await deadLetters()).toMatchObject([{ reason: 'usage.content_mismatch' }]);
  });

  it('when nothing was used, then the event is taken in and leads to no record', async () => {
    const held = allocationReleased({ task_id: '0b0f9a52-4c0e-4f5e-9a39-5d2a1a6f3c11' });
    expect(await forwarder.publish(held)).toBe('SUCCESS');
    expect(await forwarder.publish(taskFailed({ startTime: null }))).toBe('SUCCESS');
    expect(await records()).toEqual([]);
    expect(forwarder.woken()).toBe(0);
  });

  it('when an event does not fit its schema, then it is a dead letter at once with the wrong fields, and the others become records', async () => {
    const [first, poison, last] = [taskStopped(), taskStopped(), allocationReleased()];
    const broken = { ...poison, data: { ...poison.data, userId: 'nobody', stopTime: 7 } };
    expect(await forwarder.publish(first, broken, last)).toBe('SUCCESS');
    expect((await records()).map(({ id }) => id).sort()).toEqual([first.id, last.id].sort());
    expect(await deadLetters()).toMatchObject([
      {
        reason: 'event.invalid',
        topic: 'task.stopped',
        eventId: poison.id,
        detail: expect.stringMatching(/data\.userId: .*data\.stopTime: /) as string,
        event: broken,
      },
    ]);
    expect(forwarder.log.lines).toContainEqual(
      expect.objectContaining({
        level: 'error',
        result: 'event.invalid',
        resource: poison.id,
      }),
    );
  });

  it('when events come in bundles and by themselves, then all become records', async () => {
    const events = Array.from({ length: 5 }, () => taskStopped());
    const messages = [events.slice(0, 3), events[3], [events[4]]];
    expect(await forwarder.deliverMessages(...messages)).toEqual(['SUCCESS', 'SUCCESS', 'SUCCESS']);
    expect((await records()).map(({ id }) => id).sort()).toEqual(events.map(({ id }) => id).sort());
  });

  it.each([
    ['no JSON', 'no JSON at all', 'no JSON at all'],
    ['a number', 42, 42],
    ['null', null, null],
    ['an empty bundle', [], []],
    ['a bundle in a bundle', [[taskStopped()]], undefined],
    ['an event that ends no use', { ...taskStopped(), type: 'task.started' }, undefined],
  ])('when a message is %s, then it is a dead letter at once and holds up no other', async (_name, message, kept) => {
    const good = taskStopped();
    expect(await forwarder.deliverMessages(message, [good])).toEqual(['SUCCESS', 'SUCCESS']);
    expect((await records()).map(({ id }) => id)).toEqual([good.id]);
    expect(await deadLetters()).toMatchObject([
      { reason: 'event.invalid', topic: 'unknown', ...(kept === undefined ? {} : { event: kept }) },
    ]);
  });

  it('when an event holds text that no record can hold, then it is a dead letter at once and holds up no other', async () => {
    const good = taskStopped();
    const bad = [taskStopped({ reason: 'a\u0000' }), taskStopped({ serviceType: '\ud800' })];
    expect(await forwarder.publish(...bad, good)).toBe('SUCCESS');
    expect((await records()).map(({ id }) => id)).toEqual([good.id]);
    expect(await deadLetters()).toMatchObject([{ reason: 'usage.unusable' }, { reason: 'usage.unusable' }]);
  });

  it('when the store is away, then the whole bundle is to come again, and nothing of it is written', async () => {
    jest.spyOn(forwarder.store, 'insert').mockRejectedValueOnce(unavailable('state.unavailable', 'away'));
    const bundle = [taskStopped(), taskStopped(), { ...taskStopped(), data: {} }];
    expect(await forwarder.publish(...bundle)).toBe('RETRY');
    expect([await records(), await deadLetters()]).toEqual([[], []]);
    expect(await forwarder.publish(...bundle)).toBe('SUCCESS');
    expect([await records(), await deadLetters()]).toEqual([
      [expect.anything(), expect.anything()],
      [expect.anything()],
    ]);
  });

  it('when others always write first, then the events come again rather than being given up', async () => {
    jest.spyOn(forwarder.store, 'insert').mockResolvedValue(false);
    expect(await forwarder.publish(taskStopped())).toBe('RETRY');
    expect(await records()).toEqual([]);
  });
});

describe('dead letters', () => {
  it('when a bundle ended there because the store was away, then it comes to records and letters after all', async () => {
    const poison = { ...taskStopped(), data: {} };
    expect(await forwarder.deadLetter([taskStopped(), poison, taskStopped()], taskStopped())).toEqual([
      'SUCCESS',
      'SUCCESS',
    ]);
    expect(await records()).toHaveLength(3);
    expect(await deadLetters()).toMatchObject([{ reason: 'event.invalid', eventId: poison.id }]);
  });

  it('when the store is still away, then nothing is acknowledged', async () => {
    jest.spyOn(forwarder.store, 'insert').mockRejectedValueOnce(unavailable('state.unavailable', 'away'));
    const event = taskStopped();
    expect(await forwarder.deadLetter(event)).toEqual(['RETRY']);
    expect(await forwarder.deadLetter(event)).toEqual(['SUCCESS']);
    expect(await records()).toHaveLength(1);
  });

  it('when the same letter comes twice, then it is listed once; whatever it is, it is listed', async () => {
    const poison = { ...taskStopped(), data: {} };
    await forwarder.deadLetter(poison, 'no JSON', 42, null, { type: 'task.exploded', id: 'x y' });
    await forwarder.deadLetter(poison);
    const letters = await deadLetters();
    expect(letters).toHaveLength(5);
    expect(letters.map((letter) => letter['event'])).toEqual(
      expect.arrayContaining([poison, 'no JSON', 42, null, { type: 'task.exploded', id: 'x y' }]) as unknown[],
    );
  });
});
