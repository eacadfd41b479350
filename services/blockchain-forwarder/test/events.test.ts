import { unavailable } from '../../../shared/errors';
import { allocationReleased, taskFailed, taskStopped } from './support/samples';
import { startForwarder, type Forwarder } from './support/forwarder';

let forwarder: Forwarder;

beforeEach(async () => {
  forwarder = await startForwarder();
});

const records = async () => (await forwarder.get('/api/usage?limit=1000', 'admin')).body as { id: string }[];
const deadLetters = async () =>
  (await forwarder.get('/api/usage/dead_letters', 'admin')).body as Record<string, unknown>[];

describe('the events that end a use', () => {
  it('when an event comes three times, also within one delivery, then there is one record and one delivery a sink', async () => {
    const event = taskStopped();
    expect(await forwarder.publish(event, event)).toEqual(['SUCCESS', 'SUCCESS']);
    expect(await forwarder.publish(event)).toEqual(['SUCCESS']);
    expect(await records()).toHaveLength(1);
    for (const sink of [forwarder.http, forwarder.evm]) {
      await forwarder.deliver(sink);
      await forwarder.deliver(sink);
      expect(sink.calls).toHaveLength(1);
    }
    expect(await deadLetters()).toEqual([]);
  });

  it('when the same events arrive in two deliveries at once, then each makes one record', async () => {
    const events = Array.from({ length: 20 }, () => taskStopped());
    const verdicts = await Promise.all([
      forwarder.publish(...events),
      forwarder.publish(...events.slice(10), ...events),
    ]);
    expect(verdicts.flat().every((verdict) => verdict === 'SUCCESS')).toBe(true);
    expect(await records()).toHaveLength(20);
  });

  it('when a record is there already with other content, then it stays as it is and the event is reported', async () => {
    const event = taskStopped();
    await forwarder.publish(event);
    const forged = { ...event, data: { ...event.data, userId: '77777777-0c9e-4c55-8d67-0d5b1f1f6a01' } };
    const good = taskStopped();
    expect(await forwarder.publish(forged, good)).toEqual(['SUCCESS', 'SUCCESS']);
    const response = await forwarder.get(`/api/usage/${event.id}`, 'admin');
    expect(response.body).toMatchObject({ record: { userId: event.data.userId } });
    expect(await deadLetters()).toMatchObject([
      { reason: 'usage.content_mismatch', eventId: event.id, topic: 'task.stopped' },
    ]);
    expect(forwarder.log).toContainEqual(
      expect.objectContaining({
        level: 'error',
        fields: expect.objectContaining({ result: 'usage.content_mismatch' }) as object,
      }),
    );
    expect(await records()).toHaveLength(2);
  });

  it('when two events of one delivery have the same id and other content, then the first counts', async () => {
    const event = taskStopped();
    await forwarder.publish(event, { ...event, data: { ...event.data, reason: 'another' } });
    expect(await records()).toHaveLength(1);
    expect(await deadLetters()).toMatchObject([{ reason: 'usage.content_mismatch' }]);
  });

  it('when nothing was used, then the event is taken in and leads to no record', async () => {
    const held = allocationReleased({ task_id: '0b0f9a52-4c0e-4f5e-9a39-5d2a1a6f3c11' });
    expect(await forwarder.publish(held)).toEqual(['SUCCESS']);
    expect(await forwarder.publish(taskFailed({ startTime: null }))).toEqual(['SUCCESS']);
    expect(await records()).toEqual([]);
    expect(forwarder.woken()).toBe(0);
  });

  it('when an event does not fit its schema, then it alone is to come again, and the others become records', async () => {
    const [good, poison] = [taskStopped(), taskStopped()];
    const broken = { ...poison, data: { ...poison.data, userId: 'nobody' } };
    const verdicts = await forwarder.publishTo('task.stopped', good, broken, 'no JSON at all', 42, null, []);
    expect(verdicts).toEqual(['SUCCESS', 'RETRY', 'RETRY', 'RETRY', 'RETRY', 'RETRY']);
    expect((await records()).map(({ id }) => id)).toEqual([good.id]);
  });

  it('when an event holds text that no record can hold, then it is a dead letter at once and holds up no other', async () => {
    const good = taskStopped();
    const bad = [taskStopped({ reason: 'a\u0000' }), taskStopped({ serviceType: '\ud800' })];
    expect(await forwarder.publish(...bad, good)).toEqual(['SUCCESS', 'SUCCESS', 'SUCCESS']);
    expect((await records()).map(({ id }) => id)).toEqual([good.id]);
    expect(await deadLetters()).toMatchObject([{ reason: 'usage.unusable' }, { reason: 'usage.unusable' }]);
  });

  it('when the store is away, then every event of the delivery is to come again', async () => {
    jest.spyOn(forwarder.store, 'insert').mockRejectedValueOnce(unavailable('state.unavailable', 'away'));
    const events = [taskStopped(), taskStopped()];
    expect(await forwarder.publish(...events)).toEqual(['RETRY', 'RETRY']);
    expect(await forwarder.publish(...events)).toEqual(['SUCCESS', 'SUCCESS']);
    expect(await records()).toHaveLength(2);
  });

  it('when others always write first, then the events come again rather than being given up', async () => {
    jest.spyOn(forwarder.store, 'insert').mockResolvedValue(false);
    expect(await forwarder.publish(taskStopped())).toEqual(['RETRY']);
    expect(await records()).toEqual([]);
  });
});

describe('dead letters', () => {
  it('when a valid event ended there because the store was away, then it becomes a record after all', async () => {
    const event = taskStopped();
    expect(await forwarder.deadLetter(event)).toEqual(['SUCCESS']);
    expect(await records()).toHaveLength(1);
    expect(await deadLetters()).toEqual([]);
  });

  it('when the store is still away, then nothing is acknowledged', async () => {
    jest.spyOn(forwarder.store, 'insert').mockRejectedValueOnce(unavailable('state.unavailable', 'away'));
    const event = taskStopped();
    await expect(forwarder.deadLetter(event)).rejects.toThrow();
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
