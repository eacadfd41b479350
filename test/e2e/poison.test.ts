import { randomUUID } from 'node:crypto';
import { call, eventually, tokenFor } from './support/system';
import { deadLettersInStream, publishRaw, taskStopped, usageOf, type DeadLetter } from './support/usage';

/** Issue 3, G19: a poisoned event ends in the dead letters with its reason, and the next events go on. */

jest.setTimeout(120_000);

const admin = tokenFor(randomUUID(), 'admin');
const userId = randomUUID();
const asUser = tokenFor(userId, 'user');

async function deadLetters(): Promise<DeadLetter[]> {
  const answer = await call('GET', 'blockchain-forwarder/api/usage/dead_letters?limit=1000', { token: admin });
  expect(answer.status).toBe(200);
  return answer.body as DeadLetter[];
}

test('when an event does not fit its schema, then after its retries it is in the dead-letter stream and listed with its reason, and the next goes on', async () => {
  const before = await deadLettersInStream('task.stopped');
  const poison = taskStopped('nobody', { stopTime: 7 });
  const next = taskStopped(userId);
  await publishRaw('task.stopped', poison, next);
  await eventually('the next event has its record', async () =>
    (await usageOf(asUser)).some(({ id }) => id === next.id),
  );
  await eventually('the poisoned one is listed', async () =>
    (await deadLetters()).some(({ eventId }) => eventId === poison.id),
  );
  expect((await deadLetters()).find(({ eventId }) => eventId === poison.id)).toMatchObject({
    topic: 'task.stopped',
    reason: 'event.invalid',
    detail: expect.stringMatching(/data\.userId: .*data\.stopTime: /) as string,
    event: JSON.parse(JSON.stringify(poison)) as unknown,
  });
  expect(await deadLettersInStream('task.stopped')).toBe(before + 1);
});

test('when it is no JSON, or would bring the sidecar down, then it is listed as well and the next goes on', async () => {
  const text = `no JSON at all ${randomUUID()}`;
  const untraceable = { ...taskStopped(userId), traceparent: 5 };
  const next = taskStopped(userId);
  await publishRaw('task.stopped', text, untraceable, next);
  await eventually(
    'the next event has its record',
    async () => (await usageOf(asUser)).some(({ id }) => id === next.id),
    30_000,
  );
  await eventually('both are listed', async () => {
    const letters = await deadLetters();
    return letters.some(({ event }) => event === text) && letters.some(({ eventId }) => eventId === untraceable.id);
  });
});

test('when another event comes under the id of a record, then the record stays and the event is listed', async () => {
  const event = taskStopped(userId);
  await publishRaw('task.stopped', event);
  const recorded = async () => (await usageOf(asUser)).find(({ id }) => id === event.id);
  await eventually('the event has its record', async () => (await recorded()) !== undefined);
  const hash = (await recorded())?.usageHash;
  await publishRaw('task.stopped', { ...event, data: { ...event.data, duration: 'PT1000H' } });
  await eventually('the other is listed', async () =>
    (await deadLetters()).some(({ eventId, reason }) => eventId === event.id && reason === 'usage.content_mismatch'),
  );
  expect((await recorded())?.usageHash).toBe(hash);
});

test('when a user asks for the dead letters, then 403', async () => {
  expect((await call('GET', 'blockchain-forwarder/api/usage/dead_letters', { token: asUser })).status).toBe(403);
});
