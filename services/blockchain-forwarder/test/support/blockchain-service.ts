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
  /** Usage hashes that it took. It knows a request that it had by its `Idempotency-Key`, and takes it once. */
  accepted: string[];
  /** Takes a log. @returns its receipt, the same one each time */
  accept(log: ReceivedLog): { transactionId: string };
  /** Instead of 201 with a receipt; null goes back to that. */
  answer(handler: ((response: ServerResponse, log: ReceivedLog) => unknown) | null): void;
  stop(): Promise<void>;
}

export async function startBlockchainService(port = 0): Promise<FakeBlockchainService> {
  const requests: ReceivedLog[] = [];
  const accepted: string[] = [];
  const receipts = new Map<unknown, { transactionId: string }>();
  const accept = ({ usageHash, headers }: ReceivedLog) => {
    const key = headers['idempotency-key'];
    const known = receipts.get(key);
    if (known) return known;
    const receipt = { transactionId: `tx-${usageHash.slice(2, 10)}` };
    receipts.set(key, receipt);
    accepted.push(usageHash);
    return receipt;
  };
  let handler: ((response: ServerResponse, log: ReceivedLog) => unknown) | null = null;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { usageHash: string; metadata: unknown };
      const log = { ...body, headers: request.headers };
      requests.push(log);
      if (handler) return void handler(response, log);
      response.writeHead(201, { 'content-type': 'application/json' });
      response.end(JSON.stringify(accept(log)));
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/usage-logs`,
    requests,
    accepted,
    accept,
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
