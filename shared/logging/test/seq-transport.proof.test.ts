import { PassThrough } from 'node:stream';
import { createLogger } from '../logger';
import { openSeqReceiver, type SeqReceiver } from '../../testing/seq-receiver';
import { SeqTransport } from '../seq-transport';

let receiver: SeqReceiver;
let url: string;
beforeEach(async () => {
  receiver = await openSeqReceiver();
  url = receiver.url;
});
afterEach(() => receiver.close());

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not within 5 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const line = (index: number) => ({
  level: 'info',
  message: `line ${index}`,
  timestamp: new Date(0).toISOString(),
  index,
});

test('lines arrive with level, time, fields, trace id and the API key, and without secrets', async () => {
  const console_ = new PassThrough().resume();
  const logger = createLogger({
    service: 'test',
    level: 'info',
    stream: console_,
    seq: { url, apiKey: 'seq-key-1', flushEveryMs: 20 },
  });
  logger.warn('pool is full', { activity: 'allocate', trace_id: 'a'.repeat(32), password: 'hush' });
  await until(() => receiver.events.length === 1, 'one event');
  expect(receiver.events[0]).toMatchObject({
    Level: 'Warning',
    MessageTemplate: 'pool is full',
    TraceId: 'a'.repeat(32),
    Properties: { service: 'test', activity: 'allocate', trace_id: 'a'.repeat(32), password: '[redacted]' },
  });
  expect(Date.parse(receiver.events[0]!.Timestamp)).toBeGreaterThan(Date.now() - 60_000);
  expect(receiver.headers[0]!['x-seq-apikey']).toBe('seq-key-1');
  await logger.close();
});

test('what waits at the end is still sent', async () => {
  const logger = createLogger({
    service: 'test',
    level: 'info',
    stream: new PassThrough().resume(),
    seq: { url, flushEveryMs: 60_000 },
  });
  logger.info('last words');
  await logger.close();
  expect(receiver.events.map(({ MessageTemplate }) => MessageTemplate)).toEqual(['last words']);
});

test('Seq answers 500: the batch is lost to Seq only, the next ones arrive once it is well, with a count of what was lost', async () => {
  receiver.behaviour = 'fails';
  const transport = new SeqTransport({ url, flushEveryMs: 10 });
  transport.log(line(1), () => undefined);
  await until(() => receiver.posts >= 1, 'a refused post');
  receiver.behaviour = 'takes';
  await until(() => {
    transport.log(line(2), () => undefined);
    return receiver.events.some(({ MessageTemplate }) => MessageTemplate.startsWith('log lines were lost'));
  }, 'the warning');
  expect(receiver.events.some(({ MessageTemplate }) => MessageTemplate === 'line 2')).toBe(true);
  await transport.finish();
});

test('Seq hangs or is away: no more than the bound is kept, the oldest go first, and ending takes no longer than a second', async () => {
  receiver.behaviour = 'hangs';
  const transport = new SeqTransport({ url, flushEveryMs: 10, maxWaiting: 100 });
  transport.log(line(0), () => undefined);
  await until(() => receiver.posts === 1, 'a post that hangs');
  for (let index = 1; index <= 10_000; index += 1) transport.log(line(index), () => undefined);
  expect(transport.backlog).toBe(100);
  const started = Date.now();
  await transport.finish();
  expect(Date.now() - started).toBeLessThan(1_500);
});

test('nobody listens: logging goes on and nothing is thrown', async () => {
  const transport = new SeqTransport({ url: 'http://127.0.0.1:9', flushEveryMs: 5, maxWaiting: 10 });
  for (let index = 0; index < 50; index += 1) {
    transport.log(line(index), () => undefined);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  expect(transport.backlog).toBeLessThanOrEqual(10);
  await transport.finish();
});

test('while Seq refuses, huge lines do not pile up inside the client either', async () => {
  receiver.behaviour = 'fails';
  const transport = new SeqTransport({ url, flushEveryMs: 5 });
  const client = (transport as unknown as { client: { _queue: unknown[] } }).client;
  for (let round = 0; round < 5; round += 1) {
    const posts = receiver.posts;
    for (let index = 0; index < 60; index += 1)
      transport.log({ ...line(index), text: 'x'.repeat(50_000) }, () => undefined);
    await until(() => receiver.posts > posts, 'a refused post');
  }
  await until(() => transport.backlog === 0, 'all handed over');
  expect(client._queue.length).toBeLessThanOrEqual(60);
  await transport.finish();
});
