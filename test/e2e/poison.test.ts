import { randomUUID } from 'node:crypto';
import { call, eventually, tokenFor } from './support/system';
import { deadLettersInStream, publishRaw, taskStopped, usageOf, type DeadLetter } from './support/usage';

/** Issue 3, G19: a poisoned event ends in the dead letters with its reason, and the next events go on. */

jest.setTimeout(120_000);

const admin = tokenFor(randomUUID(), 'admin');
const userId = randomUUID();
const asUser = tokenFor(userId, 'user');

async function deadLetters(): Promise<DeadLetter[]> {
  const answer = await call('GET', 'blockchain-forwarder/api/usage/dead-letters?limit=1000', { token: admin });
  expect(answer.status).toBe(200);
  return answer.body as DeadLetter[];
}

const letterOf = async (poison: { id: string }) => (await deadLetters()).find(({ eventId }) => eventId === poison.id);

test('when an event of a bundle does not fit its schema, then it is listed at once with its reason, and the others have their records', async () => {
  const before = await deadLettersInStream('usage.ended');
  const poison = taskStopped('nobody', { stopTime: 7 });
  const [first, last] = [taskStopped(userId), taskStopped(userId)];
  await publishRaw('usage.ended', [first, poison, last]);
  await eventually('the others have their records', async () => {
    const recorded = (await usageOf(asUser)).map(({ id }) => id);
    return recorded.includes(first.id) && recorded.includes(last.id);
  });
  await eventually('the poisoned one is listed', async () => (await letterOf(poison)) !== undefined);
  expect(await letterOf(poison)).toMatchObject({
    topic: 'task.stopped',
    reason: 'event.invalid',
    detail: expect.stringMatching(/data\.userId: .*data\.stopTime: /) as string,
    event: JSON.parse(JSON.stringify(poison)) as unknown,
  });
  expect(await deadLettersInStream('usage.ended')).toBe(before);
});

test('when a bundle ended in the dead-letter stream, then it comes to records and letters from there', async () => {
  const poison = taskStopped('nobody');
  const event = taskStopped(userId);
  await publishRaw('dead.usage.ended', [poison, event]);
  await eventually('the event has its record', async () => (await usageOf(asUser)).some(({ id }) => id === event.id));
  await eventually('the poisoned one is listed', async () => (await letterOf(poison))?.reason === 'event.invalid');
});

test('when it is no JSON, or would bring the sidecar down, then it is listed as well and the next goes on', async () => {
  const text = `no JSON at all ${randomUUID()}`;
  const untraceable = { ...taskStopped(userId), traceparent: 5 };
  const next = taskStopped(userId);
  await publishRaw('usage.ended', text, untraceable, next);
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
  await publishRaw('usage.ended', event);
  const recorded = async () => (await usageOf(asUser)).find(({ id }) => id === event.id);
  await eventually('the event has its record', async () => (await recorded()) !== undefined);
  const hash = (await recorded())?.usageHash;
  await publishRaw('usage.ended', { ...event, data: { ...event.data, duration: 'PT1000H' } });
  await eventually('the other is listed', async () =>
    (await deadLetters()).some(({ eventId, reason }) => eventId === event.id && reason === 'usage.content_mismatch'),
  );
  expect((await recorded())?.usageHash).toBe(hash);
});

test('when events are huge, of the far future or of antiquity, or hold text without a canonical form, then each is listed, and letters of any script have their record', async () => {
  const ended = (data: Record<string, unknown>) => taskStopped(userId, data);
  const bad = [
    ended({ reason: 'x'.repeat(900_000) }),
    ended({ stopTime: '9999-12-31T23:59:59.999Z' }),
    ended({ startTime: '0001-01-01T00:00:00.000Z' }),
    ended({ reason: 'nul \u0000' }),
    ended({ serviceType: 'half a pair \ud800' }),
  ];
  const good = ended({ reason: 'é e\u0301 \u2028 𝔘 "\\ \t\n €', serviceType: '日本語' });
  await publishRaw('usage.ended', ...bad, [good]);
  await eventually('the good one has its record', async () => (await usageOf(asUser)).some(({ id }) => id === good.id));
  const record = (await usageOf(asUser)).find(({ id }) => id === good.id)!;
  expect(record.record).toMatchObject({ reason: good.data.reason, serviceType: '日本語' });
  for (const event of bad) {
    await eventually('the bad one is listed', async () => (await letterOf(event))?.reason === 'usage.unusable');
  }
});

test('when a user asks for the dead letters, then 403', async () => {
  expect((await call('GET', 'blockchain-forwarder/api/usage/dead-letters', { token: asUser })).status).toBe(403);
});
