import type { ServerResponse } from 'node:http';
import type { FakeBlockchainService, ReceivedLog } from './blockchain-service';

/** What a BlockchainService may do other than take a log and give its receipt; some take it, and do not say so. */
export type Misbehaviour = (response: ServerResponse, log: ReceivedLog, service: FakeBlockchainService) => unknown;

const answers =
  (status: number, body = '', headers: Record<string, string> = {}): Misbehaviour =>
  (response) =>
    response.writeHead(status, headers).end(body);

/** Takes the log, but what it answers is no receipt. */
const acceptsAndSays =
  (body: string): Misbehaviour =>
  (response, log, service) => {
    service.accept(log);
    response.writeHead(200, { 'content-type': 'application/json' }).end(body);
  };

const resetsHalfWay: Misbehaviour = (response, log, service) => {
  const receipt = JSON.stringify(service.accept(log));
  response.writeHead(201, { 'content-length': receipt.length });
  response.write(receipt.slice(0, 9), () => response.destroy());
};

const neverEndsItsAnswer: Misbehaviour = (response, log, service) => {
  service.accept(log);
  response.writeHead(200);
  const more = () => {
    while (!response.destroyed && response.write(' '.repeat(1_024)));
  };
  response.on('drain', more);
  more();
};

const sendsItsAnswerDropByDrop: Misbehaviour = (response, log, service) => {
  service.accept(log);
  response.writeHead(200);
  const timer = setInterval(() => response.write(' '), 20);
  response.on('close', () => clearInterval(timer));
};

export const hangs = (): void => undefined;
export const resets = (response: ServerResponse): unknown => response.destroy();

/** By name: an answer that is none, for whichever record. */
export const MISBEHAVIOURS: Record<string, Misbehaviour> = {
  '500': answers(500, 'out of order'),
  '502 with a page': answers(502, '<html>bad gateway</html>', { 'content-type': 'text/html' }),
  '503 with Retry-After': answers(503, '', { 'retry-after': '1' }),
  '429 with Retry-After': answers(429, '', { 'retry-after': '1' }),
  '401': answers(401),
  '403': answers(403),
  hangs: hangs,
  'resets at once': resets,
  'resets half-way': resetsHalfWay,
  'never ends its answer': neverEndsItsAnswer,
  'sends its answer drop by drop': sendsItsAnswerDropByDrop,
  '200 with a page': acceptsAndSays('<html>fine</html>'),
  '200 with text': acceptsAndSays('"fine"'),
  '200 with a list': acceptsAndSays('[1]'),
  '200 with null': acceptsAndSays('null'),
  '200 with nothing': acceptsAndSays(''),
  '200 with half an object': acceptsAndSays('{"transactionId":'),
  '200 with a huge object': acceptsAndSays(JSON.stringify({ transactionId: 'x'.repeat(100_000) })),
  '200 with what no store keeps': acceptsAndSays('{"transactionId":"\\u0000\\ud800"}'),
};
