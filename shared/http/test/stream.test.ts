import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { testApp } from '../../testing/api';
import { recordingLogger } from '../../testing/recording-logger';
import { openApiDocument } from '../openapi';
import { route } from '../route';
import { serverSentEvent } from '../stream';
import { z } from 'zod';

/** A server with one route that streams what the test gives. */
async function open(stream: (signal: AbortSignal) => AsyncIterable<string>) {
  const logger = recordingLogger();
  const routes = [
    route({
      method: 'get',
      path: '/open',
      summary: 'Streams',
      access: 'public',
      responses: { 200: z.string() },
      mediaType: 'text/event-stream',
      handle: ({ signal }) => Promise.resolve({ status: 200, stream: stream(signal) }),
    }),
  ];
  const server = http.createServer(await testApp(routes, logger));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/open`;
  const close = (): void => {
    server.closeAllConnections();
    server.close();
  };
  return { url, logger, routes, close };
}

test('when a handler streams, then each piece is sent as it comes, and the answer ends with the stream', async () => {
  let goOn = (): void => undefined;
  const waiting = new Promise<void>((resolve) => (goOn = resolve));
  const { url, close } = await open(async function* () {
    yield serverSentEvent('step', { n: 1 }, 0);
    await waiting;
    yield serverSentEvent('end', 'a\nb');
  });
  const answer = await fetch(url);
  expect(answer.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  const pieces: string[] = [];
  for await (const piece of answer.body!) {
    pieces.push(Buffer.from(piece as Uint8Array).toString());
    goOn();
  }
  expect(pieces).toEqual(['id: 0\nevent: step\ndata: {"n":1}\n\n', 'event: end\ndata: "a\\nb"\n\n']);
  close();
});

test('when the client hangs up while it is slow to read, then the stream is told and ends', async () => {
  let ended = (): void => undefined;
  const over = new Promise<void>((resolve) => (ended = resolve));
  let told = false;
  const { url, close } = await open(async function* (signal) {
    signal.addEventListener('abort', () => (told = true));
    try {
      for (;;) yield await Promise.resolve('x'.repeat(100_000));
    } finally {
      ended();
    }
  });
  const caller = new AbortController();
  await fetch(url, { signal: caller.signal });
  caller.abort();
  await over;
  expect(told).toBe(true);
  close();
});

test('when a stream breaks half-way, then the client is cut off, and the log says why', async () => {
  const { url, logger, close } = await open(async function* () {
    yield await Promise.resolve('a');
    throw new Error('broke');
  });
  await expect(fetch(url).then((answer) => answer.text())).rejects.toThrow();
  expect(logger.lines).toContainEqual(expect.objectContaining({ level: 'warn', message: 'broke' }));
  close();
});

test('when a route names its media type, then the OpenAPI document does', async () => {
  const { routes, close } = await open(async function* () {});
  const document = openApiDocument('test', routes) as { paths: Record<string, { get: { responses: object } }> };
  expect(document.paths['/open']?.get.responses).toMatchObject({
    '200': { content: { 'text/event-stream': { schema: { type: 'string' } } } },
  });
  close();
});
