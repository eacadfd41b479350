import { randomUUID } from 'node:crypto';
import request from 'supertest';
import { AppError } from '../../errors';
import { currentContext } from '../../logging/context';
import { sidecarHeaders, testApp } from '../../testing/api';
import { recordingLogger } from '../../testing/recording-logger';
import { bundleRoute, eventPath, type Bundle, type Subscription } from '../subscription';

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

async function deliver(handle: Subscription['handle'], messages: unknown[], headers = sidecarHeaders()) {
  const logger = recordingLogger();
  const path = eventPath('usage.ended');
  const app = await testApp([bundleRoute(path, { types: [TOPIC, 'task.stopped'], handle }, logger)], logger);
  const entries = messages.map((message, index) => ({
    entryId: `e${index}`,
    event: Buffer.from(typeof message === 'string' ? message : JSON.stringify(message)).toString('base64'),
    contentType: 'application/octet-stream',
  }));
  const answer = await request(app).post(path).set(headers).send({
    id: 'bulk',
    entries,
    metadata: {},
    topic: 'usage.ended',
    pubsubname: 'p',
    type: 'com.dapr.event.sent.bulk',
  });
  const statuses = (answer.body.statuses ?? []) as { entryId: string; status: string }[];
  return { answer, logger, verdicts: Object.fromEntries(statuses.map(({ entryId, status }) => [entryId, status])) };
}

const taking = () => jest.fn<Promise<void>, [Bundle]>(async () => undefined);

test('bundles and single events of a delivery reach the handler together, in their order', async () => {
  const handle = taking();
  const events = Array.from({ length: 4 }, () => event());
  const { answer, verdicts } = await deliver(handle, [events.slice(0, 2), events[2], [events[3]]]);
  expect(answer.status).toBe(200);
  expect(verdicts).toEqual({ e0: 'SUCCESS', e1: 'SUCCESS', e2: 'SUCCESS' });
  expect(handle).toHaveBeenCalledTimes(1);
  expect(handle.mock.calls[0]![0].events.map(({ id }) => id)).toEqual(events.map(({ id }) => id));
  expect(handle.mock.calls[0]![0].invalid).toEqual([]);
});

test('each event is held against the schema of its own type; what fits none comes with what is wrong', async () => {
  const handle = taking();
  const poisoned = event({ data: { allocation_id: 'none' } });
  const otherData = event({ type: 'task.stopped' });
  const { verdicts } = await deliver(handle, [
    [poisoned, event(), otherData],
    event({ type: 'task.started' }),
    [],
    'text',
    '7',
  ]);
  expect(verdicts).toEqual({ e0: 'SUCCESS', e1: 'SUCCESS', e2: 'SUCCESS', e3: 'SUCCESS', e4: 'SUCCESS' });
  const { events, invalid } = handle.mock.calls[0]![0];
  expect(events).toHaveLength(1);
  expect(invalid).toEqual([
    { topic: TOPIC, event: poisoned, detail: expect.stringContaining('data.allocation_id: ') as string },
    { topic: 'task.stopped', event: otherData, detail: expect.stringContaining('data.taskId: ') as string },
    { topic: 'unknown', event: expect.anything() as unknown, detail: `type: it is none of ${TOPIC}, task.stopped` },
    { topic: 'unknown', event: [], detail: 'event: it is no JSON object' },
    { topic: 'unknown', event: 'text', detail: 'event: it is no JSON object' },
    { topic: 'unknown', event: 7, detail: 'event: it is no JSON object' },
  ]);
});

test('a handler that fails: the whole delivery comes again, and the log says why', async () => {
  const { answer, verdicts, logger } = await deliver(async () => {
    throw new AppError('unavailable', 'state_store.unavailable', 'away');
  }, [[event(), {}], event()]);
  expect(answer.status).toBe(200);
  expect(verdicts).toEqual({ e0: 'RETRY', e1: 'RETRY' });
  expect(logger.lines).toContainEqual(
    expect.objectContaining({ level: 'warn', result: 'state_store.unavailable', events: 3 }),
  );
});

test('each event has a line in its own trace; the handler works in that of the first', async () => {
  const traceOf = (digit: string) => `00-${digit.repeat(32)}-${'d'.repeat(16)}-01`;
  let seen: string | undefined;
  const events = [event({ traceparent: traceOf('b') }), event({ traceparent: traceOf('c') })];
  const { logger } = await deliver(async () => {
    seen = currentContext()?.traceparent;
  }, [events]);
  expect(seen).toMatch(new RegExp(`^00-${'b'.repeat(32)}-`));
  const lines = logger.lines.filter(({ activity }) => activity === `event ${TOPIC}`);
  expect(lines).toEqual(
    events.map(({ id }) => expect.objectContaining({ level: 'info', resource: id, result: 'ok' }) as unknown),
  );
});

test.each([
  ['without the app token', {}, 401],
  ['by another app through its sidecar', sidecarHeaders('task-runner'), 403],
])('a delivery %s is refused and nothing is handled', async (_name, headers, status) => {
  const handle = taking();
  const { answer } = await deliver(handle, [event()], headers);
  expect(answer.status).toBe(status);
  expect(handle).not.toHaveBeenCalled();
});
