import { randomUUID } from 'node:crypto';
import request from 'supertest';
import type { CloudEvent } from '../../contracts/events';
import { AppError } from '../../errors';
import { currentContext } from '../../logging/context';
import { sidecarHeaders, testApp } from '../../testing/api';
import { recordingLogger } from '../../testing/recording-logger';
import { eventPath, subscriptionRoutes, type Subscription } from '../subscription';

const TOPIC = 'allocation.released';
const now = '2026-11-23T09:30:00.000Z';

function event(fields: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    specversion: '1.0',
    id: randomUUID(),
    source: 'allocation',
    type: TOPIC,
    time: now,
    datacontenttype: 'application/json',
    data: {
      allocation_id: randomUUID(),
      resource_pool_id: randomUUID(),
      service_id: randomUUID(),
      capacity: 1,
      created_at: now,
      created_by: randomUUID(),
      task_id: null,
      released_at: now,
      duration: 'PT0S',
      end_reason: 'released',
      released_by: 'system',
    },
    ...fields,
  };
}

async function deliver(handle: Subscription['handle'], events: unknown[], headers = sidecarHeaders()) {
  const logger = recordingLogger();
  const app = await testApp(subscriptionRoutes([{ topic: TOPIC, handle }], logger), logger);
  const entries = events.map((entry, index) => ({
    entryId: `e${index}`,
    event: entry,
    contentType: 'application/cloudevents+json',
  }));
  const answer = await request(app)
    .post(eventPath(TOPIC))
    .set(headers)
    .send({ id: 'bulk', entries, metadata: {}, topic: TOPIC, pubsubname: 'p', type: 'com.dapr.event.sent.bulk' });
  const statuses = (answer.body.statuses ?? []) as { entryId: string; status: string }[];
  return { answer, logger, verdicts: Object.fromEntries(statuses.map(({ entryId, status }) => [entryId, status])) };
}

test('valid events reach the handler together and are acknowledged one by one', async () => {
  const handle = jest.fn<Promise<void>, [CloudEvent[]]>(async () => undefined);
  const events = [event(), event({ pubsubname: 'added by daprd', traceid: 'x' })];
  const { answer, verdicts } = await deliver(handle, events);
  expect(answer.status).toBe(200);
  expect(verdicts).toEqual({ e0: 'SUCCESS', e1: 'SUCCESS' });
  expect(handle.mock.calls[0]![0].map(({ id }) => id)).toEqual(events.map(({ id }) => id));
});

test('an invalid event comes again until it is dead, and does not hold up the others', async () => {
  const handle = jest.fn<Promise<void>, [CloudEvent[]]>(async () => undefined);
  const poisoned = event({ data: { allocation_id: 'none' } });
  const { verdicts, logger } = await deliver(handle, [
    poisoned,
    event(),
    event({ type: 'task.stopped' }),
    null,
    'text',
  ]);
  expect(verdicts).toEqual({ e0: 'RETRY', e1: 'SUCCESS', e2: 'RETRY', e3: 'RETRY', e4: 'RETRY' });
  expect(handle.mock.calls[0]![0]).toHaveLength(1);
  const warnings = logger.lines.filter(({ level }) => level === 'warn');
  expect(warnings).toHaveLength(4);
  expect(warnings[0]).toMatchObject({ result: 'event.invalid', resource: poisoned['id'] });
});

test('a handler that fails: all valid ones come again, and the log says why', async () => {
  const { answer, verdicts, logger } = await deliver(async () => {
    throw new AppError('unavailable', 'state_store.unavailable', 'away');
  }, [event(), event()]);
  expect(answer.status).toBe(200);
  expect(verdicts).toEqual({ e0: 'RETRY', e1: 'RETRY' });
  expect(logger.lines).toContainEqual(
    expect.objectContaining({ level: 'warn', result: 'state_store.unavailable', events: 2 }),
  );
});

test('the trace of the event goes on in the handler and in its log line', async () => {
  const traceId = 'c'.repeat(32);
  let seen: string | undefined;
  const { logger } = await deliver(async () => {
    seen = currentContext()?.traceparent;
  }, [event({ traceparent: `00-${traceId}-${'d'.repeat(16)}-01` })]);
  expect(seen).toMatch(new RegExp(`^00-${traceId}-`));
  expect(logger.lines.some(({ activity, result }) => activity === `event ${TOPIC}` && result === 'ok')).toBe(true);
});

test.each([
  ['without the app token', {}, 401],
  ['by another app through its sidecar', sidecarHeaders('task-runner'), 403],
])('a delivery %s is refused and nothing is handled', async (_name, headers, status) => {
  const handle = jest.fn<Promise<void>, [CloudEvent[]]>(async () => undefined);
  const { answer } = await deliver(handle, [event()], headers);
  expect(answer.status).toBe(status);
  expect(handle).not.toHaveBeenCalled();
});
