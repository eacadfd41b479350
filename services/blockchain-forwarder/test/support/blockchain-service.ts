import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ReceivedLog {
  usageHash: string;
  metadata: unknown;
  headers: IncomingHttpHeaders;
}

/** A BlockchainService on a free port that keeps what it got and answers as a test says. */
export interface FakeBlockchainService {
  url: string;
  requests: ReceivedLog[];
  /** Instead of 201 with a receipt; null goes back to that. */
  answer(handler: ((response: ServerResponse, log: ReceivedLog) => void) | null): void;
  stop(): Promise<void>;
}

export async function startBlockchainService(port = 0): Promise<FakeBlockchainService> {
  const requests: ReceivedLog[] = [];
  let handler: ((response: ServerResponse, log: ReceivedLog) => void) | null = null;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { usageHash: string; metadata: unknown };
      const log = { ...body, headers: request.headers };
      requests.push(log);
      if (handler) return handler(response, log);
      response.writeHead(201, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ transactionId: `tx-${log.usageHash.slice(2, 10)}` }));
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/usage-logs`,
    requests,
    answer: (next) => {
      handler = next;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
