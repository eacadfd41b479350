import type { Server } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { Writable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { createLogger } from '../../logging/logger';
import { bearer, testApp } from '../../testing/api';
import { serverOf } from '../server';
import { good, routesWith } from './sample-routes';

/** Real bytes over a socket to a real server of ours: what no well-behaved client would send. */

const written: string[] = [];
const stream = new Writable({
  write: (line: Buffer, _encoding, done) => {
    written.push(line.toString());
    done();
  },
});
const handled: unknown[] = [];
let server: Server;
let port: number;

beforeAll(async () => {
  const app = await testApp(
    routesWith(async ({ body }) => {
      handled.push(body);
      return { status: 201, body };
    }),
    createLogger({ service: 'test', level: 'info', stream }),
  );
  server = serverOf(app, { headersTimeout: 300, requestTimeout: 600, connectionsCheckingInterval: 50 });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
beforeEach(() => {
  handled.length = 0;
  written.length = 0;
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
});

const token = bearer('admin');
const head = (...lines: string[]): string => [...lines, 'Host: x', `Authorization: ${token}`, '', ''].join('\r\n');
const post = (...lines: string[]): string =>
  head('POST /resource_pools HTTP/1.1', 'Content-Type: application/json', ...lines);

/** Everything that the server sends until it closes the connection. */
function exchange(...pieces: (string | Buffer)[]): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    let got = '';
    socket.on('data', (data: Buffer) => (got += data.toString('latin1')));
    socket.on('close', () => resolve(got));
    socket.on('error', () => undefined);
    for (const piece of pieces) socket.write(piece);
  });
}
const statusesIn = (answer: string): number[] =>
  [...answer.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => Number(match[1]));

describe('two meanings of where a request ends (request smuggling)', () => {
  const body = JSON.stringify(good);
  const hidden = 'DELETE /open HTTP/1.1\r\nHost: x\r\n\r\n';
  const length = `Content-Length: ${body.length}`;
  test.each([
    ['two different Content-Lengths', post(length, `Content-Length: ${body.length + hidden.length}`)],
    ['Content-Length beside Transfer-Encoding', post(length, 'Transfer-Encoding: chunked')],
    ['Transfer-Encoding beside Content-Length', post('Transfer-Encoding: chunked', length)],
    ['an encoding behind chunked', post('Transfer-Encoding: chunked, identity')],
    ['an encoding that is nearly chunked', post('Transfer-Encoding: xchunked')],
    ['a blank before the colon', post(`Content-Length : ${body.length}`)],
    ['a length with a sign', post(`Content-Length: +${body.length}`)],
    ['a length in hexadecimal', post('Content-Length: 0x10')],
    ['a header that goes on in the next line', post(length, ' X: y', 'Transfer-Encoding:', ' chunked')],
    ['a header name with NUL', post(length, 'X\0: y')],
  ])('%s: 400, the connection ends, and nothing behind it is taken for a request', async (_, start) => {
    const answer = await exchange(start + body + hidden);
    expect(statusesIn(answer)).toEqual([400]);
    expect(handled).toEqual([]);
  });
});

describe('limits', () => {
  test('headers of more than 16 KiB: 431, and the connection ends', async () => {
    const answer = await exchange(head('GET /open HTTP/1.1', `X-Long: ${'x'.repeat(20_000)}`));
    expect(statusesIn(answer)).toEqual([431]);
  });

  test('a path of more than 16 KiB: 431', async () => {
    expect(statusesIn(await exchange(head(`GET /${'x'.repeat(20_000)} HTTP/1.1`)))).toEqual([431]);
  });

  test('headers that come byte by byte (slow loris): 408 within the time for headers, however much was sent', async () => {
    const started = Date.now();
    const answer = await new Promise<string>((resolve) => {
      const socket = net.connect(port, '127.0.0.1');
      let got = '';
      socket.write('GET /open HTTP/1.1\r\nHost: x\r\nX-Slow: ');
      const drip = setInterval(() => socket.write('x'), 20);
      socket.on('data', (data: Buffer) => (got += data.toString()));
      socket.on('error', () => undefined);
      socket.on('close', () => {
        clearInterval(drip);
        resolve(got);
      });
    });
    expect(statusesIn(answer)).toEqual([408]);
    expect(Date.now() - started).toBeLessThan(5_000);
  });

  test('a body that never comes: 408 within the time for a request', async () => {
    const answer = await exchange(post('Content-Length: 100'), '{');
    expect(statusesIn(answer)).toEqual([408]);
    expect(handled).toEqual([]);
  });

  test('a small body that unpacks to 200 MB: 413 before it is unpacked', async () => {
    // a gzip file may hold several, one behind the other
    const megabyte = gzipSync(Buffer.alloc(1024 * 1024, ' '));
    const bomb = Buffer.concat(Array<Buffer>(200).fill(megabyte));
    const before = process.memoryUsage().rss;
    const answer = await exchange(
      post('Content-Encoding: gzip', `Content-Length: ${bomb.length}`, 'Connection: close'),
      bomb,
    );
    expect(statusesIn(answer)).toEqual([413]);
    expect(answer).toContain('request.too_large');
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
    expect(handled).toEqual([]);
  });

  test('a body packed in several layers: 415', async () => {
    const answer = await exchange(post('Content-Encoding: gzip, gzip', 'Content-Length: 2', 'Connection: close'), '{}');
    expect(statusesIn(answer)).toEqual([415]);
  });

  test('what answers is not held up by a hundred connections that say nothing', async () => {
    const idle = Array.from({ length: 100 }, () => net.connect(port, '127.0.0.1').on('error', () => undefined));
    const answer = await exchange(head('DELETE /open HTTP/1.1', 'Connection: close'));
    expect(statusesIn(answer)).toEqual([204]);
    for (const socket of idle) socket.destroy();
  });
});

describe('names that JavaScript knows (prototype pollution)', () => {
  test.each(['{"__proto__":{"polluted":1}}', '{"constructor":{"prototype":{"polluted":1}}}'])(
    '%s: 400',
    async (extra) => {
      const body = `${extra.slice(0, -1)},"name":"a","size":1}`;
      const answer = await exchange(post(`Content-Length: ${body.length}`, 'Connection: close'), body);
      expect(statusesIn(answer)).toEqual([400]);
      expect(answer).toContain('request.invalid');
      expect('polluted' in {}).toBe(false);
      expect(handled).toEqual([]);
    },
  );

  test.each(['__proto__[polluted]=1', '__proto__.polluted=1', 'constructor[prototype][polluted]=1'])(
    '?%s changes nothing',
    async (query) => {
      await exchange(head(`DELETE /open?${query} HTTP/1.1`, 'Connection: close'));
      expect('polluted' in {}).toBe(false);
    },
  );
});

describe('lines of the log', () => {
  test('a line break in a path, a request id or a trace does not forge a line', async () => {
    const forged = '{"level":"error","message":"forged"}';
    await exchange(head(`GET /resource_pools/x%0d%0a${encodeURIComponent(forged)} HTTP/1.1`, 'Connection: close'));
    await exchange(
      head('DELETE /open HTTP/1.1', `X-Request-Id: a\u0085${forged}`, `traceparent: ${forged}`, 'Connection: close'),
    );
    const lines = written.join('').trimEnd().split('\n');
    expect(lines).toHaveLength(2);
    expect(lines.map((line) => (JSON.parse(line) as { message: string }).message)).toEqual([
      'GET /resource_pools/{pool_id} 400',
      'DELETE /open 204',
    ]);
  });

  test.each(['a', 'token', 'eyJ', '-eyJaaaaa', '//'])('16 KB of "%s" cost less than 100 ms to clean', (piece) => {
    const { log, took } = timed(`${piece.repeat(16_000 / piece.length)}=`);
    expect(log).toHaveLength(1);
    expect(took).toBeLessThan(100);
  });
});

function timed(text: string): { log: string[]; took: number } {
  const log: string[] = [];
  const sink = new Writable({ write: (line: Buffer, _encoding, done) => (log.push(line.toString()), done()) });
  const logger = createLogger({ service: 'test', level: 'info', stream: sink });
  const started = performance.now();
  logger.info('m', { text });
  return { log, took: performance.now() - started };
}

describe('browsers', () => {
  test('another origin may neither ask nor read: no CORS header, and a preflight finds nothing', async () => {
    const origin = 'Origin: https://evil.example';
    const asked = head(
      'OPTIONS /resource_pools HTTP/1.1',
      origin,
      'Access-Control-Request-Method: POST',
      'Connection: close',
    );
    const read = head('DELETE /open HTTP/1.1', origin, 'Connection: close');
    const answers = await Promise.all([exchange(asked), exchange(read)]);
    expect(answers.join('').toLowerCase()).not.toContain('access-control-');
  });

  test.each(['/open', '/livez', '/nothing', '/docs/'])(
    '%s carries the headers that keep a browser from guessing',
    async (path) => {
      const answer = await exchange(head(`GET ${path} HTTP/1.1`, 'Connection: close'));
      const wanted = ['X-Content-Type-Options: nosniff', 'X-Frame-Options: DENY', 'Referrer-Policy: no-referrer'];
      for (const line of [...wanted, "frame-ancestors 'none'"]) expect(answer).toContain(line);
      expect(answer).not.toMatch(/^(X-Powered-By|Server):/im);
    },
  );
});
